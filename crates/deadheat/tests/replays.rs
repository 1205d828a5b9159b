//! A saved race is a regression test: it fails every time, until it is cured.
#![allow(missing_docs)]

mod common;

use common::{Bench, example, root};
use serde_json::{Value, json};

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
        let json: Value = serde_json::from_str(&said.out).expect("JSON");
        assert_eq!(json["happened"], 100, "{json:#}");
    }
}

/// What is written to `audit` in no serial order, and read by somebody.
const AUDITED: &str = r#"
    [database]
    engine = "postgres"
    sql = """
        create table seats (nick text not null);
        create table audit (note text not null);
        create table seen (notes integer not null);
        create function audit_seats() returns void language plpgsql as $$
        begin
            if (select count(*) from seats) > 1 then
                insert into audit values ('too many');
            end if;
        end $$;
    """

    [[actor]]
    name = "reader"
    sql = ["select count(*) as n from audit", "insert into seen values (:n)"]

    [[actor]]
    name = "p{n}"
    copies = 2
    sql = [
        "begin",
        "select count(*) as taken from seats",
        { when = ":taken < 1", run = "insert into seats values ('p{n}')" },
        "commit",
        "select audit_seats()",
    ]

    [check]
    serial = false
    invariants = { "nobody reads a note" = "select coalesce(max(notes), 0) = 0 from seen" }
"#;

#[test]
fn a_table_that_only_the_race_writes_is_known_to_its_replay() {
    let bench = Bench::new();
    let scenario = bench.scenario("audited.toml", AUDITED);
    let (said, json) = bench.find(&scenario, &[]);
    assert_eq!(json["verdict"], "race", "{}\n{}", said.out, said.err);
    let race = bench.race(&json);
    let mut saved: Value =
        serde_json::from_str(&std::fs::read_to_string(&race).expect("saved")).expect("JSON");
    assert_eq!(
        saved["written"]["tables"],
        json!(["audit", "seats", "seen"])
    );
    let replay = |saved: &Value| {
        std::fs::write(&race, saved.to_string()).expect("written");
        bench.run(["replay", "--times", "3", race.to_str().expect("UTF-8")])
    };
    // By their names alone, whatever else a function may be thought to write.
    saved["written"]["everything"] = json!(false);
    let said = replay(&saved);
    assert_eq!(said.code, 1, "{}\n{}", said.out, said.err);
    // Without it the read of `audit` is no step, and the schedule does not fit.
    saved["written"]["tables"] = json!(["seats", "seen"]);
    assert_eq!(replay(&saved).code, 3);
}

/// Two of one name, who sign up in a transaction each.
const SIGN_UP: &str = r#"
    [database]
    engine = "postgres"
    sql = "create table member (nick text not null, id serial)"

    [[actor]]
    name = "a{n}"
    copies = 2
    sql = [
        "begin",
        "select count(*) as n from member where nick = 'ben'",
        { when = ":n = 0", run = "insert into member (nick) values ('ben')" },
        "commit",
    ]

    [check]
    allow = ["23505"]
"#;

/// Finds the race of [`SIGN_UP`], changes the scenario, and replays.
fn replayed_with(from: &str, to: &str) -> (common::Said, Value) {
    let bench = Bench::new();
    let scenario = bench.scenario("sign-up.toml", SIGN_UP);
    let (_, json) = bench.find(&scenario, &[]);
    let race = bench.race(&json);
    assert!(SIGN_UP.contains(from));
    bench.scenario("sign-up.toml", &SIGN_UP.replace(from, to));
    let race = race.to_str().expect("UTF-8");
    let said = bench.run(["replay", race]);
    let json = bench.run(["replay", "--json", race]);
    assert_eq!(json.code, said.code);
    (said, serde_json::from_str(&json.out).expect("JSON"))
}

#[test]
fn other_values_and_comments_change_nothing() {
    let (said, json) = replayed_with("'ben'", "/* he again */ 'tom'");
    assert_eq!(said.code, 1, "{}\n{}", said.out, said.err);
    assert_eq!(json["result"], "still-there");
    assert_eq!(json["scenario_changed"], true);
    insta::assert_snapshot!(said.out);
}

#[test]
fn a_cure_in_the_schema_makes_the_race_go_away() {
    let (said, json) = replayed_with("nick text not null", "nick text primary key");
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    assert_eq!(json["result"], "gone");
    let rows = &json["outcome"]["tables"]["member"]["rows"];
    assert_eq!(rows.as_array().map(Vec::len), Some(1), "{json:#}");
    insta::assert_snapshot!(said.out);
}

#[test]
fn what_goes_wrong_in_another_way_is_no_cure() {
    let (said, json) = replayed_with(
        "allow = [\"23505\"]",
        "invariants = { \"nobody is there\" = \"select count(*) < 2 from member\" }\nserial = false",
    );
    assert_eq!(said.code, 1, "{}\n{}", said.out, said.err);
    assert_eq!(json["now"]["checks"], json!(["nobody is there"]));
    insta::assert_snapshot!(said.out);
}

#[test]
fn a_cure_in_the_code_is_shown_where_it_is() {
    let (said, json) = replayed_with(
        "select count(*) as n from",
        "select count(*) as n from only",
    );
    assert_eq!(said.code, 3, "{}\n{}", said.out, said.err);
    assert_eq!(
        (&json["result"], &json["changed"]["step"]),
        (&json!("changed"), &json!(1))
    );
    insta::assert_snapshot!(said.out);
}
