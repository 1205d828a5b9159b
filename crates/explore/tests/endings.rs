//! A search says that it has seen everything only when it has.

mod common;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use common::drive::{drive, exhaust, follow};
use common::known;
use common::machine::{Machine, Op, Print, Sql};
use deadheat_explore::{
    Config, Cursor, End, Ending, Exhaustive, Explorer, Next, Progress, Run, Thorough,
};

fn words(ending: Ending) -> String {
    match ending {
        Ending::Stopped(why) => why,
        other => panic!("it claims {other:?}"),
    }
}

#[test]
fn a_cap_on_runs_is_never_taken_for_the_end() {
    let machine = known::sql_lost_update(3);
    for cap in 0..96 {
        let found = exhaust(
            &machine,
            Config {
                runs: Some(cap),
                ..Config::default()
            },
        );
        assert!(words(found.ending).contains(&format!("cap of {cap} runs")));
        assert_eq!(found.progress.runs, cap);
    }
    let found = exhaust(
        &machine,
        Config {
            runs: Some(96),
            ..Config::default()
        },
    );
    assert_eq!(found.ending, Ending::Exhausted, "96 runs are all there are");
}

#[test]
fn a_cap_on_blocked_runs_is_never_taken_for_the_end() {
    let machine = known::marked_lastzero(6);
    let all = exhaust(&machine, Config::default()).progress.blocked_runs;
    assert!(all > 50, "the program is one of the worst");
    let found = exhaust(
        &machine,
        Config {
            blocked_runs: Some(20),
            ..Config::default()
        },
    );
    let blocked_runs = found.progress.blocked_runs;
    assert_eq!(found.ending, Ending::Redundant { blocked_runs });
    assert!(blocked_runs >= 20);
    let found = exhaust(
        &machine,
        Config {
            blocked_runs: Some(all + 1),
            ..Config::default()
        },
    );
    assert_eq!(found.ending, Ending::Exhausted);
}

#[test]
fn a_search_that_gave_up_goes_on_at_random_and_says_so() {
    let machine = known::marked_lastzero(6);
    let config = Config {
        runs: Some(3_000),
        blocked_runs: Some(20),
        ..Config::default()
    };
    let alone = exhaust(&machine, config.clone());
    let found = drive(&machine, &mut Thorough::new(config, 1), 1, |_| 0);
    let blocked_runs = alone.progress.blocked_runs;
    assert_eq!(found.ending, Ending::Redundant { blocked_runs });
    assert!(found.progress.gave_up);
    assert_eq!(found.progress.runs, 3_000);
    assert_eq!(found.progress.blocked_runs, blocked_runs);
    assert_eq!(
        found.progress.traces as usize,
        found.classes.len(),
        "what both parts saw counts once"
    );
    assert!(found.classes.len() > alone.classes.len());
    assert!(
        alone
            .schedules
            .iter()
            .all(|(index, s)| found.schedules[index] == *s),
        "the first part is what it would be alone"
    );
}

#[test]
fn a_search_gives_up_by_itself_when_four_runs_in_five_show_nothing() {
    let machine = known::marked_lastzero(11);
    let config = Config {
        runs: Some(20_000),
        ..Config::default()
    };
    let found = drive(&machine, &mut Thorough::new(config, 1), 1, |_| 0);
    let Ending::Redundant { blocked_runs } = found.ending else {
        panic!("it went on: {:?}", found.progress);
    };
    assert!(blocked_runs >= 1_000);
}

#[test]
fn a_search_with_little_to_cut_is_brought_to_its_end() {
    let machine = known::marked_lastzero(5);
    let all = exhaust(&machine, Config::default());
    assert!(all.progress.blocked_runs > 0);
    let found = drive(&machine, &mut Thorough::new(Config::default(), 1), 1, |_| 0);
    assert_eq!(found, all);
    assert_eq!(found.ending, Ending::Exhausted);
}

#[test]
fn a_bound_is_never_taken_for_the_end() {
    let machine = known::sql_lost_update(3);
    let mut seen = BTreeSet::new();
    for bound in 0.. {
        let found = exhaust(
            &machine,
            Config {
                preemptions: Some(bound),
                ..Config::default()
            },
        );
        assert!(found.preemptions <= bound);
        assert!(
            found.classes.len() >= seen.len(),
            "a larger bound sees no less"
        );
        seen = found.classes.into_keys().collect();
        if found.ending == Ending::Exhausted {
            break;
        }
        assert_eq!(found.ending, Ending::Bounded { preemptions: bound });
    }
    assert_eq!(seen.len(), 96);
}

/// Drives a search in which one run goes wrong in a way of its own.
fn with_one_bad_run(
    config: Config,
    bad: u64,
    spoil: impl Fn(Cursor<Print>) -> Run<Print>,
) -> (Ending, u64) {
    let machine = known::sql_lost_update(3);
    let mut explorer = Exhaustive::new(config);
    loop {
        match explorer.next() {
            Next::Run(cursor) if cursor.index() == bad => explorer.report(spoil(cursor)),
            Next::Run(cursor) => explorer.report(follow(&machine, cursor).0),
            Next::Wait => panic!("every run was reported"),
            Next::Done(ending) => return (ending, explorer.progress().runs),
        }
    }
}

