//! Why it happened, in a few plain sentences.

use std::collections::BTreeSet;

use deadheat_explore::Actor;
use deadheat_lab::record::{End, Invariant, Record, StepKind};

use crate::errors::{Effects, Reached};
use crate::graph::{Dependency, Edge, transactions};
use crate::words;

/// Statements in sentences are cut here.
const WIDTH: usize = 70;

/// Sentences for a cycle.
pub(crate) fn cycle(record: &Record, cycle: &[Edge]) -> Vec<String> {
    let Some(main) = cycle.iter().find(|e| e.kind == Dependency::Rw) else {
        return plain_cycle(record, cycle);
    };
    let (a, b) = (words::name(record, main.from), words::name(record, main.to));
    let mut out = vec![format!("{a} {}.", read(record, main.from_step))];
    let write = &step(record, main.to_step);
    if main.to_step < main.from_step {
        out.push(format!(
            "{b}'s {write} had run by then but was committed only later (step {}), so {a} could not see it.",
            main.committed + 1
        ));
    } else if main.committed > main.to_step {
        out.push(format!(
            "Then {b} ran {write} and committed it (step {}): what {a} had read was out of date.",
            main.committed + 1
        ));
    } else {
        out.push(format!(
            "Then {b} committed {write}: what {a} had read was out of date."
        ));
    }
    if let Some(act) = acted(record, main, cycle) {
        let lost = cycle
            .iter()
            .any(|e| e.kind == Dependency::Ww && e.to_step == act && e.table == main.table);
        let lost = lost && !crate::anomaly::is_relative(record, act);
        let over = if lost {
            format!(" and overwrote {b}'s write")
        } else {
            String::new()
        };
        out.push(format!(
            "{a} went on with what it had read{over}: {}.",
            step(record, act)
        ));
    }
    for other in cycle
        .iter()
        .filter(|e| e.kind == Dependency::Rw && *e != main)
    {
        out.push(format!(
            "{}, too, {}, before {}'s write was committed: neither saw the other.",
            words::name(record, other.from),
            read(record, other.from_step),
            words::name(record, other.to)
        ));
    }
    for back in cycle.iter().filter(|e| e.kind == Dependency::Wr) {
        out.push(format!(
            "But {} also {}, which already had {}'s write: half old, half new.",
            words::name(record, back.to),
            read(record, back.to_step),
            words::name(record, back.from)
        ));
    }
    out
}

fn plain_cycle(record: &Record, cycle: &[Edge]) -> Vec<String> {
    cycle
        .iter()
        .map(|e| {
            let verb = if e.kind == Dependency::Ww {
                "overwrote"
            } else {
                "read"
            };
            format!(
                "{} with {} {verb} what {} had written with {}.",
                words::name(record, e.to),
                step(record, e.to_step),
                words::name(record, e.from),
                step(record, e.from_step)
            )
        })
        .collect()
}

/// The write that the reader of the main edge made after reading.
fn acted(record: &Record, main: &Edge, cycle: &[Edge]) -> Option<usize> {
    let on_cycle = cycle
        .iter()
        .filter(|e| e.to == main.from && e.kind != Dependency::Wr)
        .map(|e| e.to_step)
        .find(|n| *n > main.from_step);
    on_cycle.or_else(|| {
        (main.from_step + 1..record.steps.len())
            .find(|n| record.steps[*n].actor == main.from && record.steps[*n].writes_data())
    })
}

fn read(record: &Record, n: usize) -> String {
    let Some(value) = record.steps.get(n).and_then(words::value) else {
        return format!("decided by {}", step(record, n));
    };
    format!("read {value} with {}", step(record, n))
}

fn step(record: &Record, n: usize) -> String {
    let text = record.steps.get(n).map(words::essence).unwrap_or_default();
    format!("`{}` (step {})", words::cut(&text, WIDTH), n + 1)
}

