//! Small texts about steps and replies that explanations and reports share.

use deadheat_lab::record::{Record, Reply, Statement, Step, StepKind};

/// The name of an actor; `actor 3` where the record does not know it.
pub fn name(record: &Record, actor: deadheat_explore::Actor) -> String {
    record
        .actors
        .get(usize::from(actor.0))
        .cloned()
        .unwrap_or_else(|| format!("actor {}", actor.0 + 1))
}

/// What was asked with this reply: the request, the command or the statement, on one line.
pub fn asked(reply: &Reply) -> String {
    match reply {
        Reply::Http { request, .. } | Reply::NoAnswer { request, .. } => request.clone(),
        Reply::Command { run, .. } => run.clone(),
        Reply::Sql { sql, .. } => one_line(sql),
    }
}

/// White space folded into single blanks.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most `width` characters; what is cut is shown as `…`.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(width.saturating_sub(1)).collect();
    out.truncate(out.trim_end().len());
    out.push('…');
    out
}

/// The step's statements on one line, parameters put in where they are short, and long ones shortened. Of what only
/// sets the transaction up, that it begins (and at which level) is said.
pub fn statement(step: &Step) -> String {
    let begins = step
        .statements
        .iter()
        .filter(|statement| matters(statement) != Matters::Itself)
        .find_map(|statement| begins(&statement.sql));
    let text = essence(step);
    match begins {
        Some(begin) if begin != text => format!("{begin}; {text}"),
        _ => text,
    }
}

/// The statements that matter: without what only opens the transaction, sets it up or marks a place in it, unless there
/// is nothing else.
pub fn essence(step: &Step) -> String {
    match step.kind {
        StepKind::GapCommit => return "(commit)".to_owned(),
        StepKind::Fault => return "(it is to crash)".to_owned(),
        StepKind::Kill => return "(is killed, and started again)".to_owned(),
        StepKind::Crash => return "(crashes)".to_owned(),
        StepKind::Silent if step.is_idle_fault() => return "(does not happen)".to_owned(),
        StepKind::Silent if step.blocked_by.is_empty() => return "(no statement)".to_owned(),
        StepKind::Silent => return "(waits before its first statement)".to_owned(),
        _ => {}
    }
    let all = step.statements.as_slice();
    let shown: Vec<&Statement> = [Matters::Itself, Matters::Begins, Matters::Not]
        .iter()
        .map(|wanted| all.iter().filter(|one| matters(one) == *wanted).collect())
        .find(|some: &Vec<&Statement>| !some.is_empty())
        .unwrap_or_default();
    if shown.is_empty() {
        return match step.kind {
            StepKind::Commit => "commit".to_owned(),
            StepKind::Rollback => "rollback".to_owned(),
            _ => format!("({})", step.gate),
        };
    }
    let texts: Vec<String> = shown
        .iter()
        .map(|one| {
            let brief = || crate::brief::brief(&with_params(&one_line(&one.sql), &one.params));
            one.point().unwrap_or_else(brief)
        })
        .collect();
    texts.join("; ")
}

/// What a statement is to a reader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Matters {
    Itself,
    Begins,
    Not,
}

fn matters(statement: &Statement) -> Matters {
    match crate::errors::first_word(&statement.sql).as_str() {
        "begin" | "start" => Matters::Begins,
        "set" | "savepoint" | "release" | "show" | "deallocate" | "discard" => Matters::Not,
        _ => Matters::Itself,
    }
}

/// `begin`, with the level if it is not the usual one.
fn begins(sql: &str) -> Option<String> {
    let lower = sql.to_lowercase();
    let word = crate::errors::first_word(sql);
    let level = ["repeatable read", "serializable"]
        .iter()
        .find(|level| lower.contains(*level));
    match (word.as_str(), level) {
        ("begin" | "start", None) => Some("begin".to_owned()),
        ("begin" | "start", Some(level)) => Some(format!("begin {level}")),
        _ => None,
    }
}

pub(crate) fn with_params(sql: &str, params: &[Option<String>]) -> String {
    const LONGEST: usize = 24;
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(at) = rest.find('$') {
        let digits = rest[at + 1..]
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        let number: Option<usize> = rest[at + 1..=at + digits].parse().ok();
        out.push_str(&rest[..at]);
        match number.and_then(|n| params.get(n.wrapping_sub(1))) {
            Some(None) => out.push_str("null"),
            Some(Some(value)) if value.parse::<f64>().is_ok() => out.push_str(value),
            Some(Some(value)) => out.extend(["'", &cut(value, LONGEST), "'"]),
            None => out.push_str(&rest[at..=at + digits]),
        }
        rest = &rest[at + 1 + digits..];
    }
    out.push_str(rest);
    out
}

/// What the step read, shortly: `n = 3`, `balance=10 owner=ben`, `4 rows`, `no row`; `None` when it returned nothing that
/// could be shown.
pub fn value(step: &Step) -> Option<String> {
    value_for(step, "")
}

/// [`value`], with the columns first that the other statement names.
pub(crate) fn value_for(step: &Step, other: &str) -> Option<String> {
    const LONGEST: usize = 48;
    if step.columns.is_empty() || step.error.is_some() {
        return None;
    }
    Some(match step.rows.as_slice() {
        [] => "no row".to_owned(),
        [row] if row.len() == 1 => {
            let cell = row[0].as_deref().unwrap_or("null");
            // A function that returns nothing returns an empty text.
            if cell.is_empty() {
                return None;
            }
            cut(&format!("{} = {cell}", step.columns[0]), LONGEST)
        }
        [row] => {
            let cells: Vec<(&String, &str)> = step
                .columns
                .iter()
                .zip(row.iter().map(|cell| cell.as_deref().unwrap_or("null")))
                .collect();
            crate::brief::cells(&cells, other, LONGEST)
        }
        // The record keeps the first rows only; the server's tag knows how many there were.
        rows => {
            let count = step
                .tags
                .iter()
                .find_map(|tag| tag.strip_prefix("SELECT ")?.parse().ok());
            format!("{} rows", count.unwrap_or(rows.len()))
        }
    })
}

/// `ben`, `ben and amy`, `ben, amy and p1`.
pub fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [front @ .., last] => format!("{} and {last}", front.join(", ")),
    }
}
