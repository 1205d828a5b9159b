//! A race is saved as small as it can be: whoever it happens without is left out, and replaying it does without them.
#![allow(missing_docs)]

mod common;

use common::{Bench, root, verdict};
use serde_json::Value;

fn read(path: &std::path::Path) -> Value {
    let text = std::fs::read_to_string(path).expect("the race is there");
    serde_json::from_str(&text).expect("JSON")
}

/// A game of four seats with so many taken, for which so many ask at once, and somebody who only looks.
fn game(seated: u32, joiners: u32) -> String {
    format!(
        r#"
        [database]
        engine = "postgres"
        sql = """
            create table players (id serial primary key, nick text not null);
            insert into players (nick) select 'early' || n from generate_series(1, {seated}) n;
        """

        [[actor]]
        name = "onlooker"
        sql = ["select nick from players order by nick"]

        [[actor]]
        name = "p{{n}}"
        copies = {joiners}
        sql = [
            "begin",
            "select count(*) as taken from players",
            {{ when = ":taken < 4", run = "insert into players (nick) values ('p{{n}}')" }},
            "commit",
        ]

        [check]
        serial = false
        invariants = {{ "at most four" = "select count(*) <= 4 from players" }}
        "#
    )
}

#[test]
fn of_five_who_ask_for_one_seat_two_are_enough() {
    let bench = Bench::new();
    let scenario = bench.scenario("game.toml", &game(3, 5));
    let (said, json) = bench.find(&scenario, &[]);
    assert_eq!(verdict(&json).0, "race", "{}\n{}", said.out, said.err);
    let race = bench.race(&json);
    let saved = read(&race);
    assert_eq!(
        saved["actors"].as_array().map(Vec::len),
        Some(2),
        "{saved:#}"
    );
    let left_out = saved["left_out"][0].as_str().expect("what was left out");
    assert!(left_out.starts_with("4 actors: onlooker, p"), "{left_out}");
    assert_eq!(json["races"][0]["left_out"], saved["left_out"]);
    assert!(json["shrink_runs"].as_u64() > Some(0), "{json:#}");
    let race = race.to_str().expect("UTF-8");
    let shown = bench.run(["show", race]);
    assert!(
        shown.out.contains("left out, as it happens without"),
        "{}",
        shown.out
    );
    let replay = bench.run(["replay", "--times", "5", race]);
    assert_eq!(replay.code, 1, "{}\n{}", replay.out, replay.err);
    assert!(replay.out.contains("5 of 5 times"), "{}", replay.out);
}

#[test]
fn who_is_needed_for_the_race_stays() {
    let bench = Bench::new();
    let scenario = bench.scenario("game.toml", &game(2, 3));
    let (said, json) = bench.find(&scenario, &[]);
    assert_eq!(verdict(&json).0, "race", "{}\n{}", said.out, said.err);
    let saved = read(&bench.race(&json));
    assert_eq!(saved["actors"], serde_json::json!(["p1", "p2", "p3"]));
    assert_eq!(saved["left_out"], serde_json::json!(["1 actor: onlooker"]));
}

#[test]
fn nothing_is_left_out_where_that_is_not_wanted() {
    let bench = Bench::new();
    let scenario = bench.scenario("game.toml", &game(3, 3));
    let (_, json) = bench.find(&scenario, &["--no-shrink"]);
    let race = bench.race(&json);
    assert_eq!(read(&race)["actors"].as_array().map(Vec::len), Some(4));
    let replay = bench.run(["replay", race.to_str().expect("UTF-8")]);
    assert_eq!(replay.code, 1, "{}\n{}", replay.out, replay.err);
}

#[test]
fn requests_that_have_no_part_in_it_are_left_out() {
    if !root().join("target/release/lobby-rust").exists() {
        eprintln!("skipped: target/release/lobby-rust is not built (make build)");
        return;
    }
    let bench = Bench::new();
    let examples = root()
        .join("examples/lobby")
        .canonicalize()
        .expect("examples");
    let server = root()
        .join("target/release/lobby-rust")
        .canonicalize()
        .expect("built");
    let scenario = bench.scenario(
        "lobby.toml",
        &format!(
            r#"
            [database]
            engine = "postgres"
            setup = ["{}/schema.sql"]
            sql = "insert into players (game, nick) select 1, 'early' || n from generate_series(1, 3) n"

            [service.web]
            run = "{}"
            env = {{ PORT = "{{port}}", LOBBY_VARIANT = "racy" }}
            ready = "GET /health"

            [[actor]]
            name = "p{{n}}"
            copies = 2
            requests = [
                {{ request = "GET /games/1/players" }},
                {{ request = "POST /games/1/players", json = {{ nick = "p{{n}}" }} }},
            ]

            [check]
            serial = false
            invariants = {{ "at most four" = "select count(*) <= 4 from players where game = 1" }}
            "#,
            examples.display(),
            server.display()
        ),
    );
    let (said, json) = bench.find(&scenario, &[]);
    assert_eq!(verdict(&json).0, "race", "{}\n{}", said.out, said.err);
    let race = bench.race(&json);
    let saved = read(&race);
    assert_eq!(
        saved["left_out"],
        serde_json::json!([
            "p1's request 1 (GET /games/1/players)",
            "p2's request 1 (GET /games/1/players)"
        ])
    );
    let replies = &json["races"][0]["outcome"]["replies"]["p1"];
    assert_eq!(replies.as_array().map(Vec::len), Some(1), "{replies:#}");
    let replay = bench.run(["replay", race.to_str().expect("UTF-8")]);
    assert_eq!(replay.code, 1, "{}\n{}", replay.out, replay.err);
}
