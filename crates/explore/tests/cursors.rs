//! Cursors that need no explorer: serial orders, replays, and shrinking a schedule with them.

mod common;

use common::drive::follow;
use common::known;
use common::machine::{Machine, Print, actor};
use deadheat_explore::{Actor, Cursor, End, Run, fewer_switches, trace_id};

fn actors(all: &[usize]) -> Vec<Actor> {
    all.iter().map(|&a| actor(a)).collect()
}

#[test]
fn serial_orders_run_one_after_the_other() {
    let (run, _) = follow(
        &known::sql_lost_update(3),
        Cursor::order(actors(&[2, 0, 1])),
    );
    assert_eq!(run.schedule(), actors(&[2, 2, 2, 0, 0, 0, 1, 1, 1]));
    assert_eq!((run.end(), run.preemptions()), (End::Finished, 0));
}

#[test]
fn a_serial_order_lets_the_next_one_go_on_when_the_first_waits() {
    // The reader in the lobby has to wait for its clients.
    let (run, _) = follow(&known::lobby(2), Cursor::order(actors(&[0, 1, 2])));
    assert_eq!(
        run.schedule(),
        actors(&[1, 0, 0, 1, 1, 0, 0, 1, 2, 0, 0, 2, 2, 0, 0, 2])
    );
    assert_eq!(run.end(), End::Finished);
}

#[test]
fn a_replay_is_the_same_run() {
    let schedule = actors(&[0, 1, 1, 0, 1, 0]);
    let (run, left) = follow(&known::sql_lost_update(2), Cursor::replay(schedule));
    let (again, left_again) = follow(&known::sql_lost_update(2), Cursor::replay(run.schedule()));
    assert_eq!(run.diverged(), None);
    assert_eq!(again.schedule(), run.schedule());
    assert_eq!(again.trace_id(), run.trace_id());
    assert_eq!(left.outcome(), left_again.outcome());
}

#[test]
fn a_schedule_that_ends_early_goes_on_without_preemptions() {
    let (run, _) = follow(&known::sql_lost_update(3), Cursor::replay(actors(&[0, 2])));
    assert_eq!(run.schedule(), actors(&[0, 2, 2, 2, 0, 0, 1, 1, 1]));
    assert_eq!((run.diverged(), run.preemptions()), (None, 1));
}

#[test]
fn a_schedule_that_cannot_be_followed_is_a_divergence() {
    // Actor 1 waits for the row that actor 0 has written, so it cannot move again at step 4.
    let (run, _) = follow(
        &known::sql_lost_update(2),
        Cursor::replay(actors(&[0, 1, 0, 1, 1, 0])),
    );
    assert_eq!(run.diverged(), Some(4));
    assert_eq!(run.end(), End::Finished);
    let (run, _) = follow(&known::sql_lost_update(2), Cursor::replay(actors(&[7])));
    assert_eq!(run.diverged(), Some(0));
}

#[test]
fn a_schedule_that_is_longer_than_the_run_is_a_divergence() {
    let (run, _) = follow(
        &known::sql_lost_update(1),
        Cursor::replay(actors(&[0, 0, 0, 0])),
    );
    assert_eq!(run.diverged(), Some(3));
}

#[test]
fn equivalent_runs_have_one_identity() {
    let id = |schedule: &[usize]| {
        let (run, _) = follow(&known::litmus("IRIW"), Cursor::replay(actors(schedule)));
        assert_eq!(run.diverged(), None);
        trace_id(run.events())
    };
    // Two reads of one cell commute; a read and a write of it do not.
    assert_eq!(id(&[0, 1, 2, 3, 2, 3]), id(&[1, 0, 3, 2, 3, 2]));
    assert_ne!(id(&[0, 2, 1, 3, 2, 3]), id(&[2, 0, 1, 3, 2, 3]));
}

/// Whether both sessions read before either wrote.
fn loses_an_update(machine: &Machine, schedule: Vec<Actor>) -> Option<Run<Print>> {
    let (run, _) = follow(machine, Cursor::replay(schedule));
    let first_two_of = |a: usize| {
        let of =
            |(at, e): (usize, &deadheat_explore::Event<Print>)| (e.actor == actor(a)).then_some(at);
        run.events()
            .iter()
            .enumerate()
            .filter_map(of)
            .take(2)
            .collect::<Vec<_>>()
    };
    let (a, b) = (first_two_of(0), first_two_of(1));
    (a[0] < b[1] && b[0] < a[1]).then_some(run)
}

#[test]
fn a_lost_update_shrinks_to_one_preemption() {
    let machine = known::sql_lost_update(3);
    let long = actors(&[0, 2, 1, 2, 0, 1, 2, 0, 1]);
    let found = loses_an_update(&machine, long).expect("it is lost here");
    assert!(found.preemptions() > 3);
    let mut shrink = fewer_switches(found.schedule());
    let mut tried = 0;
    while let Some(candidate) = shrink.candidate() {
        tried += 1;
        if let Some(run) = loses_an_update(&machine, candidate) {
            shrink.persisted(run.schedule());
        }
    }
    let (best, _) = follow(&machine, Cursor::replay(shrink.best().to_vec()));
    assert_eq!((best.diverged(), best.preemptions()), (None, 1));
    assert!(loses_an_update(&machine, shrink.best().to_vec()).is_some());
    assert!(tried < 40, "{tried} tries");
}

#[test]
fn every_candidate_has_the_same_steps_and_fewer_switches() {
    let schedule = actors(&[0, 1, 2, 0, 1, 2, 1, 0]);
    let mut shrink = fewer_switches(schedule.clone());
    let mut candidates = Vec::new();
    while let Some(candidate) = shrink.candidate() {
        candidates.push(candidate);
    }
    assert!(candidates.len() > 4);
    let sorted = |mut s: Vec<Actor>| {
        s.sort_unstable();
        s
    };
    for candidate in candidates {
        assert!(candidate.chunk_by(PartialEq::eq).count() < 8);
        assert_eq!(sorted(candidate), sorted(schedule.clone()));
    }
    assert_eq!(shrink.best(), schedule);
}
