//! Drives an explorer over a machine, with any number of cursors out at once.

use std::collections::{BTreeMap, BTreeSet};

use deadheat_explore::{
    Config, Cursor, End, Ending, Exhaustive, Explorer, Next, Progress, Run, trace_id,
};

use super::machine::{Machine, Print};

/// Follows one cursor to its end; the machine as it was left comes with the run.
pub fn follow(machine: &Machine, mut cursor: Cursor<Print>) -> (Run<Print>, Machine) {
    let mut machine = machine.clone();
    let end = loop {
        let enabled = machine.enabled();
        match cursor.choose(&enabled) {
            Some(who) => cursor.stepped(machine.step(who)),
            None if !enabled.is_empty() => break End::Cut,
            None if machine.is_finished() => break End::Finished,
            None => break End::Stuck,
        }
    };
    for (who, print) in machine.pending() {
        cursor.pending(who, print);
    }
    (cursor.finish(end), machine)
}

/// What a search saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Outcome of each complete trace.
    pub classes: BTreeMap<u64, u64>,
    /// Traces that ended stuck.
    pub stuck: BTreeSet<u64>,
    pub ending: Ending,
    pub progress: Progress,
    /// The schedules by index.
    pub schedules: BTreeMap<u64, Vec<u16>>,
    /// The most preemptions any run had.
    pub preemptions: u32,
}

pub fn exhaust(machine: &Machine, config: Config) -> Found {
    drive(machine, &mut Exhaustive::new(config), 1, |_| 0)
}

/// Also tells whether all steps could be foreseen.
pub fn exhaust_and_tell(machine: &Machine, config: Config) -> (Found, bool) {
    let mut explorer = Exhaustive::new(config);
    let found = drive(machine, &mut explorer, 1, |_| 0);
    (found, explorer.is_optimal())
}

/// Keeps `labs` cursors out where it can; `pick` says which of those out comes back next.
pub fn drive(
    machine: &Machine,
    explorer: &mut dyn Explorer<Print>,
    labs: usize,
    mut pick: impl FnMut(usize) -> usize,
) -> Found {
    let mut out = Vec::new();
    let mut found = Found {
        classes: BTreeMap::new(),
        stuck: BTreeSet::new(),
        ending: Ending::Exhausted,
        progress: Progress::default(),
        schedules: BTreeMap::new(),
        preemptions: 0,
    };
    loop {
        let next = if out.len() < labs {
            explorer.next()
        } else {
            Next::Wait
        };
        match next {
            Next::Run(cursor) => out.push(follow(machine, cursor)),
            Next::Wait => {
                assert!(
                    !out.is_empty(),
                    "the explorer waits for runs that nobody makes"
                );
                let back = pick(out.len());
                let (run, left) = out.swap_remove(back);
                note(&mut found, &run, &left);
                explorer.report(run);
            }
            Next::Done(ending) => {
                assert!(
                    out.is_empty(),
                    "the explorer was done before it had all reports"
                );
                found.ending = ending;
                found.progress = explorer.progress();
                return found;
            }
        }
    }
}

fn note(found: &mut Found, run: &Run<Print>, left: &Machine) {
    assert_eq!(run.diverged(), None, "the machine does the same every time");
    let schedule = run.schedule().iter().map(|a| a.0).collect();
    assert!(
        found.schedules.insert(run.index(), schedule).is_none(),
        "indexes are given once"
    );
    found.preemptions = found.preemptions.max(run.preemptions());
    if run.end() == End::Cut {
        return;
    }
    let id = trace_id(run.events());
    let outcome = left.outcome();
    let known = *found.classes.entry(id).or_insert(outcome);
    assert_eq!(known, outcome, "two runs of one trace came out differently");
    if run.end() == End::Stuck {
        found.stuck.insert(id);
    }
}
