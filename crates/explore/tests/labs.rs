//! A search is the same however many labs make its runs, and in whatever order they report.

mod common;

use common::drive::{Found, drive};
use common::generate::{Dice, Generated};
use common::known;
use common::machine::{Machine, Print};
use deadheat_explore::{Config, Exhaustive, Explorer, Random, RandomConfig, Thorough};

fn same_for_all<E: Explorer<Print>>(machine: &Machine, new: impl Fn() -> E) -> Found {
    let alone = drive(machine, &mut new(), 1, |_| 0);
    for labs in [2, 3, 8, 100] {
        let oldest_first = drive(machine, &mut new(), labs, |_| 0);
        assert_eq!(oldest_first, alone, "{labs} labs");
        let newest_first = drive(machine, &mut new(), labs, |out| out - 1);
        assert_eq!(newest_first, alone, "{labs} labs");
        let mut dice = Dice::new(labs as u64);
        let shuffled = drive(machine, &mut new(), labs, |out| dice.below(out));
        assert_eq!(shuffled, alone, "{labs} labs");
    }
    alone
}

#[test]
fn exhausting_does_not_depend_on_labs() {
    for machine in [
        known::sql_lost_update(3),
        known::lastzero(5),
        known::fib_bench(2),
        known::lobby(3),
    ] {
        let found = same_for_all(&machine, || Exhaustive::new(Config::default()));
        assert!(found.progress.runs > 60, "more runs than are out at once");
    }
}

/// So many labs, and whether all steps could be foreseen when the search was over.
fn by_wakeup_trees(machine: &Machine, labs: usize) -> (Found, bool) {
    let mut explorer = Exhaustive::new(Config::default());
    let found = drive(machine, &mut explorer, labs, |out| out - 1);
    (found, explorer.is_optimal())
}

#[test]
fn wakeup_trees_do_not_depend_on_labs() {
    for machine in [
        known::lastzero(7),
        known::fib_bench(2),
        known::readers(6),
        known::filesystem(17),
    ] {
        let alone = by_wakeup_trees(&machine, 1);
        assert!(alone.1, "all steps can be foreseen");
        assert_eq!(alone.0.progress.blocked_runs, 0, "no run is in vain");
        for labs in [2, 3, 8, 100] {
            assert_eq!(by_wakeup_trees(&machine, labs), alone, "{labs} labs");
        }
    }
}

#[test]
fn the_run_that_ends_trust_is_the_same_in_any_lab() {
    for machine in [known::marked_lastzero(6), known::sql_lost_update(4)] {
        let alone = by_wakeup_trees(&machine, 1);
        assert!(!alone.1, "a step drifts");
        for labs in [2, 3, 8, 100] {
            assert_eq!(by_wakeup_trees(&machine, labs), alone, "{labs} labs");
        }
    }
}

#[test]
fn source_sets_alone_do_not_depend_on_labs() {
    let config = Config {
        source_sets: true,
        ..Config::default()
    };
    for machine in [known::lastzero(6), known::fib_bench(2)] {
        same_for_all(&machine, || Exhaustive::new(config.clone()));
    }
}

#[test]
fn bounded_search_does_not_depend_on_labs() {
    for bound in 0..3 {
        let config = Config {
            preemptions: Some(bound),
            ..Config::default()
        };
        same_for_all(&known::sql_lost_update(4), || {
            Exhaustive::new(config.clone())
        });
    }
}

#[test]
fn a_search_cut_by_a_cap_does_not_depend_on_labs() {
    let config = Config {
        runs: Some(77),
        ..Config::default()
    };
    let found = same_for_all(&known::sql_lost_update(4), || {
        Exhaustive::new(config.clone())
    });
    assert_eq!(found.progress.runs, 77);
}

#[test]
fn drawing_does_not_depend_on_labs() {
    let config = RandomConfig {
        seed: 7,
        runs: Some(100),
        sampler: None,
    };
    same_for_all(&known::sql_lost_update(4), || Random::new(config.clone()));
}

#[test]
fn giving_up_does_not_depend_on_labs() {
    let config = Config {
        runs: Some(200),
        blocked_runs: Some(30),
        ..Config::default()
    };
    let found = same_for_all(&known::marked_lastzero(7), || {
        Thorough::new(config.clone(), 7)
    });
    assert_eq!(found.progress.runs, 200);
    assert!(found.progress.gave_up);
}

#[test]
fn generated_programs_do_not_depend_on_labs() {
    for seed in 0..300 {
        let machine = Generated::new(seed).machine();
        let config = Config {
            runs: Some(200),
            ..Config::default()
        };
        same_for_all(&machine, || Exhaustive::new(config.clone()));
    }
}
