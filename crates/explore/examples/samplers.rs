//! Mean number of schedules to the first bug, for each sampler and for all in turn.
//!
//!     cargo run --release -p deadheat-explore --example samplers
//!
//! 50 trials each of at most 5,000 runs; in brackets how many of them hit, where not all did.

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;

use common::drive::follow;
use common::machine::{Machine, Op};
use deadheat_explore::{Explorer, Next, Random, RandomConfig, Sampler};

const TRIALS: u64 = 50;
const CAP: u64 = 5_000;

/// A cell that is not 0 at the end means that the bug was hit.
const BUG: usize = 127;

fn main() {
    let programs = [
        ("reorder_5", reorder(5)),
        ("reorder_10", reorder(10)),
        ("twostage_20", twostage(20)),
        ("uneven(25)", uneven(25)),
    ];
    let samplers = [
        ("PCT3", Some(Sampler::Pct3)),
        ("POS", Some(Sampler::Pos)),
        ("URW", Some(Sampler::Urw)),
        ("rotate", None),
    ];
    print!("{:<14}", "program");
    for (name, _) in samplers {
        print!("{name:>14}");
    }
    println!();
    for (name, machine) in programs {
        print!("{name:<14}");
        for (_, sampler) in samplers {
            print!("{:>14}", mean(&machine, sampler));
        }
        println!();
    }
}

fn mean(machine: &Machine, sampler: Option<Sampler>) -> String {
    let hits: Vec<u64> = (0..TRIALS)
        .filter_map(|seed| first_hit(machine, seed, sampler))
        .collect();
    let count = hits.len() as u64;
    match count {
        0 => format!("0/{TRIALS}"),
        TRIALS => (hits.iter().sum::<u64>() / count).to_string(),
        _ => format!("{} ({count})", hits.iter().sum::<u64>() / count),
    }
}

/// How many runs it took.
fn first_hit(machine: &Machine, seed: u64, sampler: Option<Sampler>) -> Option<u64> {
    let mut explorer = Random::new(RandomConfig {
        seed,
        runs: Some(CAP),
        sampler,
    });
    loop {
        match explorer.next() {
            Next::Run(cursor) => {
                let (run, left) = follow(machine, cursor);
                if left.cell(BUG) != 0 {
                    return Some(run.index() + 1);
                }
                explorer.report(run);
            }
            Next::Wait => unreachable!("every run was reported"),
            Next::Done(_) => return None,
        }
    }
}

/// After SCTBench: `n - 1` setters write `a`, then `b`; a checker is wrong if it sees `a` set and `b` not.
fn reorder(n: usize) -> Machine {
    let (a, b) = (0, 1);
    Machine::new(
        n,
        Arc::new(move |t, log: &[i64]| match (t, log) {
            (0, []) => Op::Read(a),
            (0, [1]) => Op::Read(b),
            (0, [1, 0]) => Op::Write(BUG, 1),
            (0, _) => Op::End,
            (_, []) => Op::Write(a, 1),
            (_, [_]) => Op::Write(b, 1),
            _ => Op::End,
        }),
    )
}

/// After SCTBench: half of the actors set a first cell and then, under another lock, a second one from it; the others read the
/// first and then the second, and are wrong if the first was set and the second not.
fn twostage(n: usize) -> Machine {
    let (first_lock, second_lock, first, second) = (2, 3, 0, 1);
    Machine::new(
        n,
        Arc::new(move |t, log: &[i64]| match (t % 2, log) {
            (_, []) => Op::Lock(first_lock),
            (0, [_]) => Op::Write(first, 1),
            (1, [_]) => Op::Read(first),
            (_, [_, _]) => Op::Unlock(first_lock),
            (1, [_, 0, _]) => Op::End,
            (_, [_, _, _]) => Op::Lock(second_lock),
            (0, [_, _, _, _]) => Op::Write(second, 1),
            (1, [_, _, _, _]) => Op::Read(second),
            (_, [_, _, _, _, _]) => Op::Unlock(second_lock),
            (1, [_, _, _, _, 0, _]) => Op::Write(BUG, 1),
            _ => Op::End,
        }),
    )
}

/// One actor of a single step that has to come right before the last of another's `k`.
fn uneven(k: usize) -> Machine {
    Machine::new(
        2,
        Arc::new(move |t, log: &[i64]| match (t, log.len()) {
            (0, at) if at + 2 < k => Op::Write(1, 1),
            (0, at) if at + 2 == k => Op::Write(0, 1),
            (0, at) if at < k => Op::Write(0, 0),
            (1, 0) => Op::Read(0),
            (1, 1) if log == [1] => Op::Write(BUG, 1),
            _ => Op::End,
        }),
    )
}
