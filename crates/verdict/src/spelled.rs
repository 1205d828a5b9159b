//! Tables that statements name, read off their words: for steps of which nothing better is known, such as those on a
//! table that the run itself has made.

use deadheat_lab::record::{Access, Step};

use crate::errors::first_word;

/// Words before the name of a table, and whether that table is written when the statement begins so.
const BEFORE: [(&str, &str); 5] = [
    ("from", "delete"),
    ("join", ""),
    ("update", "update"),
    ("into", "insert"),
    ("using", ""),
];

/// The tables that the step's queries and changes name, as whole tables.
pub(crate) fn accesses(step: &Step) -> Vec<Access> {
    let mut out: Vec<Access> = Vec::new();
    for statement in &step.statements {
        let verb = first_word(&statement.sql);
        if !matches!(
            verb.as_str(),
            "select" | "insert" | "update" | "delete" | "with"
        ) {
            continue;
        }
        let words: Vec<&str> = statement
            .sql
            .split(|c: char| c.is_whitespace() || "(),;".contains(c))
            .filter(|word| !word.is_empty())
            .collect();
        for pair in words.windows(2) {
            let word = pair[0].to_lowercase();
            let Some((_, writer)) = BEFORE.iter().find(|(before, _)| *before == word) else {
                continue;
            };
            let write = *writer == verb;
            for write in if write {
                vec![false, true]
            } else {
                vec![false]
            } {
                let access = Access {
                    table: name(pair[1]),
                    row: None,
                    write,
                };
                if !out.contains(&access) {
                    out.push(access);
                }
            }
        }
    }
    out
}

/// The table's own name, without schema and quotes.
fn name(spelled: &str) -> String {
    let last = spelled.rsplit('.').next().unwrap_or(spelled);
    last.trim_matches('"').to_owned()
}
