//! The task lab beside its peers, on the same program: a lobby that is an actor, and clients that send it their nick and
//! wait for its answer.
//!
//! Schedules a second: five clients, at random, one core; the two take turns, round after round. Runs to exhaust: three
//! clients. Prints the figures as JSON.

mod exhaust;
mod ours;
mod shuttles;

use std::time::Duration;

use serde_json::json;

/// Rounds of the comparison; the median counts.
const ROUNDS: usize = 11;
/// How long each of the two runs in a round.
const SLICE: Duration = Duration::from_secs(1);

fn main() {
    let mut rates: Vec<[f64; 2]> = Vec::new();
    for round in 0..ROUNDS as u64 {
        rates.push([
            rate(|| ours::random(round)),
            rate(|| shuttles::random(round)),
        ]);
    }
    let runner = |who: &str, at: usize| {
        let rounds: Vec<f64> = rates.iter().map(|round| round[at]).collect();
        json!({ "who": who, "rounds": rounds })
    };
    let ours = exhaust::ours();
    assert_eq!(ours.blocked_runs, 0, "no run of the task lab is cut");
    let (loom, seconds) = exhaust::loom();
    let figures = json!({
        "random": {
            "what": "five clients, random schedules",
            "runners": [runner("task lab", 0), runner("shuttle", 1)],
        },
        "exhausted": [
            { "who": "task lab", "runs": ours.runs, "seconds": ours.seconds },
            { "who": "loom", "runs": loom, "seconds": seconds },
        ],
    });
    println!("{figures}");
}

/// Runs a second of processor time: batches are made until the slice is used up.
fn rate(mut batch: impl FnMut() -> u64) -> f64 {
    let start = processor_time();
    let mut runs = 0;
    while processor_time() - start < SLICE {
        runs += batch();
    }
    runs as f64 / (processor_time() - start).as_secs_f64()
}

/// What this thread has had of its core so far, so that others on the machine count less.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number comes first"))
}
