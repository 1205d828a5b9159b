//! Why it happened, in a few plain sentences.

use std::collections::BTreeSet;

use deadheat_explore::Actor;
use deadheat_lab::record::{End, Invariant, LeftOpen, Record, Step, StepKind};

use crate::errors::{Effects, Reached};
use crate::graph::{Dependency, Edge, transactions};
use crate::words;

/// Statements in sentences are cut here.
const WIDTH: usize = 84;

/// Sentences for a cycle.
pub(crate) fn cycle(record: &Record, cycle: &[Edge]) -> Vec<String> {
    let overtaken: Vec<&Edge> = cycle.iter().filter(|e| e.kind == Dependency::Rw).collect();
    match overtaken.as_slice() {
        [] if cycle.is_empty() => Vec::new(),
        [] => plain_cycle(record, cycle),
        [read] => single(record, read, cycle),
        reads => unseen(record, reads),
    }
}

/// One read something old, and went on with it.
fn single(record: &Record, main: &Edge, cycle: &[Edge]) -> Vec<String> {
    let (a, b) = (words::name(record, main.from), words::name(record, main.to));
    let act = acted(record, main, cycle);
    let lost = act.is_some_and(|act| {
        cycle.iter().any(|e| {
            e.kind == Dependency::Ww
                && e.to_step == act
                && e.table == main.table
                && !crate::changes::keeps(record, e.from_step, act)
        })
    });
    if crate::anomaly::is_intermediate(cycle, main) {
        return intermediate(record, main, cycle);
    }
    let write = step(record, main.to_step);
    let committed = main.committed + 1;
    if lost && act == Some(main.from_step) {
        return vec![format!(
            "{a}'s {} read before {b}'s {write} was committed (step {committed}), and wrote over it: {b}'s update is lost.",
            step(record, main.from_step)
        )];
    }
    if act == Some(main.from_step) {
        return vec![format!(
            "{a}'s {} read before {b}'s {write} was committed (step {committed}): it could not see it, and wrote what it \
             made of the old state.",
            step(record, main.from_step)
        )];
    }
    let mut out = vec![format!("{a} {}.", read(record, main))];
    if main.to_step < main.from_step {
        out.push(format!(
            "{b}'s {write} had run by then but was committed only later (step {committed}), so {a} could not see it."
        ));
    } else if main.committed > main.to_step {
        out.push(format!(
            "Then {b} ran {write} and committed it (step {committed}): what {a} had read was out of date."
        ));
    } else {
        out.push(format!(
            "Then {b} committed {write}: what {a} had read was out of date."
        ));
    }
    if let Some(same) = same_read(record, main) {
        out.push(format!("{b} had read the same before (step {}).", same + 1));
    }
    if let Some(act) = act {
        out.push(if lost {
            format!(
                "{a} then wrote over it with {}: {b}'s update is lost.",
                step(record, act)
            )
        } else {
            format!("{a} went on with what it had read: {}.", step(record, act))
        });
    }
    for back in cycle.iter().filter(|e| e.kind == Dependency::Wr) {
        if back.to_step == main.from_step {
            out.push(format!(
                "But the same statement already saw {}'s {}: half old, half new.",
                words::name(record, back.from),
                step(record, back.from_step)
            ));
            continue;
        }
        out.push(format!(
            "But {} also {}, which already had {}'s write: half old, half new.",
            words::name(record, back.to),
            read_at(record, back.to_step, back.from_step),
            words::name(record, back.from)
        ));
    }
    out
}

/// One read what another had begun and not finished.
fn intermediate(record: &Record, main: &Edge, cycle: &[Edge]) -> Vec<String> {
    let (a, b) = (words::name(record, main.from), words::name(record, main.to));
    let begun = cycle.iter().find(|e| e.kind == Dependency::Wr);
    let begun = begun.map_or_else(
        || "a write of its own".to_owned(),
        |e| step(record, e.from_step),
    );
    let mut out = vec![
        format!("{b} ran {begun} and committed it, but was not done with that row."),
        format!("{a} {}: a state in between.", read(record, main)),
        format!("Then {b} went on with {}.", step(record, main.to_step)),
    ];
    if crate::errors::failed(record, main.to) {
        out.push(format!(
            "In the end {b} failed: what {a} had read was taken back."
        ));
    } else {
        out.push(format!("One after the other, {a} would have read the row as it was before {b}, or as {b} left it."));
    }
    out
}

