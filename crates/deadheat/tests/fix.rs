//! What would have prevented a race: each cure is tried on the unchanged code, and proven by the search.
#![allow(missing_docs)]

mod common;

use common::{Bench, Said, example, has, root, service};
use serde_json::Value;

/// Finds the race of a scenario and asks for its cure, as text.
#[track_caller]
fn cured(scenario: &std::path::Path) -> (Bench, Said) {
    let bench = Bench::new();
    let (said, json) = bench.find(scenario, &[]);
    assert_eq!(json["verdict"], "race", "{}\n{}", said.out, said.err);
    let race = bench.race(&json);
    let said = bench.run(["fix", "--time", "5m", race.to_str().expect("UTF-8")]);
    (bench, said)
}

/// The same as JSON.
#[track_caller]
fn cures(scenario: &std::path::Path) -> (i32, Value) {
    cures_within("5m", scenario)
}

/// With so much time for each cure.
#[track_caller]
fn cures_within(time: &str, scenario: &std::path::Path) -> (i32, Value) {
    let bench = Bench::new();
    let (said, json) = bench.find(scenario, &[]);
    assert_eq!(json["verdict"], "race", "{}\n{}", said.out, said.err);
    let race = bench.race(&json);
    let said = bench.run([
        "fix",
        "--json",
        "--time",
        time,
        race.to_str().expect("UTF-8"),
    ]);
    let json = serde_json::from_str(&said.out)
        .unwrap_or_else(|error| panic!("{error}\n{}\n{}", said.out, said.err));
    (said.code, json)
}

/// The cure of this name among those that were tried.
#[track_caller]
fn tried<'a>(json: &'a Value, name: &str) -> &'a Value {
    let all = json["tried"].as_array().expect("a list");
    let named = |one: &&Value| one["cure"].as_str().is_some_and(|cure| cure == name);
    all.iter()
        .find(named)
        .unwrap_or_else(|| panic!("{name} was not tried: {json:#}"))
}

/// Why a cure was not tried.
#[track_caller]
fn why_not<'a>(json: &'a Value, name: &str) -> &'a str {
    let all = json["not_tried"].as_array().expect("a list");
    let found = all.iter().find(|one| one["cure"] == name);
    let found = found.unwrap_or_else(|| panic!("{name} was tried: {json:#}"));
    found["why"].as_str().expect("a reason")
}

#[test]
fn a_lost_update_needs_its_row_locked() {
    let (_bench, said) = cured(&example("sql/lost-update.toml"));
    assert_eq!(said.code, 0, "{}", said.err);
    insta::assert_snapshot!(said.out);
}

#[test]
fn a_write_skew_needs_serializable_transactions_that_are_tried_again() {
    let (code, json) = cures(&example("sql/write-skew.toml"));
    assert_eq!(code, 0, "{json:#}");
    assert_eq!(json["best"]["cure"], "SERIALIZABLE, with retry");
    // The snapshot of a repeatable read is taken when the lock is asked for: too early.
    assert_eq!(
        tried(&json, "advisory lock, one for all of on_call")["races"],
        1
    );
    let refused = tried(&json, "SERIALIZABLE");
    assert_eq!(refused["errors"], serde_json::json!(["40001"]));
    assert_eq!(refused["proven"], false);
    assert_eq!(tried(&json, "SERIALIZABLE, with retry")["retries"], 1);
    assert_eq!(tried(&json, "as it is")["races"], 1);
    let why = why_not(&json, "FOR UPDATE on what went stale");
    assert!(why.contains("aggregate"), "{why}");
}

#[test]
fn a_name_that_is_inserted_twice_needs_a_unique_index() {
    let (_bench, said) = cured(&example("sql/commit-gap.toml"));
    assert_eq!(said.code, 0, "{}", said.err);
    insta::assert_snapshot!(said.out);
}

#[test]
fn a_deadlock_is_cured_by_trying_again_and_not_by_levels() {
    let (code, json) = cures(&example("sql/deadlock-rows.toml"));
    assert_eq!(code, 0, "{json:#}");
    assert_eq!(tried(&json, "SERIALIZABLE")["races"], 1);
    let retry = tried(&json, "retry after 40001 and 40P01");
    assert_eq!(
        (&retry["proven"], &retry["retries"]),
        (&true.into(), &1.into())
    );
    assert_eq!(
        why_not(&json, "FOR UPDATE on what went stale"),
        "no read went stale"
    );
}

#[test]
fn statements_outside_a_transaction_are_put_into_one() {
    let bench = Bench::new();
    let scenario = bench.scenario(
        "loose.toml",
        r#"
        [database]
        engine = "postgres"
        sql = "create table counter (id integer primary key, v integer not null); insert into counter values (1, 0)"

        [[actor]]
        name = "a{n}"
        copies = 2
        sql = [
            "select v as n from counter where id = 1",
            "update counter set v = :n + 1 where id = 1",
        ]
        "#,
    );
    let (code, json) = cures(&scenario);
    assert_eq!(code, 0, "{json:#}");
    assert_eq!(tried(&json, "one transaction for each actor")["races"], 1);
    let changes = &json["best"]["changes"];
    assert_eq!(changes[0]["to"], "begin", "{changes:#}");
    assert_eq!(
        changes[1]["to"],
        "select v as n from counter where id = 1 for update"
    );
    assert_eq!(changes[2]["to"], "commit", "{changes:#}");
    assert_eq!(
        tried(&json, "FOR UPDATE on what went stale")["round_trips"],
        2
    );
}