/// Makes a run in which one step is not what it was.
fn with_other_key(mut cursor: Cursor<Print>) -> Run<Print> {
    let mut machine = known::sql_lost_update(3);
    while let Some(who) = cursor.choose(&machine.enabled()) {
        let mut event = machine.step(who);
        event.key ^= 1;
        cursor.stepped(event);
    }
    assert_eq!(cursor.diverged(), Some(0));
    cursor.finish(End::Finished)
}

#[test]
fn a_replay_that_differs_ends_the_search() {
    let (ending, _) = with_one_bad_run(Config::default(), 5, with_other_key);
    assert!(words(ending).contains("run 5 diverged at step 0"));
}

#[test]
fn a_replay_that_differs_spoils_the_ending_even_if_tolerated() {
    let (ending, runs) = with_one_bad_run(
        Config {
            lost_runs: 3,
            ..Config::default()
        },
        5,
        with_other_key,
    );
    assert!(words(ending).contains("run 5 diverged at step 0"));
    assert!(
        runs > 32,
        "the search went on for more runs than are out at once"
    );
}

/// Makes a run in which whoever is to move first is not there; the others move all the same.
fn without_the_first(mut cursor: Cursor<Print>) -> Run<Print> {
    let mut machine = known::sql_lost_update(3);
    let first = cursor.clone().choose(&machine.enabled());
    let there = |machine: &Machine| {
        let mut there = machine.enabled();
        there.retain(|who| Some(*who) != first);
        there
    };
    while let Some(who) = cursor.choose(&there(&machine)) {
        cursor.stepped(machine.step(who));
    }
    cursor.finish(End::Stuck)
}

#[test]
fn a_run_that_leaves_its_script_at_once_goes_on_without_a_guide() {
    let moved = Cell::new(0);
    for bad in 1..20 {
        let (ending, _) = with_one_bad_run(Config::default(), bad, |cursor| {
            let run = without_the_first(cursor);
            moved.set(moved.get() + run.events().len());
            run
        });
        let diverged = format!("run {bad} diverged at step 0");
        assert!(words(ending).contains(&diverged));
    }
    assert!(moved.get() > 20, "{} steps", moved.get());
}

#[test]
fn a_run_that_failed_ends_the_search() {
    let (ending, _) = with_one_bad_run(Config::default(), 3, |cursor| cursor.finish(End::Failed));
    assert!(words(ending).contains("run 3 failed"));
}

#[test]
fn a_run_that_its_driver_cut_ends_the_search() {
    let cut_after_four = |mut cursor: Cursor<Print>| {
        let mut machine = known::sql_lost_update(3);
        while let Some(who) = cursor.choose(&machine.enabled()) {
            cursor.stepped(machine.step(who));
        }
        cursor.finish(End::Cut)
    };
    let (ending, _) = with_one_bad_run(Config::default(), 0, cut_after_four);
    assert!(words(ending).contains("run 0 was cut short"));
}

#[test]
fn nobody_to_run_is_a_search_of_one_empty_run() {
    let found = exhaust(&known::lines(Vec::new()), Config::default());
    assert_eq!(
        (found.ending, found.progress.traces),
        (Ending::Exhausted, 1)
    );
}

#[test]
fn foreign_runs_are_ignored() {
    let machine = known::sql_lost_update(2);
    let mut explorer = Exhaustive::new(Config::default());
    explorer.report(follow(&machine, Cursor::replay(Vec::new())).0);
    assert_eq!(explorer.progress().runs, 0);
    assert_eq!(drive(&machine, &mut explorer, 1, |_| 0).progress.traces, 6);
}

#[test]
fn what_is_left_is_estimated() {
    let machine = known::sql_lost_update(3);
    let mut explorer = Exhaustive::new(Config::default());
    let mut estimates = Vec::new();
    loop {
        match explorer.next() {
            Next::Run(cursor) => explorer.report(follow(&machine, cursor).0),
            Next::Wait => panic!("every run was reported"),
            Next::Done(_) => break,
        }
        estimates.extend(explorer.progress().runs_left);
    }
    estimates.extend(explorer.progress().runs_left);
    assert!(estimates[0] > 0);
    assert_eq!(estimates.last(), Some(&0));
}

#[test]
fn five_who_lock_one_row_are_not_thought_to_be_done_soon() {
    // Each locks a row, looks at another, takes one of four seats there, and commits.
    let seats = |_, log: &[i64]| match log {
        [] => Op::Sql(Sql::Add(0, 1)),
        [_] => Op::Sql(Sql::Select(1)),
        [_, taken] if *taken < 4 => Op::Sql(Sql::Set(1, taken + 1)),
        [_, _] | [_, 0..4, _] => Op::Sql(Sql::Commit),
        _ => Op::End,
    };
    let machine = Machine::new(5, Arc::new(seats));
    let mut explorer = Exhaustive::new(Config::default());
    let mut told = Vec::new();
    while let Next::Run(cursor) = explorer.next() {
        explorer.report(follow(&machine, cursor).0);
        told.push(explorer.progress());
    }
    let all = told.len();
    assert_eq!(all, 5_040);
    for (at, least, most) in [
        (all / 5, 0.5, 1.5),
        (all / 2, 0.8, 1.5),
        (all - 500, 0.9, 1.5),
    ] {
        let Progress {
            runs, runs_left, ..
        } = told[at];
        let total = (runs + runs_left.expect("an estimate")) as f64 / all as f64;
        assert!((least..most).contains(&total), "after {runs} runs: {total}");
    }
    assert!(told.is_sorted_by_key(|progress| progress.preemptions));
}
