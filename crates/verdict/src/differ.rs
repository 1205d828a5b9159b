//! What differs between two outcomes, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use deadheat_explore::Actor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::canon::{Atom, Cell, Group, Outcome, Row};
use crate::words::cut;

/// Values are cut here.
const LONGEST_CELL: usize = 60;

/// One thing that an outcome has otherwise than the serial outcome nearest to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    let tables: BTreeSet<&String> = found
        .groups
        .keys()
        .chain(serial.groups.keys())
        .filter_map(|group| match group {
            Group::Table(table) => Some(table),
            Group::Reply(..) => None,
        })
        .collect();
    for table in tables {
        let group = Group::Table(table.clone());
        let a = found.groups.get(&group).unwrap_or(&empty);
        let b = serial.groups.get(&group).unwrap_or(&empty);
        let (more, less) = apart(a, b, skeleton);
        out.extend(
            counted(pairs(&more, less))
                .into_iter()
                .map(|(found, serial)| Difference::Row {
                    table: table.clone(),
                    found,
                    serial,
                }),
        );
    }
    for (n, name) in found.actors.iter().enumerate() {
        replies((Actor(n as u16), name), found, serial, &mut out);
    }
    if out.is_empty() {
        references(found, serial, &mut out);
    }
    out
}

/// A row of this run and one of the serial run, in words.
type Pair = (Option<String>, Option<String>);

/// What stands for a reply to a question that was not asked.
const NOT_ASKED: &str = "(not asked)";

/// Rows that are probably the same one, changed, beside each other: those with the most values in common.
fn pairs(more: &[&Row], mut less: Vec<&Row>) -> Vec<Pair> {
    let alike = |a: &Row, b: &Row| {
        let (a, b) = (skeleton(a), skeleton(b));
        // The key mostly comes first: of pairs alike in number the one that agrees earlier is taken.
        let first = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
        (a.iter().zip(&b).filter(|(x, y)| x == y).count(), first)
    };
    let mut scored: Vec<((usize, usize), usize, usize)> = Vec::new();
    for (n, row) in more.iter().enumerate() {
        for (m, other) in less.iter().enumerate() {
            scored.push((alike(row, other), n, m));
        }
    }
    scored.sort_by_key(|(score, n, m)| (std::cmp::Reverse(*score), *n, *m));
    // One against one can only be the same, changed.
    let only = more.len() == 1 && less.len() == 1;
    let mut partner: BTreeMap<usize, usize> = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for ((common, _), n, m) in scored {
        if (common > 0 || only) && !partner.contains_key(&n) && !taken.contains(&m) {
            partner.insert(n, m);
            taken.insert(m);
        }
    }
    let mut out: Vec<Pair> = more
        .iter()
        .enumerate()
        .map(|(n, row)| match partner.get(&n) {
            Some(m) => {
                let (found, serial) = beside(row, less[*m]);
                (Some(found), Some(serial))
            }
            None => (Some(text(row)), None),
        })
        .collect();
    let mut index = 0;
    less.retain(|_| {
        index += 1;
        !taken.contains(&(index - 1))
    });
    out.extend(less.iter().map(|row| (None, Some(text(row)))));
    out
}

/// Two rows that are the same one: what they have in common is left out where there is much of it, but for the first
/// column, which mostly says which row it is.
fn beside(found: &Row, serial: &Row) -> (String, String) {
    const FEW: usize = 4;
    if found.shown.len() <= FEW {
        return (text(found), text(serial));
    }
    let (a, b) = (skeleton(found), skeleton(serial));
    let kept: Vec<usize> = (0..found.shown.len())
        .filter(|n| *n == 0 || a.get(*n) != b.get(*n))
        .collect();
    let some = |row: &Row| {
        let cells: Vec<String> = kept
            .iter()
            .filter_map(|n| row.shown.get(*n))
            .map(|cell| cut(cell, LONGEST_CELL))
            .collect();
        cells.join(" ")
    };
    (some(found), some(serial))
}

/// A row in words.
fn text(row: &Row) -> String {
    let cells: Vec<String> = row
        .shown
        .iter()
        .map(|cell| cut(cell, LONGEST_CELL))
        .collect();
    cells.join(" ")
}

