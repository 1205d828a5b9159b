//! A race in all its parts: what it is called, why it happened, what of the run matters.

use std::collections::BTreeSet;

use deadheat_explore::Actor;
use deadheat_lab::record::{Invariant, LeftOpen, Record};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::anomaly::{self, Anomaly, Kind};
use crate::differ::Difference;
use crate::errors::Reached;
use crate::graph::{self, Edge};
use crate::{explain, faults, refusals, words};

/// A serial order, and what the run has otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SerialOrder {
    /// Who comes when, by name.
    pub order: Vec<String>,
    /// What differs.
    pub differs: Vec<Difference>,
    /// How many further differences there are.
    #[serde(default, skip_serializing_if = "is_none")]
    pub more: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde hands out references
fn is_none(count: &usize) -> bool {
    *count == 0
}

/// A race.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What reports call it.
    pub kind: Kind,
    /// What the literature calls it, where the cycle bears a name.
    pub anomaly: Option<Anomaly>,
    /// The checks that failed: `serial`, `errors`, `stuck`, `left open`, and names of invariants.
    pub checks: Vec<String>,
    /// Dependencies that go round in a circle; empty where none was found.
    pub cycle: Vec<Edge>,
    /// Indexes of the steps that matter.
    pub matters: BTreeSet<usize>,
    /// The explanation, a sentence each.
    pub why: Vec<String>,
    /// What differs from the nearest serial outcome.
    pub differs: Vec<Difference>,
    /// The serial order with the nearest outcome, by names.
    pub nearest: Vec<String>,
    /// The known serial orders, the nearest first; of many, only so many.
    pub orders: Vec<SerialOrder>,
}

impl Finding {
    /// The steps of the cycle in the order of its edges.
    pub fn cycle_steps(&self) -> Vec<usize> {
        let mut steps: Vec<usize> = self
            .cycle
            .iter()
            .flat_map(|e| [e.from_step, e.to_step])
            .collect();
        steps.dedup();
        steps
    }
}

/// What is wrong with a run besides its outcome.
#[derive(Clone, Copy)]
pub(crate) struct Wrong<'a> {
    /// Invariants that are broken here and in no serial order.
    pub broken: &'a [&'a Invariant],
    /// Errors that reached actors here and in no serial order.
    pub errors: &'a [Reached],
    /// Transactions left open here and in no serial order.
    pub left_open: &'a [LeftOpen],
}

/// Whether serial equivalence is known to be broken, and the nearest serial order with what differs.
pub(crate) type Against<'a> = (bool, Option<(&'a [Actor], &'a [Difference])>);

/// The finding that says so; `nearest_record`: the run of the nearest serial order.
pub(crate) fn finding(
    record: &Record,
    nearest_record: Option<&Record>,
    wrong: &Wrong<'_>,
    against: Against<'_>,
) -> Finding {
    let (serial, against) = against;
    let Wrong {
        broken,
        errors,
        left_open,
    } = *wrong;
    let (nearest, differs) = against.map_or_else(Default::default, |(order, differs)| {
        (
            order.iter().map(|a| words::name(record, *a)).collect(),
            differs.to_vec(),
        )
    });
    let tables: Vec<String> = differs
        .iter()
        .filter_map(|d| match d {
            Difference::Row { table, .. } => Some(table.clone()),
            _ => None,
        })
        .collect();
    let cycle = graph::cycle(&graph::edges(record), &tables).unwrap_or_default();
    let retryable = errors.iter().find(|e| e.is_retryable());
    // Nothing is wrong but what somebody was told.
    let told = tables.is_empty() && broken.is_empty();
    let (anomaly, kind) = match retryable {
        Some(error) if told || cycle.is_empty() => (None, aborted(error)),
        None if told && !errors.is_empty() => (None, Kind::UnhandledError),
        None if told && !serial && !left_open.is_empty() => (None, Kind::LeftOpen),
        _ if !cycle.is_empty() => anomaly::name(record, &cycle),
        _ if !errors.is_empty() => (None, Kind::UnhandledError),
        _ if !broken.is_empty() => (None, Kind::Invariant),
        _ if !left_open.is_empty() => (None, Kind::LeftOpen),
        _ => (None, Kind::Other),
    };
    let blame = faults::blame(record, nearest_record);
    let named = cycle.is_empty() && errors.is_empty() && serial;
    let kind = blame.kind.filter(|_| named).unwrap_or(kind);
    let mut why = blame.why;
    let only_here = nearest_record.map_or_else(Vec::new, |serial| {
        explain::only_here(record, serial, &cycle)
    });
    if retryable.is_none() || !told {
        why.extend(explain::cycle(record, &cycle));
        why.extend(explain::not_serially(record, &only_here, &cycle));
    }
    why.extend(refusals::errors(record, errors));
    why.extend(explain::broken(record, broken));
    why.extend(explain::left_open(record, left_open));
    if why.is_empty() {
        why.extend(explain::unsure(record));
        why.extend(differs.iter().take(2).map(|d| format!("{d}.")));
    }
    let mut matters = explain::matters(record, &cycle, errors);
    matters.extend(blame.matters);
    matters.extend(explain::of_open(record, left_open));
    matters.extend(only_here);
    matters.extend(
        broken
            .iter()
            .map(|i| i.at)
            .filter(|at| *at < record.steps.len()),
    );
    Finding {
        kind,
        anomaly,
        checks: checks(serial, wrong),
        cycle,
        matters,
        why,
        differs,
        nearest,
        orders: Vec::new(),
    }
}

fn checks(serial: bool, wrong: &Wrong<'_>) -> Vec<String> {
    let mut checks = Vec::new();
    if serial {
        checks.push("serial".to_owned());
    }
    if !wrong.errors.is_empty() {
        checks.push("errors".to_owned());
    }
    if !wrong.left_open.is_empty() {
        checks.push("left open".to_owned());
    }
    checks.extend(wrong.broken.iter().map(|i| i.name.clone()));
    checks
}

/// Each broken invariant where it was first seen broken.
pub(crate) fn first_broken(record: &Record) -> Vec<&Invariant> {
    let mut out: Vec<&Invariant> = Vec::new();
    for invariant in record.invariants.iter().filter(|i| !i.holds) {
        match out.iter_mut().find(|known| known.name == invariant.name) {
            Some(known) if invariant.at < known.at => *known = invariant,
            Some(_) => {}
            None => out.push(invariant),
        }
    }
    out
}

fn aborted(error: &Reached) -> Kind {
    let code = error
        .cause
        .as_ref()
        .map_or(error.code.as_str(), |(_, code)| code);
    if code == "40P01" || error.code == "40P01" {
        Kind::Deadlock
    } else {
        Kind::SerializationFailure
    }
}