/// Each read before the other's write could be seen.
fn unseen(record: &Record, reads: &[&Edge]) -> Vec<String> {
    let mut reads = reads.to_vec();
    reads.sort_by_key(|e| e.from_step);
    let names: Vec<String> = reads.iter().map(|e| words::name(record, e.from)).collect();
    let all = words::list(&names);
    // Who writes with the statement that reads: `INSERT … WHERE NOT EXISTS (…)`.
    let at_once = |e: &&Edge| reads.iter().any(|other| other.to_step == e.from_step);
    if reads.iter().all(at_once) {
        let mut out: Vec<String> = reads
            .iter()
            .map(|e| {
                let name = words::name(record, e.from);
                format!("{name} ran {}.", step(record, e.from_step))
            })
            .collect();
        out.push(format!(
            "Each read before the other's write was committed: {all} could not see each other's, and each wrote its own."
        ));
        return out;
    }
    let mut out: Vec<String> = reads
        .iter()
        .enumerate()
        .map(|(n, e)| {
            let too = if n > 0 { ", too," } else { "" };
            format!("{}{too} {}.", words::name(record, e.from), read(record, e))
        })
        .collect();
    let mut writes: Vec<usize> = reads.iter().map(|e| e.to_step).collect();
    writes.sort_unstable();
    let writes: Vec<String> = writes
        .iter()
        .map(|n| {
            let name = words::name(record, record.steps[*n].actor);
            format!("{name} ran {}", step(record, *n))
        })
        .collect();
    out.push(format!(
        "Each went on with what it had read: {}.",
        words::list(&writes)
    ));
    out.push(format!(
        "Neither could see what the other did: one after the other, the later of {all} would have read something else."
    ));
    out
}

/// Where the writer of the edge had read the very same before.
fn same_read(record: &Record, main: &Edge) -> Option<usize> {
    let read = record.steps.get(main.from_step)?;
    (0..main.to_step).rev().find(|n| {
        let step = &record.steps[*n];
        step.actor == main.to
            && !step.rows.is_empty()
            && step.rows == read.rows
            && step.accesses == read.accesses
    })
}

/// What an actor of the cycle changes here and not in the serial run: the first such step of each.
pub(crate) fn only_here(record: &Record, serial: &Record, cycle: &[Edge]) -> Vec<usize> {
    let actors: BTreeSet<Actor> = cycle.iter().map(|e| e.from).collect();
    let mut out = Vec::new();
    for actor in actors {
        let serially: BTreeSet<u64> = serial
            .steps
            .iter()
            .filter(|step| step.actor == actor)
            .map(|step| step.fingerprint)
            .collect();
        out.extend(record.steps.iter().position(|step| {
            step.actor == actor && step.inserts() && !serially.contains(&step.fingerprint)
        }));
    }
    out
}

/// Sentences for [`only_here`], but for what the cycle has told.
pub(crate) fn not_serially(record: &Record, steps: &[usize], cycle: &[Edge]) -> Vec<String> {
    let told = |n: &usize| cycle.iter().any(|e| e.from_step == *n || e.to_step == *n);
    steps
        .iter()
        .filter(|n| !told(n))
        .map(|n| {
            let name = words::name(record, record.steps[*n].actor);
            format!(
                "{name} came to {}, which serially it does not.",
                step(record, *n)
            )
        })
        .collect()
}

fn plain_cycle(record: &Record, cycle: &[Edge]) -> Vec<String> {
    let mut out: Vec<String> = cycle
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
        .collect();
    out.push(
        "Each came before the other: one after the other, one of them would have been done before the other began."
            .to_owned(),
    );
    out
}

