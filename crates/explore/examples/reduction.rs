//! Runs and time it takes to see every class of the published programs, and of generated ones: by source sets alone,
//! and with wakeup trees as long as steps can be foreseen.
//!
//!     cargo run --release -p deadheat-explore --example reduction
//!
//! Markdown, for the page of measurements: programs that cost both the same number of runs are summed up in one line. The time
//! is that of a run in the explorer and the model together, in microseconds; the model's part is small. The largest
//! published sizes are left out.

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::time::Instant;

use common::brute;
use common::drive::{Found, exhaust_and_tell};
use common::generate::Generated;
use common::known;
use common::machine::Machine;
use deadheat_explore::{Config, Ending};

/// Classes beyond which a program is left out.
const MOST: usize = 4_000;
/// Generated programs, and interleavings beyond which one is left out.
const GENERATED: usize = 20_000;
const CAP: u64 = 600;

#[derive(serde::Deserialize)]
struct Entry {
    counts: BTreeMap<String, usize>,
}

#[derive(Default)]
struct Row {
    classes: u64,
    /// Runs, those of them that were cut, and microseconds.
    source: (u64, u64, f64),
    wakeup: (u64, u64, f64),
}

fn main() {
    println!(
        "| program | classes | source sets: runs | cut | µs/run | wakeup trees: runs | cut | µs/run | steps |"
    );
    println!("| --- | --: | --: | --: | --: | --: | --: | --: | --- |");
    let table: BTreeMap<String, Entry> =
        toml::from_str(include_str!("../tests/data/traces.toml")).expect("it is TOML");
    let mut alike = (0, Row::default());
    for (program, entry) in table {
        let largest = entry.counts.iter().filter(|(_, count)| **count <= MOST);
        let Some((size, _)) = largest.max_by_key(|(_, count)| **count) else {
            continue;
        };
        let mut row = Row::default();
        let foreseen = row.add(&known::named(&program, size));
        if (row.source.0, row.source.1) == (row.wakeup.0, row.wakeup.1) {
            alike.1.join(&row);
            alike.0 += 1;
            continue;
        }
        let steps = if foreseen { "foreseen" } else { "drift" };
        row.print(&format!("{program}({size})"), steps);
    }
    alike
        .1
        .print(&format!("{} other published programs", alike.0), "both");
    generated();
}

/// The generated programs, those whose steps can be foreseen apart.
fn generated() {
    let (mut foreseen, mut drifting) = (Row::default(), Row::default());
    let small = (0_u64..).filter_map(|seed| {
        let machine = Generated::new(seed).machine();
        brute::classes(&machine, u32::MAX, CAP).map(|_| machine)
    });
    let mut counts = (0, 0);
    for machine in small.take(GENERATED) {
        let mut row = Row::default();
        if row.add(&machine) {
            foreseen.join(&row);
            counts.0 += 1;
        } else {
            drifting.join(&row);
            counts.1 += 1;
        }
    }
    foreseen.print(&format!("{} generated programs", counts.0), "foreseen");
    drifting.print(&format!("{} generated programs", counts.1), "drift");
}

impl Row {
    /// Explores a program both ways; whether its steps could be foreseen.
    fn add(&mut self, machine: &Machine) -> bool {
        let explore = |source_sets| {
            let config = Config {
                source_sets,
                ..Config::default()
            };
            let began = Instant::now();
            let (found, foreseen) = exhaust_and_tell(machine, config);
            (found, foreseen, began.elapsed().as_secs_f64() * 1e6)
        };
        let costs = |found: &Found, micros| {
            assert_eq!(found.ending, Ending::Exhausted);
            (found.progress.runs, found.progress.blocked_runs, micros)
        };
        let (found, _, micros) = explore(true);
        self.source = costs(&found, micros);
        self.classes = found.progress.traces;
        let (found, foreseen, micros) = explore(false);
        self.wakeup = costs(&found, micros);
        assert_eq!(self.classes, found.progress.traces);
        foreseen
    }

    fn join(&mut self, other: &Self) {
        self.classes += other.classes;
        for (all, one) in [
            (&mut self.source, other.source),
            (&mut self.wakeup, other.wakeup),
        ] {
            *all = (all.0 + one.0, all.1 + one.1, all.2 + one.2);
        }
    }

    fn print(&self, name: &str, steps: &str) {
        let way = |(runs, cut, micros): (u64, u64, f64)| {
            format!("{runs} | {cut} | {:.1}", micros / runs as f64)
        };
        println!(
            "| {name} | {} | {} | {} | {steps} |",
            self.classes,
            way(self.source),
            way(self.wakeup)
        );
    }
}
