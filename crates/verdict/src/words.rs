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

/// The step's statements on one line, parameters put in where they are short.
pub fn statement(step: &Step) -> String {
    match step.kind {
        StepKind::GapCommit => return "(commit)".to_owned(),
        StepKind::Silent => return "(no statement)".to_owned(),
        _ => {}
    }
    let texts: Vec<String> = step
        .statements
        .iter()
        .map(|statement| with_params(&one_line(&statement.sql), &statement.params))
        .collect();
    if texts.is_empty() {
        return match step.kind {
            StepKind::Commit => "commit".to_owned(),
            StepKind::Rollback => "rollback".to_owned(),
            _ => format!("({})", step.gate),
        };
    }
    texts.join("; ")
}

fn with_params(sql: &str, params: &[Option<String>]) -> String {
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

/// [`statement`] without what only opens the transaction or sets it up, unless there is nothing else.
pub fn essence(step: &Step) -> String {
    let opens = |statement: &Statement| {
        let word = crate::errors::first_word(&statement.sql);
        matches!(word.as_str(), "begin" | "start" | "set")
    };
    let mut short = step.clone();
    short.statements.retain(|statement| !opens(statement));
    statement(if short.statements.is_empty() {
        step
    } else {
        &short
    })
}

/// What the step read, shortly: `3`, `balance=10 owner=ben`, `4 rows`, `no row`; `None` when it returned no rows at all.
pub fn value(step: &Step) -> Option<String> {
    const LONGEST: usize = 40;
    if step.columns.is_empty() {
        return None;
    }
    Some(match step.rows.as_slice() {
        [] => "no row".to_owned(),
        [row] if row.len() == 1 => cut(row[0].as_deref().unwrap_or("null"), LONGEST),
        [row] => {
            let cells: Vec<String> = step
                .columns
                .iter()
                .zip(row)
                .map(|(column, cell)| format!("{column}={}", cell.as_deref().unwrap_or("null")))
                .collect();
            cut(&cells.join(" "), LONGEST)
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
