//! A run as a list of moments: what a timeline shows of each step, before it is laid out.

use std::collections::BTreeSet;

use deadheat_lab::record::{Record, Reply, StepKind};
use deadheat_verdict::words;

use crate::style::Ink;

/// One thing to show.
pub(crate) enum Moment {
    /// A step of an actor.
    Step {
        /// Number of the step, from 1.
        number: usize,
        actor: usize,
        /// The statement, on one line.
        text: String,
        /// What came of it, each on a line of its own.
        notes: Vec<(Ink, String)>,
        /// Whether it is shown in full.
        matters: bool,
    },
    /// An actor that had waited goes on; after the step of this number.
    GoesOn { actor: usize },
    /// Steps left out.
    Fold { text: String },
}

impl Moment {
    /// Whose moment it is.
    pub(crate) fn actor(&self) -> Option<usize> {
        match self {
            Self::Step { actor, .. } | Self::GoesOn { actor } => Some(*actor),
            Self::Fold { .. } => None,
        }
    }
}

/// The moments of a run; steps not in `matters` are folded. With no step that matters nothing is folded.
pub(crate) fn moments(record: &Record, matters: &BTreeSet<usize>) -> Vec<Moment> {
    let mut out = Vec::new();
    let mut hidden: Vec<usize> = Vec::new();
    let involved: BTreeSet<usize> = matters
        .iter()
        .filter_map(|n| record.steps.get(*n))
        .flat_map(|step| std::iter::once(&step.actor).chain(&step.blocked_by))
        .map(|actor| usize::from(actor.0))
        .collect();
    for (n, step) in record.steps.iter().enumerate() {
        if !matters.is_empty() && !matters.contains(&n) {
            hidden.push(n);
            continue;
        }
        out.extend(fold(record, &mut hidden, &involved));
        out.push(shown(record, n, true));
        for woken in step.wakes.iter().filter(|a| **a != step.actor) {
            out.push(Moment::GoesOn {
                actor: usize::from(woken.0),
            });
        }
    }
    out.extend(fold(record, &mut hidden, &involved));
    out
}

/// One hidden step takes as much room shown as folded, so it is shown where its actor has other steps shown.
fn fold(record: &Record, hidden: &mut Vec<usize>, involved: &BTreeSet<usize>) -> Option<Moment> {
    let all = std::mem::take(hidden);
    match all.as_slice() {
        [] => None,
        [one] if involved.contains(&usize::from(record.steps[*one].actor.0)) => {
            Some(shown(record, *one, false))
        }
        many => {
            let steps = || many.iter().map(|n| &record.steps[*n]);
            let writes = steps().any(|s| s.accesses.iter().any(|a| a.write));
            let names: BTreeSet<String> = steps().map(|s| words::name(record, s.actor)).collect();
            let names = words::list(&names.into_iter().collect::<Vec<_>>());
            let what = match (writes, many.len()) {
                (true, 1) => "other step",
                (true, _) => "other steps",
                (false, 1) => "step that changes nothing",
                (false, _) => "steps that change nothing",
            };
            Some(Moment::Fold {
                text: format!("… {} {what} ({names})", many.len()),
            })
        }
    }
}

fn shown(record: &Record, n: usize, matters: bool) -> Moment {
    let step = &record.steps[n];
    Moment::Step {
        number: n + 1,
        actor: usize::from(step.actor.0),
        text: words::statement(step),
        notes: if matters {
            notes(record, n)
        } else {
            Vec::new()
        },
        matters,
    }
}

fn notes(record: &Record, n: usize) -> Vec<(Ink, String)> {
    let step = &record.steps[n];
    let mut out = Vec::new();
    if !step.blocked_by.is_empty() {
        let names: Vec<String> = step
            .blocked_by
            .iter()
            .map(|a| words::name(record, *a))
            .collect();
        out.push((Ink::Wait, format!("… waits for {}", words::list(&names))));
    }
    if let Some(error) = &step.error {
        out.push((Ink::Bad, format!("✗ {} {}", error.code, error.message)));
    } else if step.kind != StepKind::GapCommit
        && let Some(value) = words::value(step)
    {
        out.push((Ink::Value, format!("→ {value}")));
    } else if step.kind == StepKind::Commit && step.tags.iter().any(|tag| tag == "ROLLBACK") {
        out.push((Ink::Bad, "→ rolled back".to_owned()));
    } else if step.kind == StepKind::Work
        && let Some(tag) = step.tags.iter().find(|tag| tag.ends_with(" 0"))
    {
        out.push((Ink::Value, format!("→ {tag}")));
    }
    let last = record
        .steps
        .iter()
        .rposition(|other| other.actor == step.actor)
        == Some(n);
    if last && let Some(told) = told(record, usize::from(step.actor.0)) {
        out.push((Ink::Value, told));
    }
    out
}

/// What an actor with a single request was told; where there are several, it is not known after which step each came.
fn told(record: &Record, actor: usize) -> Option<String> {
    const LONGEST: usize = 60;
    let [reply] = record.replies.get(actor)?.as_slice() else {
        return None;
    };
    let text = match reply {
        Reply::Http { status, body, .. } => format!("{status} {}", words::one_line(body)),
        Reply::NoAnswer { error, .. } => format!("no answer: {error}"),
        Reply::Command { status, .. } => format!("exit {status}"),
        Reply::Sql { .. } => return None,
    };
    Some(words::cut(format!("⇐ {text}").trim_end(), LONGEST))
}
