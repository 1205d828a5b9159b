//! Cases that other tools get wrong: races they do not see, races they see where there are none, and searches they call
//! complete that were not.
#![allow(missing_docs)]

mod common;

use common::{Bench, Said, example, has, verdict};
use serde_json::Value;

/// Searches a scenario that is nothing but SQL.
fn search(tables: &str, rest: &str, flags: &[&str]) -> (Said, Value) {
    let bench = Bench::new();
    let text =
        format!("[database]\nengine = \"postgres\"\nsql = \"\"\"\n{tables}\n\"\"\"\n\n{rest}");
    bench.find(&bench.scenario("case.toml", &text), flags)
}

/// All of it was tried, and all of it is well.
#[track_caller]
fn clean(tables: &str, rest: &str) -> Value {
    let (said, json) = search(tables, rest, &[]);
    assert_eq!(
        verdict(&json),
        ("clean", "none"),
        "{}\n{}",
        said.out,
        said.err
    );
    assert_eq!(json["exhausted"], true, "{json:#}");
    assert_eq!(said.code, 0);
    json
}

/// The whole search, past the first race; races of this kind are found, and others are not.
#[track_caller]
fn race(tables: &str, rest: &str, kind: &str) -> Value {
    let (said, json) = search(tables, rest, &["--keep-going"]);
    let races = json["races"].as_array().expect("races");
    assert!(!races.is_empty(), "{}\n{}", said.out, said.err);
    assert!(races.iter().all(|race| race["kind"] == kind), "{json:#}");
    assert_eq!(json["exhausted"], true, "{json:#}");
    assert_eq!(said.code, 1);
    json
}

/// Steps of the first race that waited for somebody.
fn waits(json: &Value) -> usize {
    let steps = json["races"][0]["steps"].as_array().expect("steps");
    let waits = |step: &&Value| {
        step["blocked_by"]
            .as_array()
            .is_some_and(|by| !by.is_empty())
    };
    steps.iter().filter(waits).count()
}

const COUNTER: &str = "create table counter (id integer primary key, v integer not null);
    insert into counter values (1, 0), (2, 0);";

