//! Scenarios that are nothing but SQL: each has its verdict and its number of distinct outcomes.
#![allow(missing_docs)]

mod common;

use common::{Bench, example, verdict};

/// Searches an example to its end, past the first race.
fn all_of(file: &str) -> serde_json::Value {
    let bench = Bench::new();
    let (said, json) = bench.find(&example(&format!("sql/{file}")), &["--keep-going"]);
    let race = json["verdict"] == "race";
    assert_eq!(said.code, i32::from(race), "{}\n{}", said.out, said.err);
    json
}

#[track_caller]
fn race(file: &str, kind: &str, outcomes: u64) {
    let json = all_of(file);
    assert_eq!(verdict(&json), ("race", kind), "{json:#}");
    assert_eq!(json["outcomes"], outcomes, "{json:#}");
    assert_eq!(json["exhausted"], true, "{json:#}");
}

#[track_caller]
fn clean(file: &str, outcomes: u64) {
    let json = all_of(file);
    assert_eq!(verdict(&json), ("clean", "none"), "{json:#}");
    assert_eq!(json["outcomes"], outcomes, "{json:#}");
    assert_eq!(json["exhausted"], true, "{json:#}");
}

#[test]
fn two_increments_make_one() {
    race("lost-update.toml", "lost-update", 3);
}

#[test]
fn what_should_be_stands_beside_what_is() {
    let json = all_of("lost-update.toml");
    let row = &json["races"][0]["outcome"]["differs"][0];
    assert_eq!(row["found"], "id=1 v=1", "{json:#}");
    assert_eq!(row["serial"], "id=1 v=2", "{json:#}");
}

#[test]
fn three_increments_make_two_or_one() {
    race("lost-update-3.toml", "lost-update", 16);
}

#[test]
fn two_doctors_leave_at_once() {
    race("write-skew.toml", "write-skew", 3);
}

#[test]
fn a_serializable_doctor_is_refused_and_that_is_fine() {
    clean("write-skew-serializable.toml", 4);
}

#[test]
fn two_rows_locked_in_opposite_order_deadlock() {
    race("deadlock-rows.toml", "deadlock", 3);
}

#[test]
fn advisory_locks_with_parameters_deadlock() {
    race("deadlock-advisory.toml", "deadlock", 3);
}

#[test]
fn one_statement_each_and_still_two_bens() {
    race("commit-gap.toml", "duplicate-insert", 3);
}

#[test]
fn a_function_reads_and_then_writes() {
    race("commit-gap-function.toml", "lost-update", 3);
}

#[test]
fn a_unique_index_keeps_ben_single() {
    clean("unique-index.toml", 2);
}

#[test]
fn select_for_update_is_enough() {
    clean("for-update.toml", 2);
}

#[test]
fn an_atomic_update_is_enough() {
    clean("atomic-update.toml", 1);
    clean("atomic-update-3.toml", 1);
}
