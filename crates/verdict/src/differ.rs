//! What differs between two outcomes, in words.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::canon::{Atom, Cell, Group, Outcome, Row};

/// One thing that an outcome has otherwise than the serial outcome nearest to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Difference {
    /// A row that is there (`found`), or should be (`serial`), or is another one than it should be (both).
    Row {
        /// The table.
        table: String,
        /// The row of this run.
        found: Option<String>,
        /// The row of the serial run.
        serial: Option<String>,
    },
    /// A reply that says something else.
    Reply {
        /// Who was told.
        actor: String,
        /// What had been asked.
        request: String,
        /// What this run said.
        found: String,
        /// What the serial run said.
        serial: String,
    },
    /// The same rows and replies, but generated values stand elsewhere.
    References {
        /// Table or actor concerned.
        place: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row {
                table,
                found: Some(found),
                serial: Some(serial),
            } => {
                write!(f, "{table}: {found}, serially {serial}")
            }
            Self::Row {
                table,
                found: Some(found),
                serial: None,
            } => {
                write!(f, "{table} has a row more: {found}")
            }
            Self::Row { table, serial, .. } => {
                write!(
                    f,
                    "{table} lacks a row: {}",
                    serial.as_deref().unwrap_or("?")
                )
            }
            Self::Reply {
                actor,
                request,
                found,
                serial,
            } => {
                write!(
                    f,
                    "{actor} was told {found} to {request}, serially {serial}"
                )
            }
            Self::References { place } => {
                write!(
                    f,
                    "generated values in {place} belong to other rows than serially"
                )
            }
        }
    }
}

/// How `found` differs from `serial`; empty when they are equal.
pub(crate) fn differences(found: &Outcome, serial: &Outcome) -> Vec<Difference> {
    if found == serial {
        return Vec::new();
    }
    let mut out = Vec::new();
    let empty = Vec::new();
    let groups: std::collections::BTreeSet<&Group> =
        found.groups.keys().chain(serial.groups.keys()).collect();
    for group in groups {
        let a = found.groups.get(group).unwrap_or(&empty);
        let b = serial.groups.get(group).unwrap_or(&empty);
        let (mut more, mut less) = apart(a, b, skeleton);
        if let Group::Reply(actor, _) = group {
            if more.is_empty() && less.is_empty() {
                continue;
            }
            let request = found
                .requests
                .get(group)
                .or_else(|| serial.requests.get(group));
            out.push(Difference::Reply {
                actor: found
                    .actors
                    .get(usize::from(actor.0))
                    .cloned()
                    .unwrap_or_default(),
                request: request.cloned().unwrap_or_default(),
                found: told(&more),
                serial: told(&less),
            });
        } else if let Group::Table(table) = group {
            let shared = more.len().min(less.len());
            let serial = less
                .drain(..shared)
                .map(Some)
                .chain(std::iter::repeat(None));
            for (found, serial) in more.drain(..).zip(serial) {
                out.push(Difference::Row {
                    table: table.clone(),
                    found: Some(found),
                    serial,
                });
            }
            for serial in less {
                out.push(Difference::Row {
                    table: table.clone(),
                    found: None,
                    serial: Some(serial),
                });
            }
        }
    }
    if out.is_empty() {
        references(found, serial, &mut out);
    }
    out
}

fn references(found: &Outcome, serial: &Outcome, out: &mut Vec<Difference>) {
    let empty = Vec::new();
    for (group, rows) in &found.groups {
        let (more, _) = apart(rows, serial.groups.get(group).unwrap_or(&empty), |row| {
            row.cells.clone()
        });
        if !more.is_empty() {
            let place = match group {
                Group::Table(table) => table.clone(),
                Group::Reply(actor, _) => {
                    let name = found.actors.get(usize::from(actor.0));
                    format!("what {} was told", name.map_or("?", String::as_str))
                }
            };
            out.push(Difference::References { place });
        }
    }
}

/// Rows with every fresh value alike.
fn skeleton(row: &Row) -> Vec<Cell> {
    let alike = |atom: &Atom| match atom {
        Atom::Fresh(_) => Atom::Fresh(0),
        other => other.clone(),
    };
    row.cells
        .iter()
        .map(|cell| cell.iter().map(alike).collect())
        .collect()
}

/// Bag difference: what `a` has more, and what it has less, as shown.
fn apart(a: &[Row], b: &[Row], key: impl Fn(&Row) -> Vec<Cell>) -> (Vec<String>, Vec<String>) {
    let mut counts: BTreeMap<Vec<Cell>, i64> = BTreeMap::new();
    for row in b {
        *counts.entry(key(row)).or_default() += 1;
    }
    let mut more = Vec::new();
    for row in a {
        let count = counts.entry(key(row)).or_default();
        *count -= 1;
        if *count < 0 {
            more.push(row.shown.clone());
        }
    }
    let mut less = Vec::new();
    for row in b.iter().rev() {
        let count = counts.entry(key(row)).or_default();
        if *count > 0 {
            *count -= 1;
            less.insert(0, row.shown.clone());
        }
    }
    (more, less)
}

fn told(parts: &[String]) -> String {
    const MOST: usize = 4;
    match parts.len() {
        0 => "nothing more".to_owned(),
        n if n > MOST => format!("{} and {} more", parts[..MOST].join(", "), n - MOST),
        _ => parts.join(", "),
    }
}
