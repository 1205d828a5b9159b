//! Crashes, second deliveries and clients that hang up, as choices of the schedule.
#![allow(missing_docs)]

mod common;

use std::path::PathBuf;

use common::{Bench, has, root, verdict};
use serde_json::Value;

fn scenario(file: &str) -> PathBuf {
    root().join("crates/deadheat/tests/faults").join(file)
}

/// Everything that is found; each race happens again when it is replayed.
#[track_caller]
fn kinds(file: &str) -> Vec<String> {
    let bench = Bench::new();
    let (said, json) = bench.find(&scenario(file), &["--keep-going"]);
    assert_eq!(verdict(&json).0, "race", "{}\n{}", said.out, said.err);
    assert_eq!(json["exhausted"], true, "{json:#}");
    let races = json["races"].as_array().expect("a list");
    for race in races {
        let file = race["file"].as_str().expect("the race is saved");
        let replay = bench.run(["replay", "--times", "2", file]);
        assert_eq!(replay.code, 1, "{}\n{}", replay.out, replay.err);
    }
    let mut kinds: Vec<String> = races
        .iter()
        .map(|race| race["kind"].as_str().expect("a name").to_owned())
        .collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

#[track_caller]
fn clean(file: &str) -> Value {
    let (said, json) = Bench::new().find(&scenario(file), &[]);
    assert_eq!(verdict(&json).0, "clean", "{}\n{}", said.out, said.err);
    assert_eq!(json["exhausted"], true, "{json:#}");
    json
}

#[test]
fn a_task_that_is_there_before_its_order_is_taken_too_early() {
    assert_eq!(kinds("task_before.toml"), ["half-done", "read-skew"]);
}

#[test]
fn a_task_that_is_left_behind_the_commit_is_lost() {
    assert_eq!(kinds("task_after.toml"), ["lost-task"]);
}

#[test]
fn a_task_that_is_part_of_the_transaction_is_neither_early_nor_lost() {
    clean("task_inside.toml");
}

#[test]
fn the_crash_is_a_step_of_the_schedule() {
    let bench = Bench::new();
    let path = scenario("task_after.toml");
    let said = bench.run(["find", path.to_str().expect("UTF-8")]);
    assert_eq!(said.code, 1, "{}", said.err);
    let (_, report) = said.out.split_once("why\n").expect("an explanation");
    let (report, _) = report.split_once("again:").expect("how to see it again");
    insta::assert_snapshot!(report);

    let (_, json) = bench.find(&path, &[]);
    let race = std::fs::read_to_string(bench.race(&json)).expect("the file of the race");
    let race: Value = serde_json::from_str(&race).expect("JSON");
    let schedule = race["schedule"].as_array().expect("a list");
    assert!(schedule.contains(&Value::from("crash of shop")), "{race:#}");
    assert_eq!(race["record"]["faults"][0]["struck"], true, "{race:#}");
    let kinds: Vec<&Value> = race["steps"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|step| &step["kind"])
        .collect();
    assert!(kinds.contains(&&Value::from("crash")), "{race:#}");
}

#[test]
fn the_chapter_shows_what_is_found() {
    let chapter = std::fs::read_to_string(root().join("docs/faults.md")).expect("the chapter");
    let file = std::fs::read_to_string(scenario("task_after.toml")).expect("a scenario");
    let snapshot = include_str!("snapshots/faults__the_crash_is_a_step_of_the_schedule.snap");
    let report = snapshot.splitn(3, "---\n").last().expect("a report");
    assert!(chapter.contains(&format!("```toml\n{file}```\n")));
    assert!(chapter.contains(&format!("why\n{report}```\n")));
}

#[test]
fn without_faults_nobody_crashes() {
    let bench = Bench::new();
    let text = std::fs::read_to_string(scenario("task_after.toml")).expect("a scenario");
    let text = format!("{text}\n[explore]\nfaults = 0\n");
    let (said, json) = bench.find(&bench.scenario("never.toml", &text), &[]);
    assert_eq!(verdict(&json).0, "clean", "{}", said.out);
}

#[test]
fn money_on_its_way_is_lost_with_the_process() {
    if has("psql") {
        assert_eq!(kinds("transfer.toml"), ["half-done"]);
    }
}

#[test]
fn a_payment_that_comes_twice_is_charged_twice() {
    if has("psql") {
        assert_eq!(kinds("pay_twice.toml"), ["done-twice"]);
    }
}

#[test]
fn a_payment_with_a_key_is_charged_once() {
    if has("psql") {
        clean("pay_once.toml");
    }
}

#[test]
fn a_request_that_comes_twice_books_twice() {
    if has("python3") {
        let kinds = kinds("repeat_twice.toml");
        assert!(kinds.contains(&"done-twice".to_owned()), "{kinds:?}");
    }
}

#[test]
fn a_booking_with_a_key_is_booked_once() {
    if has("python3") {
        clean("repeat_once.toml");
    }
}

#[test]
fn a_client_that_loses_patience_books_twice() {
    if has("python3") {
        assert_eq!(kinds("retry_twice.toml"), ["duplicate-insert"]);
    }
}

#[test]
fn a_client_that_loses_patience_with_a_key_books_once() {
    if has("python3") {
        clean("retry_once.toml");
    }
}

#[test]
fn a_connection_that_dies_behind_the_commit_loses_the_mail() {
    if has("python3") {
        assert_eq!(kinds("request_after.toml"), ["lost-task"]);
    }
}

#[test]
fn a_connection_that_dies_takes_booking_and_mail_with_it() {
    if has("python3") {
        clean("request_inside.toml");
    }
}

#[test]
fn a_mail_that_waits_in_the_memory_of_a_service_dies_with_it() {
    if !has("python3") {
        return;
    }
    let bench = Bench::new();
    let path = scenario("killed_after.toml");
    let said = bench.run(["find", path.to_str().expect("UTF-8")]);
    assert_eq!(said.code, 1, "{}", said.err);
    let (_, report) = said.out.split_once("why\n").expect("an explanation");
    let (report, _) = report.split_once("\nagain:").expect("how to see it again");
    insta::assert_snapshot!(report);

    let chapter = std::fs::read_to_string(root().join("docs/faults.md")).expect("the chapter");
    assert!(chapter.contains(&format!("why\n{}", report.trim_end())));

    let text = std::fs::read_to_string(&path).expect("a scenario");
    let never = bench.scenario("never.toml", &format!("{text}\n[explore]\nfaults = 0\n"));
    let folder = root().join("crates/deadheat/tests/faults");
    std::fs::copy(
        folder.join("box_office.py"),
        never.with_file_name("box_office.py"),
    )
    .expect("a copy");
    let (said, json) = bench.find(&never, &[]);
    assert_eq!(verdict(&json).0, "clean", "{}", said.out);
}

#[test]
fn every_death_of_a_service_is_found_and_happens_again() {
    if has("python3") {
        assert_eq!(kinds("killed_after.toml"), ["lost-state"]);
    }
}

#[test]
fn a_mail_that_is_noted_with_the_booking_is_sent_after_the_restart() {
    if has("python3") {
        clean("killed_inside.toml");
    }
}

#[test]
fn a_seat_that_is_held_in_the_memory_of_a_service_is_given_twice() {
    if has("python3") {
        assert_eq!(kinds("killed_memory.toml"), ["lost-state"]);
    }
}

#[test]
fn all_who_are_in_a_service_die_with_it_even_who_waits_for_a_lock() {
    if has("python3") {
        clean("killed_table.toml");
    }
}

#[test]
fn a_service_whose_start_waits_for_an_actor_does_not_come_up_again() {
    if has("python3") {
        let path = scenario("killed_waits.toml");
        let said = Bench::new().run(["find", path.to_str().expect("UTF-8")]);
        assert_eq!(said.code, 2, "{}", said.out);
        let why = "its start waits for a lock that backup holds";
        assert!(said.err.contains(why), "{}", said.err);
    }
}
