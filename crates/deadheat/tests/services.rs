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

/// Nothing is found, and it is not said that everything was tried: who gets a mutex or a pool's last connection is
/// decided inside the service, where no gate is.
#[track_caller]
fn nothing_but_not_all(file: &str) {
    let (said, json) = Bench::new().find(&service(file), &[]);
    assert_eq!(
        verdict(&json).0,
        "no-race-found",
        "{}\n{}",
        said.out,
        said.err
    );
    assert_eq!(json["exhausted"], false);
    let why = json["stopped"]["other"].as_str().unwrap_or_default();
    assert!(why.contains("outside the database"), "{json:#}");
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
        let json = found("small_pool_returned.toml");
        // Both begin alike; who reads is known. Whose the updates are, which are alike too, nobody can tell.
        for actor in ["a1", "a2"] {
            let reads = json["races"][0]["steps"].as_array().expect("steps");
            let reads = reads.iter().filter(|step| {
                let label = step["label"].as_str().unwrap_or_default();
                step["actor"] == actor && label.contains("select")
            });
            assert_eq!(reads.count(), 1, "{actor}: {json:#}");
        }
        nothing_but_not_all("small_pool_held.toml");
    }
}

#[test]
fn a_request_that_works_in_the_transaction_of_the_one_before() {
    if has("python3") {
        nothing_but_not_all("leaky_pool.toml");
    }
}

#[test]
fn a_mutex_around_the_query() {
    if has("python3") {
        nothing_but_not_all("mutex_both.toml");
        nothing_but_not_all("mutex_each.toml");
    }
}

#[test]
fn a_thread_that_pings_the_database_is_nobody_and_is_named_once() {
    if has("python3") {
        let json = found("pinger.toml");
        let named = json["background"]
            .as_array()
            .expect("background statements");
        let pings = named
            .iter()
            .filter(|one| one.as_str().is_some_and(|sql| sql.contains("ping")));
        assert_eq!(pings.count(), 1, "{json:#}");
    }
}

#[test]
fn a_clock_in_the_shape_of_a_statement_is_diagnosed() {
    if has("python3") {
        let bench = Bench::new();
        let (said, json) = bench.find(&service("dice.toml"), &[]);
        assert_eq!(
            (said.code, verdict(&json).0),
            (3, "unrepeatable"),
            "{}",
            said.out
        );
        let (one, other) = (
            &json["unrepeatable"]["first"],
            &json["unrepeatable"]["second"],
        );
        assert!(
            one.as_str()
                .is_some_and(|sql| sql.contains("select v as v_")),
            "{json:#}"
        );
        assert!(
            other
                .as_str()
                .is_some_and(|sql| sql.contains("select v as v_")),
            "{json:#}"
        );
        assert_ne!(one, other);
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

#[test]
fn a_seat_in_memory_is_taken_twice_between_two_points() {
    if has("python3") {
        for file in ["points_socket.toml", "points_comment.toml"] {
            let json = found(file);
            let steps = json["races"][0]["steps"].as_array().expect("steps");
            let at_points: Vec<_> = steps
                .iter()
                .filter(|step| step["gate"] == "point")
                .collect();
            assert_eq!(at_points.len(), 2, "{json:#}");
            let label = at_points[0]["label"].as_str().expect("a label");
            assert!(label.starts_with("point seat_checked"), "{label}");
        }
    }
}

#[test]
fn a_lock_around_the_points_is_no_race_and_not_all_either() {
    if has("python3") {
        nothing_but_not_all("points_locked.toml");
    }
}

#[test]
fn without_points_what_is_in_memory_stays_unseen() {
    if has("python3") {
        clean("points_silent.toml");
    }
}

/// A statement that fails in every order is noted: here one is, and the point behind it is not.
#[test]
fn a_point_in_a_transaction_that_has_failed_is_answered() {
    let scenario = r#"
        [database]
        engine = "postgres"

        [[actor]]
        name = "ben"
        sql = ["begin", "select 1/0", "select /* deadheat:point rolls_back */", "rollback"]
    "#;
    let bench = Bench::new();
    let path = bench.scenario("failed.toml", scenario);
    let said = bench.run(["find", path.to_str().expect("UTF-8")]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.out.contains("`select 1/0` fails with 22012"),
        "{}",
        said.out
    );
    assert!(!said.out.contains("deadheat:point"), "{}", said.out);
}
