//! A saved race is a regression test: it fails every time, until it is cured.
#![allow(missing_docs)]

mod common;

use common::{Bench, example, root};

#[test]
fn a_saved_race_replays_a_hundred_times_in_a_hundred() {
    let bench = Bench::new();
    let mut scenarios = vec![
        "sql/lost-update.toml",
        "sql/commit-gap.toml",
        "sql/deadlock-rows.toml",
    ];
    if root().join("target/release/lobby-rust").exists() {
        scenarios.push("lobby/rust/racy.toml");
    }
    for scenario in scenarios {
        let (_, json) = bench.find(&example(scenario), &[]);
        let race = bench.race(&json);
        let said = bench.run([
            "replay",
            "--times",
            "100",
            "--json",
            race.to_str().expect("UTF-8"),
        ]);
        assert_eq!(said.code, 1, "{}\n{}", said.out, said.err);
        let json: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
        assert_eq!(json["happened"], 100, "{json:#}");
    }
}
