//! Services that are hard on a lab: who sent it, and has it come to rest?
#![allow(missing_docs)]

mod common;

use common::{Bench, has, service, verdict};

#[track_caller]
fn found(file: &str) -> serde_json::Value {
    let bench = Bench::new();
    let (said, json) = bench.find(&service(file), &[]);
    assert_eq!(verdict(&json).0, "race", "{}\n{}", said.out, said.err);
    let race = bench.race(&json);
    let replay = bench.run(["replay", "--times", "5", race.to_str().expect("UTF-8")]);
    assert_eq!(replay.code, 1, "{}\n{}", replay.out, replay.err);
    json
}

#[track_caller]
fn clean(file: &str) -> serde_json::Value {
    let (said, json) = Bench::new().find(&service(file), &[]);
    assert_eq!(verdict(&json).0, "clean", "{}\n{}", said.out, said.err);
    json
}

#[test]
fn a_request_that_uses_two_connections() {
    if has("python3") {
        found("two_connections.toml");
    }
}

#[test]
fn a_query_in_a_helper_thread() {
    if has("python3") {
        found("helper_thread.toml");
    }
}

#[test]
fn a_pool_smaller_than_the_number_of_actors() {
    if has("python3") {
        found("small_pool_returned.toml");
        clean("small_pool_held.toml");
    }
}

#[test]
fn a_mutex_around_the_query() {
    if has("python3") {
        found("mutex_each.toml");
        clean("mutex_both.toml");
    }
}

#[test]
fn a_thread_that_pings_the_database_is_nobody_and_is_named_once() {
    if has("python3") {
        found("pinger.toml");
    }
}

#[test]
fn an_answer_that_comes_before_the_last_statement() {
    if has("python3") {
        found("late_statement.toml");
    }
}

#[test]
fn a_clock_in_a_value_is_no_race_of_its_own() {
    if has("python3") {
        found("clock.toml");
        clean("clock_alone.toml");
    }
}