/// Sentences for errors that reached actors.
pub(crate) fn errors(record: &Record, errors: &[Reached]) -> Vec<String> {
    let mut out = Vec::new();
    for error in errors {
        let name = words::name(record, error.actor);
        let told = match error.code.as_str() {
            "no answer" => "got no answer".to_owned(),
            code if code.starts_with("exit") => format!("ended with {code}"),
            code if code.len() == 3 => format!("was answered {code}"),
            code => format!("got error {code}"),
        };
        let Some((n, code)) = &error.cause else {
            out.push(format!("{name} {told}, which happens in no serial order."));
            continue;
        };
        let blocked = record.steps[*n].blocked_by.as_slice();
        if code == "40P01" {
            out.extend(held(record, *n));
        } else if !blocked.is_empty() {
            out.push(format!(
                "{name}'s {} waited for {}.",
                step(record, *n),
                names(record, blocked)
            ));
        }
        let message = record.steps[*n]
            .error
            .as_ref()
            .map_or("", |e| e.message.as_str());
        out.push(format!(
            "The database refused {name}'s {} with {code} ({message}); {name} {told}, which happens in no serial order.",
            step(record, *n)
        ));
    }
    out
}

/// Who waited for whom when the deadlock closed.
fn held(record: &Record, victim: usize) -> Vec<String> {
    let waits = |n: &usize| {
        let step = &record.steps[*n];
        let woken = record.steps[*n..victim]
            .iter()
            .any(|later| later.wakes.contains(&step.actor));
        !step.blocked_by.is_empty() && !woken
    };
    (0..=victim)
        .filter(waits)
        .map(|n| {
            let s = &record.steps[n];
            format!(
                "{} waits at {} for {}.",
                words::name(record, s.actor),
                step(record, n),
                names(record, &s.blocked_by)
            )
        })
        .collect()
}

fn names(record: &Record, actors: &[Actor]) -> String {
    let names: Vec<String> = actors.iter().map(|a| words::name(record, *a)).collect();
    words::list(&names)
}

/// Sentences for a run in which nobody can move.
pub(crate) fn stuck(record: &Record) -> Vec<String> {
    let End::Stuck(waits) = &record.end else {
        return Vec::new();
    };
    let mut out = vec!["No actor can move any more.".to_owned()];
    for (actor, what) in waits {
        out.push(format!("{} waits for {what}.", words::name(record, *actor)));
    }
    out
}

/// Sentences for broken invariants.
pub(crate) fn broken(record: &Record, invariants: &[&Invariant]) -> Vec<String> {
    invariants
        .iter()
        .map(|i| {
            let at = if i.at < record.steps.len() {
                format!("after step {}", i.at + 1)
            } else {
                "in the end".to_owned()
            };
            format!("\"{}\" does not hold {at} (it said {}).", i.name, i.said)
        })
        .collect()
}

/// The steps that matter: those of the cycle, what committed them, who waited and who woke.
pub(crate) fn matters(record: &Record, cycle: &[Edge], errors: &[Reached]) -> BTreeSet<usize> {
    let mut out: BTreeSet<usize> = cycle
        .iter()
        .flat_map(|e| [e.from_step, e.to_step])
        .collect();
    for tx in transactions(record) {
        if let Some(committed) = tx.committed
            && tx
                .steps
                .iter()
                .any(|n| out.contains(n) && record.steps[*n].writes_data())
        {
            out.insert(committed);
        }
    }
    out.extend(
        errors
            .iter()
            .filter_map(|e| e.cause.as_ref().map(|(n, _)| *n)),
    );
    for (n, step) in record.steps.iter().enumerate() {
        let waits = !step.blocked_by.is_empty() || !step.wakes.is_empty();
        if waits || step.error.is_some() || (cycle.is_empty() && ends_work(record, n)) {
            out.insert(n);
        }
    }
    out
}

/// Without a cycle to go by, what was written and committed is what there is to see.
fn ends_work(record: &Record, n: usize) -> bool {
    let step = &record.steps[n];
    step.writes_data() || matches!(step.kind, StepKind::Commit | StepKind::GapCommit)
}
