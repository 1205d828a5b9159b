//! What a run of a spec came to: what each step printed, and what the tables hold at the end.

use std::collections::{BTreeMap, BTreeSet};

use similar::TextDiff;

/// What a run came to, part by part.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Outcome {
    /// By session and place in it: the step's name, and what it printed.
    pub(super) steps: BTreeMap<(usize, usize), (String, String)>,
    /// By name: the rows, one a line.
    pub(super) tables: BTreeMap<String, String>,
    /// Sessions that wait for ever.
    pub(super) stuck: BTreeSet<usize>,
    /// Sessions that were told to try again: a deadlock, a serialization failure.
    pub(super) aborted: BTreeSet<usize>,
}

/// A part of an outcome.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Step((usize, usize)),
    Table(String),
}

impl Outcome {
    /// The parts in which two outcomes differ.
    pub(super) fn differing(&self, other: &Self) -> BTreeSet<Part> {
        let steps = self
            .steps
            .iter()
            .filter(|(at, one)| other.steps.get(at) != Some(one));
        let tables = self
            .tables
            .iter()
            .filter(|(name, rows)| other.tables.get(*name) != Some(rows));
        let steps = steps.map(|(at, _)| Part::Step(*at));
        steps
            .chain(tables.map(|(name, _)| Part::Table(name.clone())))
            .collect()
    }

    /// Without parts that change from run to run.
    pub(super) fn without(mut self, volatile: &BTreeSet<Part>) -> Self {
        self.steps
            .retain(|at, _| !volatile.contains(&Part::Step(*at)));
        self.tables
            .retain(|name, _| !volatile.contains(&Part::Table(name.clone())));
        self
    }

    /// Only what these sessions saw, and the tables.
    pub(super) fn of(mut self, sessions: &BTreeSet<usize>) -> Self {
        self.steps
            .retain(|(session, _), _| sessions.contains(session));
        self.stuck.clear();
        self.aborted.clear();
        self
    }

    /// As text, to be compared and read.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (name, printed) in self.steps.values() {
            text.push_str(&format!("step {name}\n{}", indented(printed)));
        }
        for (name, rows) in &self.tables {
            text.push_str(&format!("table {name}\n{}", indented(rows)));
        }
        text
    }

    /// How its text differs from another's: only what does, with the step or table it belongs to.
    pub(super) fn against(&self, other: &Self) -> (usize, String) {
        let parts = self.differing(other);
        let keep = |outcome: &Self| {
            let mut kept = outcome.clone();
            kept.steps.retain(|at, _| parts.contains(&Part::Step(*at)));
            kept.tables
                .retain(|name, _| parts.contains(&Part::Table(name.clone())));
            kept.text()
        };
        let (theirs, mine) = (keep(other), keep(self));
        let diff = TextDiff::from_lines(&theirs, &mine);
        let lines = diff
            .iter_all_changes()
            .map(|change| format!("{}{}", change.tag(), change.value()));
        (parts.len(), lines.collect())
    }
}

fn indented(text: &str) -> String {
    let lines = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty());
    lines.flat_map(|line| ["  ", line, "\n"]).collect()
}
