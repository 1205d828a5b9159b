//! Whether two runs of one schedule went the same way, and where they parted.

use std::collections::BTreeSet;

use deadheat_explore::Actor;

use crate::error::Difference;
use crate::record::{Record, Statement, Step, StepKind};

/// The first step at which two runs of one schedule differ; steps that only read and conflict with nothing may come
/// and go.
pub fn first_difference(one: &Record, other: &Record) -> Option<Difference> {
    let record = one;
    let written = written_tables(one, other);
    let mattering = |record: &'_ Record| -> Vec<(usize, Step)> {
        let steps = record.steps.iter().cloned().enumerate();
        steps
            .filter(|(_, step)| !is_incidental(step, &written))
            .collect()
    };
    let (one, other) = (mattering(one), mattering(other));
    (0..one.len().max(other.len())).find_map(|place| {
        let step = one.get(place).map_or(record.steps.len(), |(at, _)| *at);
        let (one, other) = (
            one.get(place).map(|(_, step)| step),
            other.get(place).map(|(_, step)| step),
        );
        let same = matches!((one, other), (Some(one), Some(other))
            if one.identity() == other.identity());
        (!same).then(|| Difference::at(record, step, shown(record, one), shown(record, other)))
    })
}

/// The tables that one of the runs has written, as far as their steps say.
fn written_tables(one: &Record, other: &Record) -> BTreeSet<String> {
    let steps = one.steps.iter().chain(&other.steps);
    steps
        .flat_map(|step| &step.accesses)
        .filter(|access| access.write)
        .map(|access| access.table.clone())
        .collect()
}

/// Whether the step did nothing but read tables that nobody wrote: it may come and go with a cache.
fn is_incidental(step: &Step, written: &BTreeSet<String>) -> bool {
    step.kind == StepKind::Work
        && step.error.is_none()
        && step.blocked_by.is_empty()
        && step.wakes.is_empty()
        && !step.accesses.is_empty()
        && step
            .accesses
            .iter()
            .all(|access| !access.write && !written.contains(&access.table))
}

/// A step in words: what it did, what was answered, who waited and who went on.
fn shown(record: &Record, step: Option<&Step>) -> String {
    let Some(step) = step else {
        return "(the run was over)".to_owned();
    };
    let statements: Vec<String> = step.statements.iter().map(Statement::in_one_line).collect();
    let mut text = match step.kind {
        StepKind::GapCommit => "(commit of the statement before)".to_owned(),
        _ if statements.is_empty() => "(no statement)".to_owned(),
        _ => statements.join("; "),
    };
    let names = |actors: &[Actor]| {
        let names = actors
            .iter()
            .map(|one| record.actors[usize::from(one.0)].as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    if let Some(error) = &step.error {
        text.push_str(&format!(" → {} {}", error.code, error.message));
    } else if !step.tags.is_empty() {
        text.push_str(&format!(" → {}", step.tags.join(", ")));
    }
    if !step.blocked_by.is_empty() {
        text.push_str(&format!(", waits for {}", names(&step.blocked_by)));
    }
    if !step.wakes.is_empty() {
        text.push_str(&format!(", then {} goes on", names(&step.wakes)));
    }
    text
}
