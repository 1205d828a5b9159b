//! Names for what went wrong.
//!
//! Anomalies as in Adya's thesis (G0 … G2), Berenson et al. (P4) and Hermitage (OTV, PMP, G-single). Where a cycle
//! does not bear a name, none is given.

use deadheat_lab::record::Record;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::changes;
use crate::errors::Effects;
use crate::graph::{Dependency, Edge};

/// The literature's name of a cycle of dependencies.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
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
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
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
    /// Work was read that was not finished: of a transaction, or of an actor between two of its own.
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
    /// An actor crashed when part of what it does was committed, and the rest was never done.
    HalfDone,
    /// A service was killed and started again, and what it had in memory was missed.
    LostState,
    /// What came twice was not done once.
    DoneTwice,
    /// An error reached a user that no serial order has.
    UnhandledError,
    /// No actor can move.
    Stuck,
    /// An actor finished and left a transaction open.
    LeftOpen,
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
        // Of each, half is overwritten by the other, who has not seen it.
        [] if cycle.iter().all(|e| e.kind == Dependency::Ww) => {
            (Some(Anomaly::G0), Kind::LostUpdate)
        }
        [] => (Some(Anomaly::G1c), Kind::DirtyRead),
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
        let kept = changes::keeps(record, back.from_step, back.to_step);
        return match (same, kept) {
            (true, false) => (Some(Anomaly::P4), Kind::LostUpdate),
            (true, true) => (Some(Anomaly::GSingle), Kind::CheckThenAct),
            (false, _) => (Some(Anomaly::GSingle), Kind::StaleRead),
        };
    }
    if is_intermediate(cycle, read) {
        let anomaly = if crate::errors::failed(record, back.from) {
            Anomaly::G1a
        } else {
            Anomaly::G1b
        };
        return (Some(anomaly), Kind::DirtyRead);
    }
    let kind = if crate::errors::wrote(record, read.from) {
        Kind::StaleRead
    } else {
        Kind::ReadSkew
    };
    (Some(half_seen(cycle, read, back)), kind)
}

/// One saw some of what another wrote and missed the rest: what that is called depends on how it asked.
fn half_seen(cycle: &[Edge], missed: &Edge, seen: &Edge) -> Anomaly {
    let two = cycle.len() == 2;
    let together = seen.committed == missed.committed;
    if two && together && seen.to_step < missed.from_step {
        // It had seen the transaction, and then it was gone.
        Anomaly::Otv
    } else if two && seen.table == missed.table && seen.predicate && missed.predicate {
        Anomaly::Pmp
    } else {
        Anomaly::GSingle
    }
}

/// Whether one read of one row saw what another had written and not yet what it wrote there afterwards.
pub(crate) fn is_intermediate(cycle: &[Edge], read: &Edge) -> bool {
    let [one, other] = cycle else {
        return false;
    };
    let back = if one.kind == Dependency::Rw {
        other
    } else {
        one
    };
    back.kind == Dependency::Wr
        && back.to_step == read.from_step
        && back.table == read.table
        && back.row.is_some()
        && back.row == read.row
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
