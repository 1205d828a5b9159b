//! The task lab beside its peers, on the same program: a lobby that is an actor, and clients that send it their nick and
//! wait for its answer.
//!
//! Schedules a second: five clients, at random, one core; the two take turns, round after round. Runs to exhaust: three
//! clients. Writes results.md.

mod exhaust;
mod ours;
mod shuttles;

use std::fmt::Write;
use std::time::Duration;

/// Rounds of the comparison; the median counts.
const ROUNDS: usize = 11;
/// How long each of the two runs in a round.
const SLICE: Duration = Duration::from_secs(1);

fn main() -> std::io::Result<()> {
    let mut rates: Vec<[f64; 2]> = Vec::new();
    for round in 0..ROUNDS as u64 {
        rates.push([
            rate(|| ours::random(round)),
            rate(|| shuttles::random(round)),
        ]);
    }
    let median = |of: &dyn Fn(&[f64; 2]) -> f64| {
        let mut all: Vec<f64> = rates.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let (lab, shuttle) = (median(&|round| round[0]), median(&|round| round[1]));
    let ratio = median(&|round| round[0] / round[1]);
    let ours = exhaust::ours();
    let (loom, seconds) = exhaust::loom();
    let mut page = String::from("# The task lab beside its peers\n\n");
    let _ = write!(
        page,
        "The lobby as an actor with a mailbox. Written by `make bench`; see README.md.\n\n\
         | five clients, random schedules, one core | schedules a second of processor time |\n| --- | ---: |\n\
         | task lab | {lab:.0} |\n| shuttle | {shuttle:.0} |\n| ratio, median of {ROUNDS} rounds | {ratio:.2} |\n\n\
         | three clients, exhausted | runs | blocked runs | seconds |\n| --- | ---: | ---: | ---: |\n\
         | task lab | {} | {} | {:.4} |\n| loom | {loom} | | {seconds:.1} |\n",
        ours.runs, ours.blocked_runs, ours.seconds,
    );
    print!("{page}");
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/results.md"), page)
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
