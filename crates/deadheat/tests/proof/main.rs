//! The proof on the real server: on generated programs the reduced search sees every outcome that trying all
//! interleavings sees, and runs of one trace end alike.
//!
//! The same with new and larger programs, until it is stopped or two searches differ:
//!
//!     DEADHEAT_SOAK=1 cargo test --release -p deadheat --test proof -- --nocapture
//!
//! Seeds begin at the time of day; `DEADHEAT_SOAK=SEED` begins at another.
#![allow(missing_docs)]

mod known;
mod program;
mod ways;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use deadheat_explore::Config;
use program::Program;
use ways::{Compared, Ground};

/// Programs with more interleavings than this are left out.
const CAP: u64 = 40;

/// Where two searches of a program differ.
struct Difference {
    seed: u64,
    why: String,
    actors: String,
}

/// Compares so many programs that fit the cap, by seed from `first` on, on two threads.
fn compare(make: fn(u64) -> Program, first: u64, count: u64, cap: u64) -> Compared {
    let ground = Ground::new();
    let (next, begun, over) = (
        AtomicU64::new(first),
        AtomicU64::new(0),
        AtomicBool::new(false),
    );
    let work = || {
        let mut sum = Compared::default();
        while !over.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let program = make(seed);
            if !(2..=cap).contains(&program.interleavings) {
                continue;
            }
            let number = begun.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            match ground.compare(&program.actors) {
                Ok(compared) => sum.add(&compared),
                Err(why) => {
                    over.store(true, Ordering::Relaxed);
                    let actors = program.actors;
                    return Err(Difference { seed, why, actors });
                }
            }
            if number > 0 && number.is_multiple_of(100) {
                println!("{number} programs, at seed {seed}");
            }
        }
        Ok(sum)
    };
    let results = std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.map(|thread| thread.join().expect("a thread that compares"))
    });
    let mut sum = Compared::default();
    for result in results {
        match result {
            Ok(compared) => sum.add(&compared),
            Err(Difference { seed, why, actors }) => panic!("seed {seed}: {why}\n\n{actors}"),
        }
    }
    sum
}

#[test]
fn the_reduced_search_ends_in_every_way_there_is() {
    if let Ok(seed) = std::env::var("DEADHEAT_SOAK") {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a time after 1970");
        let seed = seed.parse().ok().filter(|seed| *seed > 1);
        let first = seed.unwrap_or(now.as_secs() << 20);
        for round in 0_u64.. {
            let first = first + (round << 16);
            compare(Program::new, first, 300, 10 * CAP);
            compare(Program::serializable, first, 100, 10 * CAP);
        }
    }
    let sum = compare(Program::new, 0, 300, CAP);
    println!("{sum:?}");
    // Else it would prove nothing: programs must be reduced, and must be able to end in several ways.
    assert!(sum.reduced * 2 < sum.all, "{sum:?}");
    assert!(sum.outcomes > 350, "{sum:?}");
}

/// What PostgreSQL refuses serializable transactions for depends on pages and indexes, on plans, and on the transaction ids of the
/// whole server. All of that has to be the same whenever the trace is.
#[test]
fn serializable_transactions_are_refused_by_the_trace_alone() {
    let sum = compare(Program::serializable, 0, 40, CAP);
    println!("{sum:?}");
    assert!(sum.reduced < sum.all, "{sum:?}");
    assert!(sum.outcomes > 50, "{sum:?}");
}

/// The proof would notice: without preemptions nothing is lost in this program, with them an update is.
#[test]
fn a_search_that_leaves_something_out_is_noticed() {
    let ground = Ground::new();
    let actor = |name: &str| {
        format!(
            "[[actor]]\nname = \"{name}\"\nsql = [
                \"select max(v) as n from item where id = 1\",
                \"update item set v = :n + 1 where id = 1\",
            ]\n"
        )
    };
    let actors = format!("{}{}", actor("ann"), actor("bob"));
    let serial = Config {
        preemptions: Some(0),
        ..Config::default()
    };
    let why = ground
        .compare_with(&actors, serial)
        .expect_err("an outcome is missing");
    assert!(why.starts_with("the reduced search never ends as"), "{why}");
    let compared = ground.compare(&actors).expect("none is missing");
    // Each after the other, both from the same value, and one from between the other's update and its commit.
    assert!(compared.outcomes >= 3, "{compared:?}");
}
