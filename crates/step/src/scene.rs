//! What a run shows after so many of its steps.

use std::collections::BTreeMap;

use deadheat_explore::Actor;
use deadheat_lab::record::{Record, Reply, Step, Table};
use deadheat_verdict::words;
use serde::Serialize;

/// Where everybody is after some steps of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// The actors, by number.
    pub seats: Vec<Seat>,
    /// The steps so far.
    pub done: Vec<Done>,
    /// What is committed in the written tables, by name.
    pub tables: BTreeMap<String, Shown>,
}

/// Where an actor is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "place", rename_all = "snake_case")]
pub enum Seat {
    /// It can move; its next step, on one line, and whether that is its first.
    Next {
        /// What it will send.
        statement: String,
        /// Whether it has not begun.
        starts: bool,
    },
    /// Its step waits.
    Waits {
        /// What it has sent.
        statement: String,
        /// For whom, by name; empty when that is outside the database.
        blocked_by: Vec<String>,
    },
    /// It is done.
    Finished {
        /// What it was told last, on one line.
        reply: String,
    },
}

/// A step that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Who moved.
    pub actor: Actor,
    /// What it sent, on one line.
    pub statement: String,
    /// What it read, or the error it got, or for whom it had to wait.
    pub outcome: String,
    /// Whether that was an error.
    pub failed: bool,
}

/// A table as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
}

/// A row of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its cells as text.
    pub cells: Vec<String>,
    /// Whether it was not like this before the last step.
    pub fresh: bool,
}

impl Scene {
    /// After `steps` steps of a run in which these could move then.
    pub fn after(record: &Record, enabled: &[Actor], steps: usize) -> Self {
        let steps = steps.min(record.steps.len());
        let done = &record.steps[..steps];
        let seats = (0..record.actors.len() as u16).map(Actor);
        Self {
            seats: seats
                .map(|actor| seat(record, enabled, actor, steps))
                .collect(),
            done: done.iter().map(|step| made(record, step, done)).collect(),
            tables: tables(record, steps),
        }
    }

    /// Whether nobody can move any more.
    pub fn is_over(&self) -> bool {
        !self
            .seats
            .iter()
            .any(|seat| matches!(seat, Seat::Next { .. }))
    }
}

fn seat(record: &Record, enabled: &[Actor], actor: Actor, steps: usize) -> Seat {
    let (done, rest) = record.steps.split_at(steps);
    let last = done.iter().rposition(|step| step.actor == actor);
    if enabled.contains(&actor) {
        // It is parked there already: later steps of others do not change what it has sent.
        let next = rest.iter().find(|step| step.actor == actor);
        return Seat::Next {
            statement: next.map(words::statement).unwrap_or_default(),
            starts: last.is_none(),
        };
    }
    let waiting = last.filter(|last| is_waiting(done, *last));
    match waiting {
        Some(last) => Seat::Waits {
            statement: words::statement(&done[last]),
            blocked_by: names(record, &done[last].blocked_by),
        },
        None => Seat::Finished {
            reply: told(record, actor),
        },
    }
}

/// Whether a step that had to wait was not woken by a later one.
fn is_waiting(done: &[Step], at: usize) -> bool {
    let step = &done[at];
    let woken = |later: &Step| later.wakes.contains(&step.actor);
    !step.blocked_by.is_empty() && !done[at + 1..].iter().any(woken)
}

fn names(record: &Record, actors: &[Actor]) -> Vec<String> {
    let name = |actor: &Actor| words::name(record, *actor);
    actors.iter().map(name).collect()
}

/// The last reply of an actor, on one line.
fn told(record: &Record, actor: Actor) -> String {
    let replies = record.replies.get(usize::from(actor.0));
    let text = match replies.and_then(|replies| replies.last()) {
        None => return String::new(),
        Some(Reply::Http { status, body, .. }) => format!("{status} {body}"),
        Some(Reply::NoAnswer { error, .. }) => error.clone(),
        Some(Reply::Command { status, output, .. }) => format!("exit status {status} {output}"),
        Some(Reply::Sql {
            error: Some(error), ..
        }) => format!("{} {}", error.code, error.message),
        // How many rows its last statement had says nothing of the whole.
        Some(Reply::Sql { tag, .. }) if tag.parse::<u64>().is_ok() => String::new(),
        Some(Reply::Sql { tag, .. }) => tag.clone(),
    };
    words::one_line(&text)
}

fn made(record: &Record, step: &Step, done: &[Step]) -> Done {
    let at = done.iter().position(|one| std::ptr::eq(one, step));
    let waits = at.is_some_and(|at| is_waiting(done, at));
    let outcome = if waits {
        let names = names(record, &step.blocked_by);
        format!("waits for {}", words::list(&names))
    } else if let Some(error) = &step.error {
        format!("{} {}", error.code, words::one_line(&error.message))
    } else {
        words::value(step).unwrap_or_default()
    };
    Done {
        actor: step.actor,
        statement: words::statement(step),
        outcome,
        failed: !waits && step.error.is_some(),
    }
}

/// What could be read after the steps; what was not there like this before the last one is fresh.
fn tables(record: &Record, steps: usize) -> BTreeMap<String, Shown> {
    let Some(now) = record.looks.get(steps) else {
        return BTreeMap::new();
    };
    let before = steps
        .checked_sub(1)
        .and_then(|before| record.looks.get(before));
    let shown = |(name, table): (&String, &Table)| {
        let earlier = before.map(|before| before.get(name));
        let mut old: Vec<_> = earlier
            .flatten()
            .map(|table| table.rows.iter().collect())
            .unwrap_or_default();
        let rows = table.rows.iter().map(|row| {
            // Each earlier row is the same as one now at most.
            let known = old.iter().position(|one| *one == row);
            if let Some(at) = known {
                old.swap_remove(at);
            }
            Row {
                cells: row.iter().map(|cell| shown_cell(cell.as_deref())).collect(),
                fresh: steps > 0 && known.is_none(),
            }
        });
        let shown = Shown {
            columns: table.columns.clone(),
            rows: rows.collect(),
        };
        (name.clone(), shown)
    };
    now.iter().map(shown).collect()
}

fn shown_cell(cell: Option<&str>) -> String {
    cell.map_or_else(|| "null".to_owned(), words::one_line)
}
