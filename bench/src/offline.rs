//! The explorer alone: a search driven a second time by what the server said the first time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use deadheat_explore::{Actor, After, Config, End, Event, Exhaustive, Explorer, Next};
use deadheat_sql::Footprint;

use crate::Fallible;
use crate::bed::Bed;

/// Times that the search is driven; the least disturbed one counts.
const TIMES: usize = 9;

/// What happened after a schedule, by the actor that moved next.
#[derive(Default)]
pub struct Known {
    next: BTreeMap<Actor, (Event<Footprint>, Known)>,
    /// Who could move.
    enabled: Vec<Actor>,
}

/// Searches once, and keeps every step.
pub fn record(bed: &mut Bed) -> Fallible<Known> {
    let mut root = Known::default();
    bed.search(|_, run| {
        let mut known = &mut root;
        for at in 0..run.events().len() {
            known.enabled = able(run.events(), at);
            let event = run.events()[at].clone();
            known = &mut known
                .next
                .entry(event.actor)
                .or_insert_with(|| (event, Known::default()))
                .1;
        }
    })?;
    Ok(root)
}

/// Time that one run of the search takes when nothing is run: the explorer's own, and that of looking up what is known.
pub fn micros_a_run(root: &Known) -> Fallible<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..TIMES {
        let started = Instant::now();
        let mut explorer = Exhaustive::new(Config::default());
        let mut runs = 0;
        while let Next::Run(mut cursor) = explorer.next() {
            let mut known = root;
            while let Some(actor) = cursor.choose(&known.enabled) {
                let (event, then) = known
                    .next
                    .get(&actor)
                    .ok_or("the search went another way")?;
                cursor.stepped(event.clone());
                known = then;
            }
            let end = if known.enabled.is_empty() {
                End::Finished
            } else {
                End::Cut
            };
            explorer.report(cursor.finish(end));
            runs += 1;
        }
        least = least.min(started.elapsed().as_secs_f64() * 1e6 / f64::from(runs));
    }
    Ok(least)
}

/// Who could move before step `at` of a run: who has a step to come and did not wait.
fn able(events: &[Event<Footprint>], at: usize) -> Vec<Actor> {
    let mut waiting = BTreeSet::new();
    for event in &events[..at] {
        waiting.retain(|actor| !event.wakes.contains(actor));
        if event.after == After::Waiting {
            waiting.insert(event.actor);
        }
    }
    let to_come: BTreeSet<Actor> = events[at..].iter().map(|event| event.actor).collect();
    to_come.difference(&waiting).copied().collect()
}
