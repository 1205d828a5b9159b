//! What a run is held to besides its last state: invariants after every commit, and serial orders of many actors.
#![allow(missing_docs)]

mod common;

use common::{Bench, verdict};
use serde_json::Value;

#[track_caller]
fn find(scenario: &str, flags: &[&str]) -> Value {
    let bench = Bench::new();
    let (said, json) = bench.find(&bench.scenario("scenario.toml", scenario), flags);
    assert!(said.code < 2, "{}", said.err);
    json
}

/// Four lamps that nobody else touches: the steps commute, and still it is to be seen which are lit together.
fn lamps(each_commit: bool) -> String {
    format!(
        r#"
title = "Two light two lamps each"

[database]
engine = "postgres"
sql = """
    create table lamp (id integer primary key, lit boolean not null);
    insert into lamp select n, false from generate_series(1, 4) n;
"""

[[actor]]
name = "a"
sql = ["update lamp set lit = true where id = 1", "update lamp set lit = true where id = 2"]

[[actor]]
name = "b"
sql = ["update lamp set lit = true where id = 3", "update lamp set lit = true where id = 4"]

[check.invariants]
"never the first and the third alone" = {{ sql = "select array_agg(id order by id) is distinct from '{{1,3}}' from lamp where lit", each_commit = {each_commit} }}
"#
    )
}

#[test]
fn what_is_wrong_between_two_commits_is_found() {
    let json = find(&lamps(true), &[]);
    assert_eq!(verdict(&json), ("race", "invariant"), "{json:#}");
    let race = &json["races"][0];
    assert_eq!(race["checks"][0], "never the first and the third alone");
    let why = race["why"].as_str().expect("a text");
    assert!(why.contains("does not hold after step"), "{why}");
}

#[test]
fn what_is_right_in_the_end_is_right_where_only_the_end_is_asked() {
    let json = find(&lamps(false), &[]);
    assert_eq!(verdict(&json), ("clean", "none"), "{json:#}");
}

/// So many actors, each with these statements on a counter.
fn counting(actors: usize, statements: &str) -> String {
    format!(
        r#"
title = "Many count"

[database]
engine = "postgres"
sql = """
    create table counter (id integer primary key, v integer not null);
    insert into counter (id, v) values (1, 0);
"""

[[actor]]
name = "a{{n}}"
copies = {actors}
sql = [{statements}]
"#
    )
}

const ATOMIC: &str = r#""update counter set v = v + 1 where id = 1 returning v""#;
const APART: &str =
    r#""select v as n from counter where id = 1", "update counter set v = :n + 1 where id = 1""#;

/// Every order of the actors gives them other numbers: an order is run when a run may equal it, and not before.
#[track_caller]
fn orders_are_run_on_demand(actors: usize, orders: u64) {
    let json = find(&counting(actors, ATOMIC), &["--runs", "25"]);
    assert_eq!(verdict(&json), ("no-race-found", "none"), "{json:#}");
    let serial = json["serial_runs"].as_u64().expect("a number");
    assert!(serial > 4 && serial < orders, "{json:#}");
    assert!(json.get("notes").is_none(), "{json:#}");
}

#[test]
fn of_five_some_orders_are_run() {
    orders_are_run_on_demand(5, 2 * 120);
}

#[test]
fn of_six_some_orders_are_run() {
    orders_are_run_on_demand(6, 2 * 720);
}

/// That no serial order has the outcome is said only when all of them are known.
#[test]
fn of_five_all_orders_are_run_before_one_is_accused() {
    let json = find(&counting(5, APART), &["--time", "50s"]);
    assert_eq!(verdict(&json), ("race", "lost-update"), "{json:#}");
    assert!(json["serial_runs"].as_u64() >= Some(2 * 120), "{json:#}");
}
