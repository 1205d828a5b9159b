//! No search loses a trace: on generated programs each sees what trying all interleavings sees.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::brute;
use common::drive::{exhaust, exhaust_and_tell};
use common::generate::Generated;
use common::known;
use common::machine::Op;
use deadheat_explore::{Config, Ending};

/// Programs with more interleavings than this are left out.
const CAP: u64 = 600;

/// The first `count` generated programs that are small enough.
fn programs(count: usize) -> impl Iterator<Item = (Generated, BTreeMap<u64, u64>)> {
    let small = |seed| {
        let generated = Generated::new(seed);
        let classes = brute::classes(&generated.machine(), u32::MAX, CAP)?;
        Some((generated, classes))
    };
    (0_u64..).filter_map(small).take(count)
}

#[test]
fn no_trace_is_lost() {
    let (mut runs, mut traces, mut foreseen) = (0, 0, 0);
    for (generated, classes) in programs(20_000) {
        let (found, optimal) = exhaust_and_tell(&generated.machine(), Config::default());
        assert_eq!(found.classes, classes, "{generated:?}");
        assert_eq!(found.ending, Ending::Exhausted, "{generated:?}");
        if optimal {
            assert_eq!(found.progress.runs, classes.len() as u64, "{generated:?}");
            foreseen += 1;
        }
        runs += found.progress.runs;
        traces += found.progress.traces;
    }
    println!("{traces} traces in {runs} runs; in {foreseen} programs all steps could be foreseen");
    assert!(foreseen > 5_000, "{foreseen} programs");
}

#[test]
fn no_trace_is_lost_by_source_sets_alone() {
    let config = Config {
        source_sets: true,
        ..Config::default()
    };
    for (generated, classes) in programs(5_000) {
        let found = exhaust(&generated.machine(), config.clone());
        assert_eq!(found.classes, classes, "{generated:?}");
        assert_eq!(found.ending, Ending::Exhausted, "{generated:?}");
    }
}

/// The writer can come before the first reader's steps and after the last one's. Below the branch that begins with the
/// writer's read the first reader sleeps, until the write; a search that calls the reversal covered there never
/// sees the last reader come before the write and the first one after it.
#[test]
fn a_sleeping_reader_does_not_hide_a_reversal() {
    let machine = known::lines(vec![
        vec![Op::Read(0), Op::Read(0)],
        vec![Op::Read(0), Op::Write(0, 0)],
        vec![Op::Read(1), Op::Read(0)],
    ]);
    let classes = brute::classes(&machine, u32::MAX, CAP).expect("it is small");
    let (found, optimal) = exhaust_and_tell(&machine, Config::default());
    assert!(optimal);
    assert_eq!(found.classes, classes);
    assert_eq!(found.progress.runs, 6);
}

#[test]
fn no_trace_within_a_bound_is_lost() {
    let (mut runs, mut traces) = (0, 0);
    for (generated, classes) in programs(6_000) {
        let machine = generated.machine();
        for bound in 0..4 {
            let found = exhaust(
                &machine,
                Config {
                    preemptions: Some(bound),
                    ..Config::default()
                },
            );
            assert!(
                found.preemptions <= bound,
                "a run exceeded bound {bound}: {generated:?}"
            );
            let within = brute::classes(&machine, bound, CAP).expect("a part of what fits");
            assert_eq!(found.classes, within, "bound {bound}: {generated:?}");
            match found.ending {
                Ending::Exhausted => {
                    assert_eq!(found.classes, classes, "bound {bound}: {generated:?}");
                }
                ending => assert_eq!(ending, Ending::Bounded { preemptions: bound }),
            }
            runs += found.progress.runs;
            traces += found.progress.traces;
        }
    }
    println!("{traces} traces in {runs} runs");
}

/// Locks and mailboxes that disable actors without a word: no schedule is run twice, so that the search comes to
/// an end, and where an actor cannot move that should, it says so.
#[test]
fn wrong_footprints_do_not_keep_a_search_going() {
    let mut noticed = 0;
    for (generated, _) in programs(2_000) {
        let machine = generated.machine().secretive();
        let found = exhaust(
            &machine,
            Config {
                runs: Some(5_000),
                ..Config::default()
            },
        );
        let distinct: BTreeSet<_> = found.schedules.values().collect();
        assert_eq!(distinct.len(), found.schedules.len(), "{generated:?}");
        if let Ending::Stopped(why) = found.ending {
            assert!(why.contains("footprints"), "{why}: {generated:?}");
            noticed += 1;
        }
    }
    assert!(noticed > 50, "{noticed} times");
}
