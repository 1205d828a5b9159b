//! The searches find exactly the traces that are published, or were counted by brute force, for known programs.
//!
//! The largest ones take minutes and are left out unless the variable `DEADHEAT_SOAK` is set:
//!
//!     DEADHEAT_SOAK=1 cargo test --release -p deadheat-explore --test published -- --nocapture

mod common;

use std::collections::BTreeMap;

use common::drive::{exhaust, exhaust_and_tell};
use common::known::{self, Unlock};
use deadheat_explore::{Config, Ending};

#[derive(serde::Deserialize)]
struct Entry {
    counts: BTreeMap<String, usize>,
}

#[test]
fn counts_are_reached_exactly() {
    let table: BTreeMap<String, Entry> =
        toml::from_str(include_str!("data/traces.toml")).expect("it is TOML");
    let all = std::env::var_os("DEADHEAT_SOAK").is_some();
    for (program, entry) in table {
        for (size, count) in entry.counts {
            // Seconds to minutes each.
            if count > 4000 && !all {
                continue;
            }
            let began = std::time::Instant::now();
            let (found, optimal) =
                exhaust_and_tell(&known::named(&program, &size), Config::default());
            println!(
                "{program} {size}: {} traces in {} runs, {} of them blocked{}, {:?}",
                found.classes.len(),
                found.progress.runs,
                found.progress.blocked_runs,
                if optimal { "" } else { " (steps drift)" },
                began.elapsed()
            );
            if optimal {
                assert_eq!(found.progress.runs, count as u64, "{program} {size}");
            }
            assert_eq!(found.classes.len(), count, "{program} {size}");
            assert_eq!(found.progress.traces, count as u64);
            assert_eq!(found.ending, Ending::Exhausted);
        }
    }
}

#[test]
fn where_steps_can_be_foreseen_no_run_is_in_vain() {
    for (machine, traces) in [
        (known::lastzero(7), 320),
        (known::fib_bench(2), 140),
        (known::readers(6), 64),
    ] {
        let (found, optimal) = exhaust_and_tell(&machine, Config::default());
        assert!(optimal);
        assert_eq!(
            (found.progress.runs, found.classes.len()),
            (traces, traces as usize)
        );
    }
}

#[test]
fn source_sets_alone_reach_the_counts_too() {
    let config = Config {
        source_sets: true,
        ..Config::default()
    };
    for (machine, traces) in [
        (known::lastzero(7), 320),
        (known::fib_bench(2), 140),
        (known::filesystem(16), 8),
        (known::mutex(3, Unlock::Always), 6),
    ] {
        let found = exhaust(&machine, config.clone());
        assert_eq!(
            (found.ending, found.classes.len()),
            (Ending::Exhausted, traces)
        );
    }
}
