//! The lobby, unmodified and pooled, in three languages: five join a game of four seats.
#![allow(missing_docs)]

mod common;

use common::{Bench, example, has, root, verdict};

#[track_caller]
fn the_fifth_player_is_found(language: &str) {
    let bench = Bench::new();
    let (said, json) = bench.find(&example(&format!("lobby/{language}/racy.toml")), &[]);
    assert_eq!(verdict(&json).0, "race", "{}\n{}", said.out, said.err);
    assert!(
        json["races"][0]["found_at_run"].as_u64() <= Some(10),
        "{json:#}"
    );
    assert!(said.code == 1);
    let replay = bench.run(["replay", bench.race(&json).to_str().expect("UTF-8")]);
    assert_eq!(replay.code, 1, "{}\n{}", replay.out, replay.err);
}

#[track_caller]
fn nobody_is_fifth(language: &str) {
    let bench = Bench::new();
    let path = example(&format!("lobby/{language}/cured.toml"));
    // Five who wait for one row can be woken in thousands of ways, which take minutes; the race is found in the first few.
    let flags = ["--preemptions", "1", "--runs", "150", "--time", "10m"];
    let (said, json) = bench.find(&path, &flags);
    assert!(json["runs"].as_u64() >= Some(150), "{json:#}");
    let verdict = verdict(&json).0;
    assert!(
        verdict == "no-race-found" || verdict == "clean",
        "{}\n{}",
        said.out,
        said.err
    );
    assert_eq!(said.code, 0);
}

fn has_rust_lobby() -> bool {
    let there = root().join("target/release/lobby-rust").exists();
    if !there {
        eprintln!("skipped: target/release/lobby-rust is not built (make build)");
    }
    there
}

#[test]
fn a_fifth_player_sneaks_in_in_rust() {
    if has_rust_lobby() {
        the_fifth_player_is_found("rust");
    }
}

#[test]
fn a_locked_game_seats_four_in_rust() {
    if has_rust_lobby() {
        nobody_is_fifth("rust");
    }
}

#[test]
fn a_fifth_player_sneaks_in_in_python() {
    if has("python3") {
        the_fifth_player_is_found("python");
    }
}

#[test]
fn a_locked_game_seats_four_in_python() {
    if has("python3") {
        nobody_is_fifth("python");
    }
}

#[test]
fn a_fifth_player_sneaks_in_in_node() {
    if has("node") {
        the_fifth_player_is_found("node");
    }
}

#[test]
fn a_locked_game_seats_four_in_node() {
    if has("node") {
        nobody_is_fifth("node");
    }
}