/// The write that the reader of the main edge made after reading.
fn acted(record: &Record, main: &Edge, cycle: &[Edge]) -> Option<usize> {
    let on_cycle = cycle
        .iter()
        .filter(|e| e.to == main.from && e.kind != Dependency::Wr)
        .map(|e| e.to_step)
        .find(|n| *n >= main.from_step);
    on_cycle.or_else(|| {
        (main.from_step + 1..record.steps.len())
            .find(|n| record.steps[*n].actor == main.from && record.steps[*n].writes_data())
    })
}

pub(crate) fn read(record: &Record, edge: &Edge) -> String {
    read_at(record, edge.from_step, edge.to_step)
}

/// What the step read, above all of what the other one wrote.
fn read_at(record: &Record, n: usize, written: usize) -> String {
    let other = record.steps.get(written).map(words::essence);
    let value = |step| words::value_for(step, other.as_deref().unwrap_or_default());
    match record.steps.get(n).and_then(value) {
        Some(value) => format!("read {value} with {}", step(record, n)),
        None if record.steps[n].tags.iter().any(|tag| tag.ends_with(" 0")) => {
            format!("found no row with {}", step(record, n))
        }
        None => format!("looked at what was there with {}", step(record, n)),
    }
}

pub(crate) fn step(record: &Record, n: usize) -> String {
    let text = record.steps.get(n).map(words::essence).unwrap_or_default();
    format!("`{}` (step {})", crate::brief::tight(&text, WIDTH), n + 1)
}

/// Said when no dependencies explain it, and somebody waited for what no gate sees: then statements that came while two
/// could move may be the other one's.
pub(crate) fn unsure(record: &Record) -> Vec<String> {
    let waits = |step: &&Step| step.kind == StepKind::Silent && !step.blocked_by.is_empty();
    record
        .steps
        .iter()
        .filter(waits)
        .map(|step| {
            format!(
                "{} waited before its first statement for something outside the database (a mutex, a connection of the \
                 pool) and went on when it was free; it is not known for certain which of the statements after that \
                 are {}'s.",
                words::name(record, step.actor),
                words::name(record, step.actor)
            )
        })
        .collect()
}

/// Sentences for a run in which nobody can move.
pub(crate) fn stuck(record: &Record) -> Vec<String> {
    let End::Stuck(waits) = &record.end else {
        return Vec::new();
    };
    let mut out = vec!["No actor can move any more.".to_owned()];
    for (actor, what) in waits {
        let name = words::name(record, *actor);
        let mut own = record.steps.iter().enumerate().rev();
        let last = own.find(|(_, step)| step.actor == *actor && !step.statements.is_empty());
        out.push(match last {
            Some((n, waits)) if !waits.blocked_by.is_empty() => {
                format!("{name} waits for {what}, with {}.", step(record, n))
            }
            Some((n, _)) => format!("{name}, after {}, waits for {what}.", step(record, n)),
            None => format!("{name} waits for {what}."),
        });
    }
    out
}

/// Steps of the transactions that were left open.
pub(crate) fn of_open(record: &Record, left_open: &[LeftOpen]) -> Vec<usize> {
    transactions(record)
        .into_iter()
        .filter(|tx| {
            let last = tx.steps.last().and_then(|n| record.steps.get(*n));
            let open = |step: &Step| left_open.iter().any(|open| open.session == step.session);
            tx.committed.is_none() && last.is_some_and(open)
        })
        .flat_map(|tx| tx.steps)
        .collect()
}

/// Sentences for transactions left open.
pub(crate) fn left_open(record: &Record, left_open: &[LeftOpen]) -> Vec<String> {
    left_open
        .iter()
        .map(|open| {
            let last = of_open(record, &[*open]).last().copied();
            let last = last.map_or_else(String::new, |n| format!(" after {}", step(record, n)));
            format!(
                "{} finished and left a transaction open{last}: what it has locked stays locked and its connection is lost \
                 to the others. It does so in no serial order.",
                words::name(record, open.actor)
            )
        })
        .collect()
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
        // 25P02 only repeats that the transaction has failed before.
        let fails = step.error.as_ref().is_some_and(|e| e.code != "25P02");
        if waits || fails || (cycle.is_empty() && ends_work(record, n)) {
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