/// Equal rows once, with their number.
fn counted(rows: Vec<Pair>) -> Vec<Pair> {
    let mut counts: Vec<(Pair, usize)> = Vec::new();
    for row in rows {
        match counts.iter_mut().find(|(known, _)| *known == row) {
            Some((_, count)) => *count += 1,
            None => counts.push((row, 1)),
        }
    }
    let times = |text: Option<String>, count: usize| match text {
        Some(text) if count > 1 => Some(format!("{text} ({count} times)")),
        text => text,
    };
    counts
        .into_iter()
        .map(|((found, serial), count)| (times(found, count), times(serial, count)))
        .collect()
}

/// What an actor was told, question by question; a question may have been asked in one of the runs only.
fn replies(
    (actor, name): (Actor, &str),
    found: &Outcome,
    serial: &Outcome,
    out: &mut Vec<Difference>,
) {
    let (a, b) = (asked(found, actor), asked(serial, actor));
    if a.is_empty() {
        // An actor that counts as absent was told nothing that is compared.
        return;
    }
    let mut say = |request: &str, found: String, serial: String| {
        out.push(Difference::Reply {
            actor: name.to_owned(),
            request: request.to_owned(),
            found,
            serial,
        });
    };
    let (mut x, mut y) = (0, 0);
    while x < a.len() || y < b.len() {
        match (a.get(x), b.get(y)) {
            (Some((request, rows)), Some((other, rows_then))) if alike(request, other) => {
                let (more, less) = apart(rows, rows_then, skeleton);
                if !(more.is_empty() && less.is_empty()) {
                    say(request, told(&more), told(&less));
                }
                (x, y) = (x + 1, y + 1);
            }
            (Some((request, rows)), later) => {
                let comes =
                    later.is_some_and(|_| b[y..].iter().any(|(other, _)| alike(other, request)));
                if comes {
                    say(b[y].0, NOT_ASKED.to_owned(), told(&shown(b[y].1)));
                    y += 1;
                } else {
                    say(request, told(&shown(rows)), NOT_ASKED.to_owned());
                    x += 1;
                }
            }
            (None, Some((request, rows))) => {
                say(request, NOT_ASKED.to_owned(), told(&shown(rows)));
                y += 1;
            }
            (None, None) => break,
        }
    }
}

/// Whether two questions are the same but for values in them, which may come from what was told before.
fn alike(one: &str, other: &str) -> bool {
    let shape = |text: &str| {
        let outside = text.split('\'').step_by(2).collect::<Vec<_>>().join("'");
        outside.replace(|c: char| c.is_ascii_digit(), "")
    };
    one == other || shape(one) == shape(other)
}

/// What the actor asked, with what it was told, in order.
fn asked(outcome: &Outcome, actor: Actor) -> Vec<(&str, &[Row])> {
    outcome
        .groups
        .range(Group::Reply(actor, 0)..=Group::Reply(actor, usize::MAX))
        .map(|(group, rows)| {
            let request = outcome.requests.get(group).map_or("", String::as_str);
            (request, rows.as_slice())
        })
        .collect()
}

fn shown(rows: &[Row]) -> Vec<&Row> {
    rows.iter().collect()
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

/// Bag difference: what `a` has more, and what it has less.
fn apart<'r>(
    a: &'r [Row],
    b: &'r [Row],
    key: impl Fn(&Row) -> Vec<Cell>,
) -> (Vec<&'r Row>, Vec<&'r Row>) {
    let mut counts: BTreeMap<Vec<Cell>, i64> = BTreeMap::new();
    for row in b {
        *counts.entry(key(row)).or_default() += 1;
    }
    let mut more = Vec::new();
    for row in a {
        let count = counts.entry(key(row)).or_default();
        *count -= 1;
        if *count < 0 {
            more.push(row);
        }
    }
    let mut less = Vec::new();
    for row in b.iter().rev() {
        let count = counts.entry(key(row)).or_default();
        if *count > 0 {
            *count -= 1;
            less.push(row);
        }
    }
    less.reverse();
    (more, less)
}

fn told(parts: &[&Row]) -> String {
    const MOST: usize = 4;
    let texts = |rows: &[&Row]| -> Vec<String> { rows.iter().map(|row| text(row)).collect() };
    match parts.len() {
        0 => "nothing more".to_owned(),
        n if n > MOST => format!("{} and {} more", texts(&parts[..MOST]).join(", "), n - MOST),
        _ => texts(parts).join(", "),
    }
}
