//! Nobody can move: a circle that the database does not see, or does not break.
#![allow(missing_docs)]

mod common;

use common::{Bench, has, service, verdict};
use serde_json::Value;

/// What is found, and found again by its replay.
#[track_caller]
fn found(bench: &Bench, scenario: &std::path::Path, kind: &str) -> Value {
    let (said, json) = bench.find(scenario, &["--no-shrink"]);
    assert_eq!(verdict(&json), ("race", kind), "{}\n{}", said.out, said.err);
    let race = bench.race(&json);
    let replay = bench.run(["replay", race.to_str().expect("UTF-8")]);
    assert_eq!(replay.code, 1, "{}\n{}", replay.out, replay.err);
    json
}

fn why(json: &Value) -> &str {
    json["races"][0]["why"].as_str().expect("a text")
}

#[test]
fn two_mutexes_in_opposite_order_let_nobody_go_on() {
    if has("python3") {
        let json = found(&Bench::new(), &service("two_mutexes.toml"), "stuck");
        assert_eq!(json["races"][0]["checks"][0], "stuck");
        insta::assert_snapshot!(why(&json));
    }
}

#[test]
fn a_mutex_and_a_row_make_a_circle_that_the_database_does_not_see() {
    if has("python3") {
        let json = found(&Bench::new(), &service("mutex_and_row.toml"), "stuck");
        insta::assert_snapshot!(why(&json));
    }
}

/// Two count up what they have read; whoever finds that it was too late goes away without a word, and its transaction
/// stays open.
const GONE: &str = r#"
title = "Who comes too late leaves its transaction open, and a third waits for what it has locked"

[database]
engine = "postgres"
sql = """
    create table page (id integer primary key, version integer not null, readers integer not null);
    insert into page (id, version, readers) values (1, 0, 0);
"""

[[actor]]
name = "amy"
sql = ["update page set version = version + 1 where id = 1"]

[[actor]]
name = "ben"
sql = [
    "select version as seen from page where id = 1",
    "begin",
    "update page set readers = readers + 1 where id = 1 returning version as now",
    { when = ":now = :seen", run = "commit" },
]
"#;

#[test]
fn who_goes_away_in_a_transaction_leaves_it_open() {
    let bench = Bench::new();
    let scenario = bench.scenario("gone.toml", GONE);
    let json = found(&bench, &scenario, "left-open");
    let checks = &json["races"][0]["checks"];
    assert_eq!(checks, &serde_json::json!(["serial", "left open"]));
    insta::assert_snapshot!(why(&json));
}

#[test]
fn who_waits_for_a_row_of_somebody_who_has_gone_waits_for_ever() {
    let bench = Bench::new();
    let third =
        "\n[[actor]]\nname = \"cat\"\nsql = [\"update page set version = 9 where id = 1\"]\n";
    let scenario = bench.scenario("gone.toml", &(GONE.to_owned() + third));
    let (said, json) = bench.find(&scenario, &["--keep-going", "--time", "30s"]);
    let races = json["races"].as_array().expect("a list");
    let stuck = races.iter().find(|race| race["kind"] == "stuck");
    let stuck = stuck.unwrap_or_else(|| panic!("{}\n{}", said.out, said.err));
    let why = stuck["why"].as_str().expect("a text");
    assert!(why.contains("a lock that ben holds"), "{why}");
}

#[test]
fn who_waits_for_ever_after_all_others_have_ended_is_a_bug_and_no_race() {
    let bench = Bench::new();
    let text = GONE.replace("{ when = \":now = :seen\", run = \"commit\" },", "");
    assert_ne!(text, GONE);
    let scenario = bench.scenario("gone.toml", &text);
    let (said, json) = bench.find(&scenario, &[]);
    assert_eq!(verdict(&json).0, "bug", "{}\n{}", said.out, said.err);
    let order = serde_json::json!(["ben", "amy"]);
    assert_eq!(json["broken_serially"]["stuck"], order, "{json:#}");
    assert_eq!(said.code, 1);
}
