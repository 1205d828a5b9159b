//! Names for what went wrong.
//!
//! Anomalies as in Adya's thesis (G0 … G2), Berenson et al. (P4) and Hermitage (OTV, PMP, G-single). Where a cycle
//! does not bear a name, none is given.

use deadheat_lab::record::Record;
use serde::{Deserialize, Serialize};

use crate::errors::Effects;
use crate::graph::{Dependency, Edge};

/// The literature's name of a cycle of dependencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Anomaly {
    /// Write cycles.
    G0,
    /// Aborted reads.
    G1a,
    /// Intermediate reads.
    G1b,
    /// Circular information flow.
    G1c,
    /// Observed transaction vanishes.
    #[serde(rename = "OTV")]
    Otv,
    /// Predicate-many-preceders.
    #[serde(rename = "PMP")]
    Pmp,
    /// Lost update.
    P4,
    /// A cycle with a single anti-dependency.
    #[serde(rename = "G-single")]
    GSingle,
    /// Anti-dependencies on rows.
    #[serde(rename = "G2-item")]
    G2Item,
    /// Anti-dependencies, at least one on a predicate.
    G2,
}

/// What a race is called in reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A write overwrote another that its author had not seen.
    LostUpdate,
    /// Two read what both needed and wrote apart from each other.
    WriteSkew,
    /// One read half of the old state and half of the new.
    ReadSkew,
    /// Something was checked, and no longer true when it was acted on.
    CheckThenAct,
    /// Uncommitted data was read.
    DirtyRead,
    /// Old data was read and acted on after it had been replaced.
    StaleRead,
    /// The same row was inserted twice.
    DuplicateInsert,
    /// The database ended somebody's transaction because of a deadlock.
    Deadlock,
    /// The database refused a transaction that could not be serialized, and the user was told.
    SerializationFailure,
    /// A task was never run.
    LostTask,
    /// An error reached a user that no serial order has.
    UnhandledError,
    /// No actor can move.
    Stuck,
    /// A check of the scenario is broken, and the cause has no name.
    Invariant,
    /// None of these.
    Other,
}

macro_rules! by_serde {
    ($($type:ty),*) => {$(
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.serialize(f)
            }
        }
    )*};
}
by_serde!(Anomaly, Kind);

/// The names of a cycle.
pub(crate) fn name(record: &Record, cycle: &[Edge]) -> (Option<Anomaly>, Kind) {
    let overtaken: Vec<&Edge> = cycle.iter().filter(|e| e.kind == Dependency::Rw).collect();
    match overtaken.as_slice() {
        [] if cycle.iter().all(|e| e.kind == Dependency::Ww) => (Some(Anomaly::G0), Kind::Other),
        [] => (Some(Anomaly::G1c), Kind::Other),
        [read] => single(record, cycle, read),
        _ => {
            let predicate = overtaken.iter().any(|e| e.predicate);
            let anomaly = if predicate {
                Anomaly::G2
            } else {
                Anomaly::G2Item
            };
            (Some(anomaly), skew(record, &overtaken))
        }
    }
}

fn single(record: &Record, cycle: &[Edge], read: &Edge) -> (Option<Anomaly>, Kind) {
    let back = cycle.iter().find(|e| e.to == read.from);
    let Some(back) = back else {
        return (Some(Anomaly::GSingle), Kind::Other);
    };
    if back.kind == Dependency::Ww {
        // A read whose row is not known was by another key than the write, and met it.
        let same = cycle.len() == 2
            && back.table == read.table
            && (back.row == read.row || read.predicate || read.row.is_none());
        let relative = is_relative(record, back.to_step);
        return match (same, relative) {
            (true, false) => (Some(Anomaly::P4), Kind::LostUpdate),
            (true, true) => (Some(Anomaly::GSingle), Kind::CheckThenAct),
            (false, _) => (Some(Anomaly::GSingle), Kind::StaleRead),
        };
    }
    let anomaly = if read.predicate {
        Anomaly::Pmp
    } else {
        Anomaly::GSingle
    };
    let kind = if crate::errors::wrote(record, read.from) {
        Kind::StaleRead
    } else {
        Kind::ReadSkew
    };
    (Some(anomaly), kind)
}

fn skew(record: &Record, overtaken: &[&Edge]) -> Kind {
    let writes: Vec<&deadheat_lab::record::Step> = overtaken
        .iter()
        .filter_map(|e| record.steps.get(e.to_step))
        .collect();
    if !writes.iter().any(|step| step.inserts()) {
        return Kind::WriteSkew;
    }
    let params = |step: &deadheat_lab::record::Step| step.statements.clone();
    let all_same = writes
        .windows(2)
        .all(|pair| params(pair[0]) == params(pair[1]));
    if all_same {
        Kind::DuplicateInsert
    } else {
        Kind::CheckThenAct
    }
}

/// Whether the step's UPDATE computes a column from that column itself (`set n = n + 1`): then nothing of the other
/// write is lost.
pub(crate) fn is_relative(record: &Record, step: usize) -> bool {
    record
        .steps
        .get(step)
        .is_some_and(|step| step.statements.iter().any(|s| computes_from_itself(&s.sql)))
}

fn computes_from_itself(sql: &str) -> bool {
    let sql = sql.to_lowercase().replace(['"', '`'], "");
    let words: Vec<&str> = sql
        .split(|c: char| c.is_whitespace() || "+-*/(),".contains(c))
        .flat_map(|word| word.split_inclusive('='))
        .filter(|word| !word.is_empty())
        .collect();
    let Some(set) = words.iter().position(|word| *word == "set") else {
        return false;
    };
    let end = words[set..]
        .iter()
        .position(|word| *word == "where")
        .map_or(words.len(), |n| set + n);
    let names = |word: &str| {
        word.rsplit('.')
            .next()
            .unwrap_or_default()
            .trim_end_matches('=')
            .to_owned()
    };
    let assignments = &words[set + 1..end];
    assignments.iter().enumerate().any(|(n, word)| {
        let target = word.len() > 1 && word.ends_with('=') || assignments.get(n + 1) == Some(&"=");
        let rest = assignments.get(n + 1..).unwrap_or_default();
        target
            && rest
                .iter()
                .skip_while(|w| **w == "=")
                .take_while(|w| !w.ends_with('='))
                .any(|w| names(w) == names(word))
    })
}

#[cfg(test)]
mod tests {
    use super::computes_from_itself;

    #[test]
    fn an_update_that_counts_on_is_told_from_one_that_sets() {
        for sql in [
            "update seats set taken = taken + 1 where id = 1",
            "UPDATE \"stock\" SET \"allocated\"=\"stock\".\"allocated\" + $1 WHERE id = 1",
            "update t set a = 1, n=n-1",
        ] {
            assert!(computes_from_itself(sql), "{sql}");
        }
        for sql in [
            "update accounts set balance = $1 where id = 1",
            "update t set a = b, c = 5 where a = c",
            "insert into t values (1)",
        ] {
            assert!(!computes_from_itself(sql), "{sql}");
        }
    }
}