/// Both read a sum over the table, then each writes another row by its key: the keys have nothing in common.
#[test]
fn an_aggregate_is_read_and_rows_are_updated_by_key() {
    let account = "create table account (id integer primary key, balance integer not null);
        insert into account values (1, 60), (2, 60);";
    let actor = |name: &str, id: u32| {
        format!(
            "[[actor]]\nname = \"{name}\"\nsql = [
                \"begin isolation level repeatable read\",
                \"select sum(balance) as both from account\",
                {{ when = \":both >= 100\", run = \"update account set balance = balance - 100 where id = {id}\" }},
                \"commit\",
            ]\n"
        )
    };
    race(
        account,
        &format!("{}{}", actor("ann", 1), actor("bob", 2)),
        "write-skew",
    );
}

/// One looks at a view, the other changes the table behind it.
#[test]
fn a_view_is_its_tables() {
    let tables = format!(
        "{COUNTER}
        create view busy as select count(*) as n from counter where v > 0;
        create table note (who text not null, n bigint not null);"
    );
    let actor = |name: &str, id: u32| {
        format!(
            "[[actor]]\nname = \"{name}\"\nsql = [
                \"begin isolation level read committed\",
                \"select n from busy\",
                {{ when = \":n = 0\", run = \"update counter set v = 1 where id = {id}\" }},
                \"commit\",
            ]\n"
        )
    };
    let check = "[check.invariants]\n\"one is busy\" = \"select n <= 1 from busy\"\n";
    let rest = format!("{}{}{check}", actor("ann", 1), actor("bob", 2));
    race(&tables, &rest, "write-skew");
}

/// Whoever locks before reading waits for the other, and no more.
#[test]
fn select_for_update_is_no_race() {
    let json = clean(
        COUNTER,
        r#"
        [[actor]]
        name = "a{n}"
        copies = 3
        sql = [
            "begin isolation level read committed",
            "select v as n from counter where id = 1 for update",
            "update counter set v = :n + 1 where id = 1",
            "commit",
        ]
        [check.invariants]
        "all three counted" = "select v = 3 from counter where id = 1"
        "#,
    );
    assert!(json["traces"].as_u64() > Some(1), "{json:#}");
}

/// Which lock it is, only the value of the argument says: read from the database, in opposite orders.
#[test]
fn advisory_locks_are_known_by_value() {
    let tables = "create table door (name text primary key, lock bigint not null);
        insert into door values ('front', 7), ('back', 8), ('cellar', 9);";
    let actor = |name: &str, first: &str, second: &str| {
        format!(
            "[[actor]]\nname = \"{name}\"\nsql = [
                \"begin\",
                \"select lock as one from door where name = '{first}'\",
                \"select pg_advisory_xact_lock(:one)\",
                \"select lock as two from door where name = '{second}'\",
                \"select pg_advisory_xact_lock(:two)\",
                \"commit\",
            ]\n"
        )
    };
    let opposite = format!(
        "{}{}",
        actor("in", "front", "back"),
        actor("out", "back", "front")
    );
    let json = race(tables, &opposite, "deadlock");
    assert!(waits(&json) > 0, "{json:#}");
    let alike = format!(
        "{}{}",
        actor("in", "front", "back"),
        actor("out", "front", "back")
    );
    clean(tables, &alike);
    let apart = format!(
        "{}{}",
        actor("in", "front", "back"),
        actor("out", "cellar", "cellar")
    );
    assert_eq!(clean(tables, &apart)["traces"], 1);
}

const FAMILY: &str = "create table parent (id integer primary key, name text not null);
    insert into parent values (1, 'ann');
    create table child (id integer primary key, parent integer not null references parent);";

/// A child is inserted while its parent's deletion is not committed: it waits, and then fails as it would have failed
/// after the deletion. The other way round the deletion fails.
#[test]
fn a_child_waits_for_its_parent_to_go() {
    let json = clean(
        FAMILY,
        r#"
        [[actor]]
        name = "leaves"
        sql = ["begin", "delete from parent where id = 1", "commit"]

        [[actor]]
        name = "comes"
        sql = ["begin", "insert into child values (1, 1)", "commit"]
        "#,
    );
    assert_eq!(json["outcomes"], 2, "{json:#}");
    // Each first, and each waiting for the other.
    assert!(json["traces"].as_u64() >= Some(4), "{json:#}");
}

/// A change of the parent that leaves its key alone keeps no child waiting.
#[test]
fn a_child_does_not_wait_for_its_parents_name() {
    clean(
        FAMILY,
        r#"
        [[actor]]
        name = "renames"
        sql = ["begin", "update parent set name = 'eve' where id = 1", "commit"]

        [[actor]]
        name = "comes"
        sql = ["begin", "insert into child values (1, 1)", "commit"]
        "#,
    );
}

/// Inside a transaction a statement is one step, outside it is two.
#[test]
fn only_statements_of_their_own_have_a_commit_gap() {
    let check = "insert into member select 'ben' where not exists (select from member)";
    let tables = "create table member (nick text not null);";
    let steps = |sql: &str| {
        let actors = format!("[[actor]]\nname = \"a{{n}}\"\ncopies = 2\nsql = [{sql}]\n");
        let json = search(tables, &actors, &[]).1;
        assert_eq!(verdict(&json).0, "race", "{json:#}");
        json["races"][0]["steps"].as_array().map(Vec::len)
    };
    assert_eq!(steps(&format!("\"{check}\"")), Some(4));
    assert_eq!(
        steps(&format!("\"begin\", \"{check}\", \"commit\"")),
        Some(4)
    );
    let more = "select count(*) from member";
    assert_eq!(
        steps(&format!("\"begin\", \"{check}\", \"{more}\", \"commit\"")),
        Some(6)
    );
    // Who only reads leaves no gap.
    assert_eq!(steps(&format!("\"{check}\", \"{more}\"")), Some(6));
}

/// What was not tried to the end is not called complete, whatever ended it.
#[test]
fn a_search_cut_short_is_not_complete() {
    let bench = Bench::new();
    let cured = example("sql/lobby-5-cured.toml");
    for (flags, why) in [
        (
            ["--runs", "3"],
            "stopped after the 3 runs allowed, with traces left",
        ),
        (["--time", "1ms"], "allowed were over, with traces left"),
        (
            ["--preemptions", "0"],
            "no schedule with at most 0 preemptions races",
        ),
    ] {
        let (said, json) = bench.find(&cured, &flags);
        assert_eq!(verdict(&json).0, "no-race-found", "{flags:?}: {json:#}");
        assert_eq!(json["exhausted"], false, "{flags:?}");
        assert_eq!(said.code, 0);
        let words = bench.run(["find", flags[0], flags[1], cured.to_str().expect("UTF-8")]);
        let said = words.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("no race found"), "{flags:?}: {said}");
        assert!(said.contains(why), "{flags:?}: {said}");
    }
}

