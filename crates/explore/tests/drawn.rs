//! Random schedules: the same for the same seed, and each sampler finds what it is good at.

mod common;

use std::collections::BTreeSet;

use common::drive::drive;
use common::known;
use deadheat_explore::{Ending, Random, RandomConfig, Sampler};

fn draw(seed: u64, runs: u64, sampler: Option<Sampler>) -> common::drive::Found {
    let config = RandomConfig {
        seed,
        runs: Some(runs),
        sampler,
    };
    drive(
        &known::sql_lost_update(3),
        &mut Random::new(config),
        1,
        |_| 0,
    )
}

#[test]
fn equal_seeds_draw_equal_runs() {
    assert_eq!(draw(1, 50, None), draw(1, 50, None));
    assert_ne!(draw(1, 50, None).schedules, draw(2, 50, None).schedules);
}

#[test]
fn more_runs_begin_with_the_same_ones() {
    let few = draw(3, 40, None).schedules;
    let many = draw(3, 80, None).schedules;
    assert!(few.iter().all(|(index, schedule)| many[index] == *schedule));
}

#[test]
fn the_samplers_take_turns() {
    let all = draw(5, 60, None).schedules;
    for (turn, sampler) in [Sampler::Urw, Sampler::Pct3, Sampler::Pos]
        .into_iter()
        .enumerate()
    {
        let alone = draw(5, 60, Some(sampler)).schedules;
        let turn = turn as u64;
        // Only the first run is drawn before anything was learned, and by itself.
        let same = all
            .iter()
            .filter(|(index, s)| *index % 3 == turn && alone[index] == **s)
            .count();
        assert!(same > 0, "{sampler:?}");
    }
}

#[test]
fn a_cap_is_said_and_never_taken_for_the_end() {
    let found = draw(1, 5000, None);
    assert_eq!(
        found.ending,
        Ending::Stopped("the cap of 5000 random runs is reached".to_owned())
    );
    assert_eq!(found.progress.runs, 5000);
    assert_eq!(
        found.progress.traces as usize,
        found.classes.len(),
        "runs of one trace count once"
    );
}

#[test]
fn each_sampler_comes_to_every_trace_of_a_small_program() {
    for sampler in [Sampler::Urw, Sampler::Pos] {
        let seen: BTreeSet<u64> = draw(1, 5000, Some(sampler)).classes.into_keys().collect();
        assert_eq!(seen.len(), 96, "{sampler:?}");
    }
    // Two changes of priority do not reach traces that need more switches.
    assert!(draw(1, 5000, Some(Sampler::Pct3)).classes.len() > 40);
}
