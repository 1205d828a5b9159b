//! The ten anomalies of Hermitage at each level of PostgreSQL: found and named where the level allows them, searched to
//! the end without them where it does not.
#![allow(missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::{Bench, verdict};
use serde_json::Value;

/// The weakest first.
const LEVELS: [&str; 3] = ["read committed", "repeatable read", "serializable"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hermitage")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(folder().join(file)).expect("a file of the test")
}

/// Whether the published table says that the level prevents the anomaly.
fn prevents(level: &str, anomaly: &str) -> bool {
    let table: toml::Table = read("expected.toml").parse().expect("TOML");
    let columns = table["columns"].as_array().expect("a list of columns");
    let column = columns
        .iter()
        .position(|name| name.as_str() == Some(anomaly));
    table["postgres"][level][column.expect("a published anomaly")]
        .as_bool()
        .expect("true or false")
}

/// The names of all races of the scenario at a level.
fn found(anomaly: &str, level: &str) -> BTreeSet<String> {
    let bench = Bench::new();
    let text = read(&format!("{anomaly}.toml")).replace("LEVEL", level);
    let scenario = bench.scenario("scenario.toml", &text);
    let (said, json) = bench.find(&scenario, &["--keep-going"]);
    let races = json["races"].as_array().expect("a list of races");
    let expected = if races.is_empty() { "clean" } else { "race" };
    assert_eq!(
        verdict(&json).0,
        expected,
        "{anomaly}, {level}: {}",
        said.err
    );
    assert_eq!(json["exhausted"], true, "{anomaly}, {level}: {json:#}");
    let name = |race: &Value| race["anomaly"].as_str().unwrap_or("no name").to_owned();
    races.iter().map(name).collect()
}

#[track_caller]
fn as_published(anomaly: &str) {
    for level in LEVELS {
        let names = found(anomaly, level);
        assert_eq!(
            !names.contains(anomaly),
            prevents(level, anomaly),
            "{anomaly} at {level}: found {names:?}"
        );
    }
}

/// What the program finds besides: the scenario of one anomaly may have room for another.
#[track_caller]
fn besides(anomaly: &str, level: &str, names: &[&str]) {
    let names: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
    assert_eq!(found(anomaly, level), names, "{anomaly} at {level}");
}

#[test]
fn every_published_anomaly_has_a_scenario() {
    let table: toml::Table = read("expected.toml").parse().expect("TOML");
    for anomaly in table["columns"].as_array().expect("a list of columns") {
        let file = format!("{}.toml", anomaly.as_str().expect("a name"));
        assert!(folder().join(&file).is_file(), "{file}");
    }
}

#[test]
fn g0_writes_of_two_are_never_mixed() {
    as_published("G0");
}

#[test]
fn g1a_what_is_rolled_back_is_never_read() {
    as_published("G1a");
}

#[test]
fn g1b_what_is_overwritten_at_once_is_never_read() {
    as_published("G1b");
}

#[test]
fn g1c_nobody_reads_from_one_who_reads_from_him() {
    as_published("G1c");
    // Neither sees the other: that is the anomaly that a level below SERIALIZABLE has room for here.
    besides("G1c", "repeatable read", &["G2-item"]);
}

#[test]
fn otv_what_was_seen_does_not_vanish() {
    as_published("OTV");
    // Not seen at first and then seen, on the other hand, is nothing that READ COMMITTED prevents.
    besides("OTV", "read committed", &["G-single"]);
}

#[test]
fn pmp_a_second_question_sees_a_row_that_the_first_did_not() {
    as_published("PMP");
}

#[test]
fn p4_an_update_is_lost() {
    as_published("P4");
}

#[test]
fn g_single_half_of_a_change_is_seen() {
    as_published("G-single");
}

#[test]
fn g2_item_each_overwrites_what_the_other_has_read() {
    as_published("G2-item");
}

#[test]
fn g2_each_adds_to_what_the_other_has_counted() {
    as_published("G2");
}