/// The lobby's connections are all open before the first request comes.
#[test]
fn a_pool_that_was_open_before_the_search() {
    if !has("python3") {
        return;
    }
    let bench = Bench::new();
    let (said, json) = bench.find(&example("lobby/python/racy.toml"), &[]);
    assert_eq!(verdict(&json).0, "race", "{}\n{}", said.out, said.err);
    let race = bench.race(&json);
    let replay = bench.run(["replay", race.to_str().expect("UTF-8")]);
    assert_eq!(replay.code, 1, "{}\n{}", replay.out, replay.err);
}

/// What must be the same in every search of a scenario with these flags.
fn essence(json: &Value) -> Value {
    let races = json["races"].as_array().expect("races").iter();
    let races: Vec<Value> = races
        .map(|race| {
            let name = |what: &str| race[what].clone();
            ["schedule", "found_at_run", "preemptions", "kind", "why"]
                .map(name)
                .into()
        })
        .collect();
    let name = |what: &str| json[what].clone();
    let mut all = ["verdict", "exhausted", "runs", "traces", "blocked_runs"]
        .map(name)
        .to_vec();
    all.push(races.into());
    all.into()
}

#[test]
fn a_seed_means_the_same_schedules_every_time() {
    let tables = "create table tally (id integer primary key, v integer not null);
        insert into tally select n, 0 from generate_series(1, 6) as n;";
    let actors = r#"
        [[actor]]
        name = "a{n}"
        copies = 6
        sql = [
            "begin isolation level read committed",
            "update tally set v = v + 1 where id = {n}",
            "select sum(v) as n from tally",
            "update tally set v = v + 1 where id = 7 - {n}",
            "commit",
        ]
        [check]
        serial = false
    "#;
    let draw = |seed: &str| {
        let flags = ["--strategy", "random", "--runs", "24", "--seed", seed];
        search(tables, actors, &flags).1
    };
    let (one, again, other) = (draw("5"), draw("5"), draw("6"));
    assert_eq!(one["seed"], 5);
    assert_eq!(one["exhausted"], false, "{one:#}");
    assert_eq!(essence(&one), essence(&again));
    assert_ne!(essence(&one), essence(&other));
}

#[test]
fn how_many_labs_there_are_makes_no_difference() {
    for scenario in ["sql/lost-update-3.toml", "sql/lobby-5.toml"] {
        let with =
            |labs: &str| essence(&Bench::new().find(&example(scenario), &["--labs", labs]).1);
        let one = with("1");
        assert_eq!(one[0], "race");
        assert_eq!(one, with("2"), "{scenario}");
        assert_eq!(one, with("4"), "{scenario}");
    }
}
