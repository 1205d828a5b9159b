//! How a run ended, in words: what everybody was told, and what the tables hold that it has changed.

use std::collections::BTreeMap;

use deadheat_lab::record::{Record, Reply, Table};
use deadheat_verdict::words;

use crate::heading::heading;
use crate::result::Ended;
use crate::style::{Ink, Style, fit, wrap};

/// Rows of a table that are shown.
const MOST_ROWS: usize = 8;
/// Columns of a name.
const LONGEST_NAME: usize = 20;

impl Ended {
    /// How this run ended.
    pub fn of(record: &Record) -> Self {
        let replies = record.replies.iter().cloned();
        Self {
            replies: record.actors.iter().cloned().zip(replies).collect(),
            tables: record.tables.clone(),
        }
    }
}

/// The end of a run.
pub fn outcome(record: &Record, style: Style) -> String {
    let mut lines: Vec<(String, String)> = Vec::new();
    for (actor, replies) in record.actors.iter().zip(&record.replies) {
        let told = replies.iter().filter_map(in_words);
        lines.extend(told.map(|told| (actor.clone(), told)));
    }
    for (name, table) in &record.tables {
        lines.extend(rows(table).into_iter().map(|row| (name.clone(), row)));
    }
    let longest = lines.iter().map(|(name, _)| name.chars().count()).max();
    let longest = longest.unwrap_or(0).min(LONGEST_NAME);
    let mut out = heading("how it ends now", style);
    let mut before = None;
    for (name, text) in &lines {
        let shown = if before == Some(name) { "" } else { name };
        let mut label = fit(shown, longest);
        for line in wrap(text, style.columns().saturating_sub(longest + 4), 3) {
            let line = style.paint(Ink::Value, &line);
            out.push_str(format!("  {label}  {line}").trim_end());
            out.push('\n');
            label = fit("", longest);
        }
        before = Some(name);
    }
    out
}

/// What an actor was told; of its SQL only what failed, as the rest stands in the timeline.
fn in_words(reply: &Reply) -> Option<String> {
    Some(match reply {
        Reply::Http { status, body, .. } => format!("{status} {}", words::one_line(body)),
        Reply::NoAnswer { error, .. } => format!("no answer: {error}"),
        Reply::Command { status, .. } => format!("exit {status}"),
        Reply::Sql { error, .. } => {
            let error = error.as_ref()?;
            format!("{} {}", error.code, error.message)
        }
    })
}

fn rows(table: &Table) -> Vec<String> {
    let row = |row: &Vec<Option<String>>| {
        let cells: BTreeMap<_, _> = table.columns.iter().zip(row).collect();
        let cells = cells
            .iter()
            .map(|(name, cell)| format!("{name}={}", cell.as_deref().unwrap_or("null")));
        cells.collect::<Vec<_>>().join(" ")
    };
    let mut out: Vec<String> = table.rows.iter().take(MOST_ROWS).map(row).collect();
    match table.rows.len() {
        0 => out.push("(empty)".to_owned()),
        all if all > MOST_ROWS => out.push(format!("… and {} more rows", all - MOST_ROWS)),
        _ => {}
    }
    out
}
