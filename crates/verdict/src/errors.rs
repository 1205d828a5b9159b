//! Errors that reach a user, and actors that failed without leaving a trace.

use std::collections::BTreeSet;

use deadheat_explore::Actor;
use deadheat_lab::record::{Access, Record, Reply, Statement, StepKind};

use crate::graph::transactions;
use crate::rules::Rules;

/// An error that an actor was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Who was told.
    pub actor: Actor,
    /// SQLSTATE, HTTP status, `no answer` or `exit 1`.
    pub code: String,
    /// The step of the actor that the database answered with an error before it, and its SQLSTATE.
    pub cause: Option<(usize, String)>,
}

impl Reached {
    /// Whether a retry would help: a serialization failure or a deadlock is behind it.
    pub fn is_retryable(&self) -> bool {
        let code = self
            .cause
            .as_ref()
            .map_or(self.code.as_str(), |(_, code)| code);
        retryable(code) || retryable(&self.code)
    }

    /// Whether the scenario lets it pass: the code itself or the database's error behind it is allowed.
    pub fn is_allowed(&self, rules: &Rules) -> bool {
        rules.allows(&self.code)
            || self
                .cause
                .as_ref()
                .is_some_and(|(_, code)| rules.allows(code))
    }
}

/// Whether the server has not understood a statement: its syntax, or the name of a table, a column or a function
/// (PostgreSQL's appendix A, class 42). Without a code it did not even get there: nothing has saved a value that it needs.
pub fn is_misunderstanding(code: &str) -> bool {
    matches!(code, "" | "42601" | "42P01" | "42703" | "42883")
}

fn retryable(code: &str) -> bool {
    matches!(code, "40001" | "40P01")
}

/// The errors that reached actors: integrity violations, aborts, lock failures, 5xx, broken connections, failed commands.
pub fn reached(record: &Record) -> Vec<Reached> {
    let mut out = Vec::new();
    for (n, replies) in record.replies.iter().enumerate() {
        let actor = Actor(n as u16);
        for reply in replies {
            let code = match reply {
                Reply::Http { status, .. } if *status >= 500 => status.to_string(),
                Reply::NoAnswer { .. } => "no answer".to_owned(),
                Reply::Command { status, .. } if *status != 0 => format!("exit {status}"),
                Reply::Sql {
                    error: Some(error), ..
                } if is_conflict(&error.code) => error.code.clone(),
                _ => continue,
            };
            let same = matches!(reply, Reply::Sql { .. }).then_some(code.as_str());
            out.push(Reached {
                actor,
                cause: cause(record, actor, same),
                code,
            });
        }
    }
    out
}

fn is_conflict(code: &str) -> bool {
    code.starts_with("40") || code.starts_with("23") || code == "55P03"
}

/// The actor's last step with an error (of this SQLSTATE, if given).
fn cause(record: &Record, actor: Actor, code: Option<&str>) -> Option<(usize, String)> {
    record
        .steps
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, step)| step.actor == actor)
        .find_map(|(n, step)| {
            let error = step.error.as_ref()?;
            // 25P02 only repeats that the transaction has failed before.
            (error.code != "25P02" && code.is_none_or(|code| code == error.code))
                .then(|| (n, error.code.clone()))
        })
}

/// Whether the last thing that the actor was told is that it failed.
pub(crate) fn failed(record: &Record, actor: Actor) -> bool {
    let replies = record.replies.get(usize::from(actor.0));
    match replies.and_then(|replies| replies.last()) {
        Some(Reply::Http { status, .. }) => *status >= 400,
        Some(Reply::NoAnswer { .. }) => true,
        Some(Reply::Command { status, .. }) => *status != 0,
        Some(Reply::Sql { error, .. }) => error.is_some(),
        None => false,
    }
}

/// Whether anything that the actor wrote was committed.
pub fn wrote(record: &Record, actor: Actor) -> bool {
    transactions(record).iter().any(|tx| {
        tx.actor == actor
            && tx.committed.is_some()
            && tx.steps.iter().any(|n| record.steps[*n].writes_data())
    })
}