#[test]
fn a_service_that_commits_one_by_one_gets_one_transaction_a_request() {
    if has("python3") {
        let (_bench, said) = cured(&service("one_by_one_deposit.toml"));
        assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
        insta::assert_snapshot!(said.out);
    }
}

#[test]
fn a_connection_that_is_closed_before_the_answer_commits_first() {
    if has("python3") {
        let (code, json) = cures(&service("one_by_one_closed.toml"));
        assert_eq!(code, 0, "{json:#}");
        assert_eq!(tried(&json, "one transaction for each actor")["races"], 1);
        let locked = tried(&json, "FOR UPDATE on what went stale");
        assert_eq!(
            (&locked["races"], &locked["proven"]),
            (&0.into(), &true.into())
        );
        assert_eq!(locked["round_trips"], 2);
    }
}

#[test]
fn a_commit_that_is_refused_is_an_error_of_the_request() {
    if has("python3") {
        let (code, json) = cures(&service("one_by_one_leave.toml"));
        assert_eq!(code, 0, "{json:#}");
        assert_eq!(tried(&json, "one transaction for each actor")["races"], 1);
        assert_eq!(tried(&json, "REPEATABLE READ")["races"], 1);
        let refused = tried(&json, "SERIALIZABLE");
        assert_eq!(
            (&refused["races"], &refused["proven"]),
            (&0.into(), &false.into())
        );
        assert_eq!(refused["errors"], serde_json::json!(["500 (40001)"]));
        let again = tried(&json, "SERIALIZABLE, with retry");
        assert_eq!(
            (&again["races"], &again["proven"]),
            (&0.into(), &true.into())
        );
        assert_eq!(again["errors"], serde_json::json!([]));
        // A lock asks less of the code than a retry.
        assert_eq!(json["best"]["cure"], "advisory lock, one for all of shift");
    }
}

#[test]
fn statements_that_share_no_connection_cannot_share_a_transaction() {
    if has("python3") {
        let name = "one transaction for each actor";
        let (_, json) = cures_within("1s", &service("one_by_one_returned.toml"));
        let why = why_not(&json, name);
        assert!(why.contains("connection"), "{why}");
        let (_, json) = cures_within("1s", &service("two_connections.toml"));
        let why = why_not(&json, name);
        assert!(why.contains("connection"), "{why}");
    }
}

/// A game with one free seat, for which two ask.
fn lobby(run: &str, directory: &str) -> String {
    format!(
        r#"
        [database]
        engine = "postgres"
        setup = ["{directory}/../schema.sql"]
        sql = "insert into players (game, nick) select 1, 'early' || n from generate_series(1, 3) n"

        [service.web]
        run = "{run}"
        directory = "{directory}"
        env = {{ PORT = "{{port}}", LOBBY_VARIANT = "racy" }}
        ready = "GET /health"

        [[actor]]
        name = "p{{n}}"
        copies = 2
        request = "POST /games/1/players"
        json = {{ nick = "p{{n}}" }}

        [check.invariants]
        "at most four" = "select count(*) <= 4 from players where game = 1"
        "#
    )
}

#[track_caller]
fn the_lobby_needs_its_game_locked(text: &str) {
    let bench = Bench::new();
    let (code, json) = cures(&bench.scenario("lobby.toml", text));
    assert_eq!(code, 0, "{json:#}");
    assert_eq!(
        json["best"]["cure"],
        "FOR UPDATE on a row that all read first (games id=1)"
    );
    let change = &json["best"]["changes"][0];
    let (from, to) = (change["from"].as_str(), change["to"].as_str());
    assert_eq!(
        to.map(str::to_owned),
        from.map(|from| format!("{from} for update"))
    );
    let lock = tried(&json, "advisory lock, one a row of games");
    assert_eq!((&lock["races"], &lock["proven"]), (&0.into(), &true.into()));
    let refused = tried(&json, "SERIALIZABLE");
    assert_eq!(
        (&refused["races"], &refused["proven"]),
        (&0.into(), &false.into())
    );
    assert_eq!(refused["errors"], serde_json::json!(["500 (40001)"]));
    let again = tried(&json, "SERIALIZABLE, with retry");
    assert_eq!(
        (&again["proven"], &again["retries"]),
        (&true.into(), &1.into())
    );
}

#[test]
fn the_lobby_in_rust_needs_its_game_locked() {
    if !root().join("target/release/lobby-rust").exists() {
        eprintln!("skipped: target/release/lobby-rust is not built (make build)");
        return;
    }
    let server = root()
        .join("target/release/lobby-rust")
        .canonicalize()
        .expect("built");
    let folder = example("lobby/rust").canonicalize().expect("a folder");
    the_lobby_needs_its_game_locked(&lobby(
        &server.display().to_string(),
        &folder.display().to_string(),
    ));
}

#[test]
fn what_does_not_happen_any_more_needs_no_cure() {
    let bench = Bench::new();
    let text = std::fs::read_to_string(example("sql/commit-gap.toml")).expect("an example")
        + "\n[check]\nallow = [\"23505\"]\n";
    let scenario = bench.scenario("twice.toml", &text);
    let (_, json) = bench.find(&scenario, &[]);
    let race = bench.race(&json);
    bench.scenario(
        "twice.toml",
        &text.replace("nick text not null", "nick text primary key"),
    );
    let said = bench.run(["fix", race.to_str().expect("UTF-8")]);
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    assert!(
        said.out.contains("there is nothing to cure"),
        "{}",
        said.out
    );
}
