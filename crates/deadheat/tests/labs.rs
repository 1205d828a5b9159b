//! Which lab made a run makes no difference.

use std::path::Path;
use std::sync::Arc;

use deadheat::search::Labs;
use deadheat_explore::{Actor, Cursor, Footprint as _, Run};
use deadheat_lab::{Blueprint, Options};
use deadheat_sql::Footprint;

const DEADLOCK: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/sql/deadlock-advisory.toml"
);

/// Each takes its own lock; then this one asks for the other's, and the other for this one's.
fn circle(first: u16) -> Vec<Actor> {
    let (first, second) = (Actor(first), Actor(1 - first));
    let mut schedule = vec![Actor(0); 3];
    schedule.extend([Actor(1); 3]);
    schedule.extend([first, second]);
    schedule
}

/// The two steps that ask.
fn attempts(run: &Run<Footprint>) -> (&Footprint, &Footprint) {
    let events = run.events();
    (&events[6].footprint, &events[7].footprint)
}

#[test]
fn a_wait_seen_in_one_lab_conflicts_with_a_wait_seen_in_another() {
    let scenario = Arc::new(deadheat_scenario::load(Path::new(DEADLOCK)).unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let drawing = Blueprint::draw(scenario, false);
    let blueprint = Arc::new(runtime.block_on(drawing).unwrap());
    let run = |first| {
        let mut lab = Labs::build(&blueprint, 1).unwrap();
        let cursor = Cursor::replay(circle(first));
        let (_, run) = lab.run(cursor, Options::default()).unwrap();
        lab.end();
        run
    };
    let (ann_first, bob_first) = (run(0), run(1));
    let (anns, _) = attempts(&ann_first);
    let (bobs, _) = attempts(&bob_first);
    assert!(anns.conflicts(bobs), "{anns:?}\n{bobs:?}");
}
