//! What a run is held to besides its last state: invariants after every commit, and serial orders of many actors.
#![allow(missing_docs)]

mod common;

use common::{Bench, example, root, verdict};
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

/// That no serial order has the outcome is said only when it is known of all of them: where nobody is told anything, all
/// are run.
#[test]
fn of_five_all_orders_are_run_before_one_is_accused() {
    let unheard = r#""update counter set v = (select max(v) from counter) + 1 where id = 1""#;
    let json = find(&counting(5, unheard), &["--time", "50s"]);
    assert_eq!(verdict(&json).0, "race", "{json:#}");
    assert!(json["serial_runs"].as_u64() >= Some(120), "{json:#}");
}

/// Six ask for one of four seats, and nothing says how many there are but what they do one after the other.
#[track_caller]
fn six_are_accused(scenario: &str) {
    let json = find(scenario, &["--time", "5m", "--no-shrink"]);
    assert_eq!(verdict(&json).0, "race", "{json:#}");
    assert_eq!(json["races"][0]["checks"], serde_json::json!(["serial"]));
    // Of 720 orders, those that begin with what nobody was told are not run, and most of the others once.
    assert!(json["serial_runs"].as_u64() < Some(500), "{json:#}");
}

#[test]
fn six_joiners_are_accused_by_the_serial_orders_alone() {
    let text = std::fs::read_to_string(example("sql/lobby-5.toml")).expect("an example");
    let schema = example("lobby/schema.sql");
    let text = text.replace("../lobby/schema.sql", schema.to_str().expect("UTF-8"));
    let text = text.replace("copies = 5", "copies = 6");
    let (text, _) = text.split_once("[check.invariants]").expect("an invariant");
    six_are_accused(text);
}

#[test]
fn six_requests_are_accused_by_the_serial_orders_alone() {
    let folder = root().join("target/release");
    if !folder.join("lobby-rust").exists() {
        eprintln!("skipped: target/release/lobby-rust is not built (make build)");
        return;
    }
    let folder = folder.canonicalize().expect("built");
    let schema = example("lobby/schema.sql").canonicalize().expect("a file");
    six_are_accused(&format!(
        r#"
title = "Six ask for one of four seats"

[database]
engine = "postgres"
setup = ["{}"]

[service.web]
run = "./lobby-rust"
directory = "{}"
env = {{ PORT = "{{port}}", LOBBY_VARIANT = "racy" }}
ready = "GET /health"

[[actor]]
name = "p{{n}}"
copies = 6
request = "POST /games/1/players"
json = {{ nick = "p{{n}}" }}
"#,
        schema.display(),
        folder.display(),
    ));
}

/// Six that have nothing to do with each other but for two.
#[test]
fn orders_of_those_who_do_not_meet_are_not_run() {
    let counter = |id: &str| {
        format!(
            r#"["select v as n from counter where id = {id}", "update counter set v = :n + 1 where id = {id}"]"#
        )
    };
    let mut text = String::from(
        r#"
[database]
engine = "postgres"
sql = """
    create table counter (id integer primary key, v integer not null);
    insert into counter select n, 0 from generate_series(1, 5) n;
"""
"#,
    );
    for (name, id) in [
        ("a", "1"),
        ("b", "2"),
        ("c", "3"),
        ("d", "4"),
        ("e", "5"),
        ("f", "5"),
    ] {
        text += &format!("\n[[actor]]\nname = \"{name}\"\nsql = {}\n", counter(id));
    }
    let json = find(&text, &["--time", "50s"]);
    assert_eq!(verdict(&json), ("race", "lost-update"), "{json:#}");
    assert!(json["serial_runs"].as_u64() < Some(200), "{json:#}");
}
