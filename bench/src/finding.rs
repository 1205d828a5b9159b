//! Whole searches, as a user makes them: `deadheat find --json --keep-going`.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use crate::Fallible;
use crate::results::{Phases, Search};

/// A scenario, with the longest time it gets and what is known of it.
struct Plan {
    scenario: &'static str,
    time: &'static str,
    classes: Option<u64>,
    at_most: Option<u64>,
}

const fn exhaust(scenario: &'static str, classes: u64, at_most: Option<u64>) -> Plan {
    Plan {
        scenario,
        time: "60s",
        classes: Some(classes),
        at_most,
    }
}

/// Counts of the first five: crates/explore/tests/data/traces.toml (a row that is locked and then written is one
/// update). Five clients that lock a game in turn are five atomic updates: (2n)! / (n + 1)!.
const PLANS: [Plan; 8] = [
    exhaust("examples/sql/lost-update.toml", 6, None),
    exhaust("examples/sql/lost-update-3.toml", 96, Some(96)),
    exhaust("examples/sql/atomic-update.toml", 4, Some(4)),
    exhaust("examples/sql/atomic-update-3.toml", 30, Some(30)),
    exhaust("examples/sql/for-update.toml", 4, None),
    exhaust("examples/sql/lobby-5-cured.toml", 5040, None),
    Plan {
        scenario: "examples/sql/lobby-5.toml",
        time: "20s",
        classes: None,
        at_most: None,
    },
    Plan {
        scenario: "examples/lobby/rust/cured.toml",
        time: "20s",
        classes: None,
        at_most: None,
    },
];

/// All searches, one after the other.
pub fn all(labs: usize) -> Fallible<Vec<Search>> {
    PLANS.iter().map(|plan| find(plan, labs)).collect()
}

fn find(plan: &Plan, labs: usize) -> Fallible<Search> {
    eprintln!("  {}", plan.scenario);
    let deadheat = Path::new("target/release/deadheat").canonicalize()?;
    let scenario = Path::new(plan.scenario).canonicalize()?;
    // Races are saved in the folder in which they are looked for.
    let folder = std::env::temp_dir().join(format!("deadheat-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let run = Command::new(deadheat)
        .args(["find", "--json", "--keep-going", "--time", plan.time])
        .args(["--labs", &labs.to_string()])
        .arg(scenario)
        .current_dir(&folder)
        .output();
    std::fs::remove_dir_all(&folder)?;
    let run = run?;
    let text = String::from_utf8(run.stdout)?;
    let found: Value = serde_json::from_str(&text)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&run.stderr)))?;
    let count = |name: &str| found[name].as_u64().unwrap_or(0);
    let races = found["races"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(Search {
        scenario: plan.scenario.to_owned(),
        classes: plan.classes,
        at_most: plan.at_most,
        verdict: found["verdict"].as_str().unwrap_or("?").to_owned(),
        exhausted: found["exhausted"] == true,
        runs: count("runs") - count("serial_runs"),
        serial_runs: count("serial_runs"),
        traces: count("traces"),
        blocked_runs: count("blocked_runs"),
        first_race: races.first().and_then(|race| race["found_at_run"].as_u64()),
        seconds: found["seconds"].as_f64().unwrap_or(f64::NAN),
        runs_per_second: found["runs_per_second"].as_f64().unwrap_or(f64::NAN),
        phases: Phases::deserialize(&found["profile"])?,
    })
}