/// Actors that count as absent: they wrote nothing and were told an error that asks for a retry or that is allowed. An
/// allowed status may be one of the service's own, such as a 409 to whoever came too late.
pub fn cleanly_failed(record: &Record, rules: &Rules) -> BTreeSet<Actor> {
    let errors = reached(record)
        .into_iter()
        .filter(|error| error.is_retryable() || error.is_allowed(rules))
        .map(|error| error.actor);
    let allowed = |reply: &Reply| matches!(reply, Reply::Http { status, .. } if *status >= 400 && rules.allows(&status.to_string()));
    let turned_down = (0..)
        .map(Actor)
        .zip(&record.replies)
        .filter(|(_, replies)| replies.iter().any(allowed))
        .map(|(actor, _)| actor);
    errors
        .chain(turned_down)
        .filter(|actor| !wrote(record, *actor))
        .collect()
}

/// What a step did to data, judged by what the database answered and the statement's own words.
pub(crate) trait Effects {
    /// Whether it changed rows (locking them is no change).
    fn writes_data(&self) -> bool;
    /// Whether it only inserted.
    fn inserts(&self) -> bool;
    /// Whether it only inserted, and read this table for no more than its foreign keys.
    fn only_checks_keys_of(&self, table: &str) -> bool;
    /// Whether it is a SELECT that locks the rows that it reads.
    fn locks_reads(&self) -> bool;
    /// Whether it reads the rows that it finds once more when it has got them locked: an UPDATE does, an INSERT with a
    /// condition and a function do not.
    fn locks_what_it_reads(&self) -> bool;
}

impl Effects for deadheat_lab::record::Step {
    fn writes_data(&self) -> bool {
        // A commit publishes what was written before.
        if self.error.is_some() || self.kind != StepKind::Work {
            return false;
        }
        let changed = self.tags.iter().any(|tag| {
            let verb = tag.split(' ').next().unwrap_or_default();
            matches!(verb, "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "COPY")
                && !tag.ends_with(" 0")
        });
        // A function called by SELECT may write; a locking SELECT does not.
        let by_select = self.accesses.iter().any(|access| access.write)
            && !self.locks_reads()
            && self.tags.iter().all(|tag| !is_plain_write(tag));
        changed || by_select
    }

    fn inserts(&self) -> bool {
        self.statements
            .iter()
            .any(|statement| first_word(&statement.sql) == "insert")
    }

    fn only_checks_keys_of(&self, table: &str) -> bool {
        // `INSERT … SELECT`, or a value that is selected, reads for itself.
        let selects = |statement: &Statement| statement.sql.to_lowercase().contains("select");
        let writes = |access: &Access| access.write && access.table == table;
        self.inserts() && !self.statements.iter().any(selects) && !self.accesses.iter().any(writes)
    }

    fn locks_reads(&self) -> bool {
        self.statements.iter().any(|statement| {
            let sql = statement.sql.to_lowercase();
            [
                "for update",
                "for no key update",
                "for share",
                "for key share",
            ]
            .iter()
            .any(|lock| sql.contains(lock))
        })
    }

    fn locks_what_it_reads(&self) -> bool {
        let updates = |statement: &Statement| {
            matches!(
                first_word(&statement.sql).as_str(),
                "update" | "delete" | "merge"
            )
        };
        self.locks_reads() || self.statements.iter().any(updates)
    }
}

fn is_plain_write(tag: &str) -> bool {
    ["INSERT", "UPDATE", "DELETE", "MERGE", "COPY"]
        .iter()
        .any(|verb| tag.starts_with(verb))
}

pub(crate) fn first_word(sql: &str) -> String {
    sql.trim_start()
        .chars()
        .take_while(|c| c.is_alphabetic())
        .flat_map(char::to_lowercase)
        .collect()
}
