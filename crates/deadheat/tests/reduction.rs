//! Wakeup trees and source sets see the same traces of sessions on a real server, whichever lab makes the runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use deadheat::search::Labs;
use deadheat_explore::{
    Actor, After, Config, Cursor, End, Ending, Event, Exhaustive, Explorer as _, Next, Run,
};
use deadheat_lab::{Blueprint, Options};
use deadheat_sql::Footprint;

/// An example in two labs.
fn labs(example: &str) -> Labs {
    let file = format!(
        "{}/../../examples/sql/{example}",
        env!("CARGO_MANIFEST_DIR")
    );
    let scenario = Arc::new(deadheat_scenario::load(Path::new(&file)).unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let blueprint = runtime.block_on(Blueprint::draw(scenario, false)).unwrap();
    Labs::build(&Arc::new(blueprint), 2).unwrap()
}

/// What a search came to: its complete traces, and how many runs it took.
fn search(labs: &mut Labs, source_sets: bool) -> (BTreeSet<u64>, u64) {
    let mut explorer = Exhaustive::new(Config {
        source_sets,
        ..Config::default()
    });
    let mut traces = BTreeSet::new();
    let mut out = BTreeMap::new();
    loop {
        match explorer.next() {
            Next::Run(cursor) => {
                let index = cursor.index();
                out.insert(labs.start(cursor, Options::default()), index);
            }
            Next::Wait => {
                let ran = labs.wait().unwrap();
                let (_, run) = ran.result.unwrap();
                assert_eq!(out.remove(&ran.ticket), Some(run.index()));
                if run.end() == End::Finished {
                    traces.insert(run.trace_id());
                }
                explorer.report(run);
            }
            Next::Done(ending) => {
                assert_eq!(ending, Ending::Exhausted);
                return (traces, explorer.progress().runs);
            }
        }
    }
}

/// The traces of all interleavings.
fn all(labs: &mut Labs) -> BTreeSet<u64> {
    let mut traces = BTreeSet::new();
    let mut open = vec![Vec::new()];
    while let Some(prefix) = open.pop() {
        let cursor = Cursor::replay(prefix.clone());
        let (_, run) = labs.run(cursor, Options::default()).unwrap();
        assert_eq!(run.diverged(), None, "{prefix:?}");
        traces.insert(run.trace_id());
        open.extend(others(&run, prefix.len()));
    }
    traces
}

/// The beginnings of schedules that leave this run's after so many steps or later.
fn others(run: &Run<Footprint>, from: usize) -> Vec<Vec<Actor>> {
    let schedule = run.schedule();
    let mut others = Vec::new();
    for at in from..schedule.len() {
        for actor in able(run.events(), at) {
            if actor != schedule[at] {
                others.push([&schedule[..at], &[actor]].concat());
            }
        }
    }
    others
}

/// Who could move before step `at`: whoever has a step to come and does not wait.
fn able(events: &[Event<Footprint>], at: usize) -> BTreeSet<Actor> {
    let mut able: BTreeSet<Actor> = events[at..].iter().map(|event| event.actor).collect();
    for actor in able.clone() {
        let stirred = |event: &&Event<_>| event.actor == actor || event.wakes.contains(&actor);
        let last = events[..at].iter().rev().find(stirred);
        if last.is_some_and(|last| last.actor == actor && last.after == After::Waiting) {
            able.remove(&actor);
        }
    }
    able
}

#[test]
fn two_rows_locked_in_opposite_order_have_as_many_traces_either_way() {
    let mut labs = labs("deadlock-rows.toml");
    let every = all(&mut labs);
    let (by_wakeup_trees, _) = search(&mut labs, false);
    let (by_source_sets, _) = search(&mut labs, true);
    labs.end();
    assert_eq!(by_wakeup_trees, every);
    assert_eq!(by_source_sets, every);
}

/// Attempts that wait drift, so that the search begins with wakeup trees and goes on with source sets.
#[test]
fn advisory_locks_in_opposite_order_have_as_many_traces_either_way() {
    let mut labs = labs("deadlock-advisory.toml");
    let (by_source_sets, _) = search(&mut labs, true);
    assert!(by_source_sets.len() >= 12, "{}", by_source_sets.len());
    for _ in 0..3 {
        let (by_wakeup_trees, _) = search(&mut labs, false);
        assert_eq!(by_wakeup_trees, by_source_sets);
    }
    labs.end();
}

#[test]
fn increments_by_three_are_seen_once_each() {
    let mut labs = labs("lost-update-3.toml");
    let (by_wakeup_trees, runs) = search(&mut labs, false);
    let (by_source_sets, _) = search(&mut labs, true);
    labs.end();
    assert_eq!(by_wakeup_trees, by_source_sets);
    assert_eq!((by_wakeup_trees.len(), runs), (96, 96));
}
