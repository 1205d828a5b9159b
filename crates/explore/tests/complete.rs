//! No search loses a trace: on generated programs each sees what trying all interleavings sees.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::brute;
use common::drive::exhaust;
use common::generate::Generated;
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
    let (mut runs, mut traces) = (0, 0);
    for (generated, classes) in programs(20_000) {
        let found = exhaust(&generated.machine(), Config::default());
        assert_eq!(found.classes, classes, "{generated:?}");
        assert_eq!(found.ending, Ending::Exhausted, "{generated:?}");
        runs += found.progress.runs;
        traces += found.progress.traces;
    }
    println!("{traces} traces in {runs} runs");
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
