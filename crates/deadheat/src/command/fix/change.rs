//! The change to make, in SQL: statements as they stand, and as they should be.

use deadheat_lab::record::Record;
use deadheat_report::Change;
use deadheat_sql::Isolation;
use deadheat_verdict::words::one_line;

use super::wrap::first_word;

/// A statement that is to be added.
pub fn added(sql: impl Into<String>) -> Change {
    Change {
        from: None,
        to: sql.into(),
    }
}

/// A statement in other words.
pub fn replaced(from: &str, to: &str) -> Change {
    Change {
        from: Some(one_line(from)),
        to: one_line(to),
    }
}

/// How the transactions of a run begin at a higher level.
pub fn raised(record: &Record, level: Isolation) -> Vec<Change> {
    let to = format!("begin isolation level {}", level.name());
    let mut changes: Vec<Change> = Vec::new();
    for statement in record.steps.iter().flat_map(|step| &step.statements) {
        if !matches!(first_word(&statement.sql).as_str(), "begin" | "start") {
            continue;
        }
        let raised = deadheat_sql::raised(&statement.sql, level);
        let change = replaced(&statement.sql, raised.as_deref().unwrap_or(&to));
        if !changes.contains(&change) {
            changes.push(change);
        }
    }
    if changes.is_empty() {
        changes.push(added(format!(
            "set session characteristics as transaction isolation level {}",
            level.name()
        )));
    }
    changes
}
