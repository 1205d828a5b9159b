//! Holds the searches against brute force on one generated program after another, until stopped (or until a
//! number of programs is reached).
//!
//!     cargo run --release -p deadheat-explore --example soak -- [first seed] [programs]

#[path = "../tests/common/mod.rs"]
mod common;

use common::brute;
use common::drive::{exhaust, exhaust_and_tell};
use common::generate::Generated;
use deadheat_explore::{Config, Ending};

/// Programs with more interleavings than this are left out.
const CAP: u64 = 3_000;

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|a| a.parse::<u64>().expect("seeds and counts are numbers"));
    let first = arguments.next().unwrap_or(1 << 32);
    let programs = arguments.next().unwrap_or(u64::MAX);
    let (mut done, mut runs, mut traces) = (0_u64, 0, 0);
    println!("models of programs, from seed {first} on");
    for seed in first.. {
        if done == programs {
            break;
        }
        let generated = Generated::new(seed);
        let machine = generated.machine();
        let Some(classes) = brute::classes(&machine, u32::MAX, CAP) else {
            continue;
        };
        let (found, optimal) = exhaust_and_tell(&machine, Config::default());
        assert_eq!(found.classes, classes, "{generated:?}");
        assert_eq!(found.ending, Ending::Exhausted, "{generated:?}");
        if optimal {
            assert_eq!(found.progress.runs, classes.len() as u64, "{generated:?}");
        }
        let by_source_sets = Config {
            source_sets: true,
            ..Config::default()
        };
        let by_source_sets = exhaust(&machine, by_source_sets);
        assert_eq!(by_source_sets.classes, classes, "{generated:?}");
        let bound = u32::try_from(seed % 4).expect("less than 4");
        let found_within = exhaust(
            &machine,
            Config {
                preemptions: Some(bound),
                ..Config::default()
            },
        );
        let within = brute::classes(&machine, bound, CAP).expect("a part of what fits");
        assert_eq!(found_within.classes, within, "bound {bound}: {generated:?}");
        (done, runs, traces) = (
            done + 1,
            runs + found.progress.runs,
            traces + found.progress.traces,
        );
        if done % 10_000 == 0 {
            println!(
                "{done} programs up to seed {seed}: {traces} traces in {runs} runs, none lost"
            );
        }
    }
    println!("{done} programs: {traces} traces in {runs} runs, none lost");
}
