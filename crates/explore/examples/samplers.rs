//! Mean number of schedules to the first bug, for a plain random walk, for each sampler and for all in turn; in each
//! cell first ours, then what was published for a program of that name.
//!
//!     cargo run --release -p deadheat-explore --example samplers
//!
//! 50 trials each of at most 5,000 runs; in brackets how many of them hit, where not all did. The published programs are
//! known by name alone. The two of SCTBench are written after its sources, with all threads there from the start, where the
//! original has a first thread that starts the others; the last three are guesses. So a row is compared from column
//! to column, not cell by cell.
//!
//! `uneven(25)` was found by trying: a short actor's single step at each place among 25 steps of a long one, with a
//! long one that looks for it, or stops when it sees it, and with two to six steps of the short one around some part of the
//! long one. Walks and POS never hit from the 17th place on. Of those places only the very last gives PCT a mean
//! below 80 where it always makes two changes; it now makes none in a third of its runs, each of which hits in every other
//! trial. No single place gives what is published for all in turn with two changes always.

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;

use common::drive::follow;
use common::generate::Dice;
use common::machine::{Machine, Op, Sql};
use deadheat_explore::{Explorer, Next, Random, RandomConfig, Sampler};

const TRIALS: u64 = 50;
const CAP: u64 = 5_000;

/// A cell that is not 0 at the end means that the bug was hit.
const BUG: usize = 127;

/// A program, and what was published for it, in the order of the columns.
struct Row {
    name: &'static str,
    machine: Machine,
    published: [&'static str; 5],
    /// Whether the bug shows in what is left.
    is_hit: fn(&Machine) -> bool,
}

fn rows() -> Vec<Row> {
    let row = |name, machine, published, is_hit| Row {
        name,
        machine,
        published,
        is_hit,
    };
    let flagged: fn(&Machine) -> bool = |left| left.cell(BUG) != 0;
    vec![
        row(
            "reorder_5",
            reorder(5),
            ["595", "93", "94", "148", "76"],
            flagged,
        ),
        row(
            "reorder_10",
            reorder(10),
            ["0/50", "524", "2576 (18)", "2037 (16)", "1366 (47)"],
            flagged,
        ),
        row(
            "twostage_20",
            twostage(20),
            ["0/50", "726", "637", "1832 (1)", "1006"],
            flagged,
        ),
        row(
            "uneven(25)",
            uneven(25),
            ["0/50", "16", "0/50", "23", "14"],
            flagged,
        ),
        row(
            "SQL lost update, 2 of 6",
            lost_update_among(6),
            ["1.7", "11.5", "2.7", "1.4", "3.0"],
            |left| left.row(0) == 1,
        ),
        row(
            "SQL short against 20",
            short_against(20),
            ["0/50", "60", "0/50", "1250 (41)", "238"],
            |left| left.cell(0) == 1,
        ),
    ]
}

fn main() {
    let samplers = [
        ("PCT3", Some(Sampler::Pct3)),
        ("POS", Some(Sampler::Pos)),
        ("URW", Some(Sampler::Urw)),
        ("rotate", None),
    ];
    print!("{:<24}{:>20}", "program", "random walk");
    for (name, _) in samplers {
        print!("{name:>22}");
    }
    println!();
    for row in rows() {
        let walk = mean(|seed| walk(&row, seed));
        print!(
            "{:<24}{:>20}",
            row.name,
            format!("{walk} | {}", row.published[0])
        );
        for (at, (_, sampler)) in samplers.into_iter().enumerate() {
            let ours = mean(|seed| first_hit(&row, seed, sampler));
            print!("{:>22}", format!("{ours} | {}", row.published[at + 1]));
        }
        println!();
    }
}

fn mean(first_hit: impl Fn(u64) -> Option<u64>) -> String {
    let hits: Vec<u64> = (0..TRIALS).filter_map(first_hit).collect();
    let (count, sum) = (hits.len() as u64, hits.iter().sum::<u64>());
    let mean = sum as f64 / count.max(1) as f64;
    let mean = if mean < 20.0 {
        format!("{mean:.1}")
    } else {
        format!("{mean:.0}")
    };
    match count {
        0 => format!("0/{TRIALS}"),
        TRIALS => mean,
        _ => format!("{mean} ({count})"),
    }
}

/// How many runs it takes when every step is drawn evenly among those that can move.
fn walk(row: &Row, seed: u64) -> Option<u64> {
    let mut dice = Dice::new(seed);
    (1..=CAP).find(|_| {
        let mut machine = row.machine.clone();
        loop {
            let enabled = machine.enabled();
            if enabled.is_empty() {
                return (row.is_hit)(&machine);
            }
            machine.step(enabled[dice.below(enabled.len())]);
        }
    })
}

/// How many runs it took.
fn first_hit(row: &Row, seed: u64, sampler: Option<Sampler>) -> Option<u64> {
    let mut explorer = Random::new(RandomConfig {
        seed,
        runs: Some(CAP),
        sampler,
    });
    loop {
        match explorer.next() {
            Next::Run(cursor) => {
                let (run, left) = follow(&row.machine, cursor);
                if (row.is_hit)(&left) {
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

/// One actor of a single step that has to come after all `k` steps of another, each of which conflicts with it.
fn uneven(k: usize) -> Machine {
    Machine::new(
        2,
        Arc::new(move |t, log: &[i64]| match (t, log) {
            (0, []) => Op::Read(0),
            (0, [seen]) if *seen == k as i64 => Op::Write(BUG, 1),
            (1, done) if done.len() < k => Op::Write(0, done.len() as i64 + 1),
            _ => Op::End,
        }),
    )
}

/// Two of the actors read a row and write it, each by a statement of its own transaction; each of the others does so
/// with a row of its own. The bug is that one of two updates is lost.
fn lost_update_among(n: usize) -> Machine {
    Machine::new(
        n,
        Arc::new(move |t, log: &[i64]| {
            let row = t.saturating_sub(1);
            match log {
                [] => Op::Sql(Sql::Select(row)),
                [v] => Op::Sql(Sql::Set(row, v + 1)),
                [_, _] => Op::Sql(Sql::Commit),
                _ => Op::End,
            }
        }),
    )
}

/// One actor reads a value and writes it, while another adds to it `k` times, each statement by itself. The bug is that
/// all of that is lost.
fn short_against(k: usize) -> Machine {
    Machine::new(
        2,
        Arc::new(move |t, log: &[i64]| match (t, log) {
            (0, []) => Op::Read(0),
            (0, [v]) => Op::Write(0, v + 1),
            (1, done) if done.len() < k => Op::AddIf(0, 0, 1),
            _ => Op::End,
        }),
    )
}
