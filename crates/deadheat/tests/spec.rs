//! `deadheat spec`: isolation specs print what isolationtester prints, byte for byte, and can be explored.
//!
//! What our own specs should print was written by the original, of version 15. PostgreSQL's own specs are in
//! `target/specs` once `tools/specs` has fetched them; without them the stories about them say so and end.
#![allow(missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::{Bench, root};
use serde_json::Value;

fn ours(name: &str) -> PathBuf {
    root().join(format!("crates/spec/tests/specs/{name}.spec"))
}

fn args<'a>(words: &[&'a str], paths: &'a [PathBuf]) -> Vec<&'a str> {
    let paths = paths
        .iter()
        .map(|path| path.to_str().expect("a path in UTF-8"));
    [&["spec"], words]
        .concat()
        .into_iter()
        .chain(paths)
        .collect()
}

fn all_of_ours() -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(root().join("crates/spec/tests/specs")).expect("the folder of our specs");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    assert!(paths.len() > 10, "{paths:?}");
    paths
}

/// PostgreSQL's specs, if they were fetched.
fn fetched() -> Option<PathBuf> {
    let schedule = root().join("target/specs/isolation_schedule");
    if schedule.exists() {
        return Some(schedule);
    }
    eprintln!("skipped: PostgreSQL's specs are not there; tools/specs fetches them");
    None
}

#[test]
fn our_specs_print_what_the_original_printed() {
    let paths = all_of_ours();
    let said = Bench::new().run(args(&["--check", "-j", "2"], &paths));
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    assert!(said.out.ends_with(&format!(
        "all {} specs printed what is expected\n",
        paths.len()
    )));
}

#[test]
fn every_spec_of_postgresql_prints_what_is_expected() {
    let Some(schedule) = fetched() else { return };
    let folder = schedule.parent().expect("a folder").join("specs");
    let prepared = ["prepared-transactions", "prepared-transactions-cic"]
        .map(|name| folder.join(format!("{name}.spec")));
    let schedule = schedule.to_str().expect("a path in UTF-8");
    let said = Bench::new().run(args(
        &["--check", "-j", "4", "--schedule", schedule],
        &prepared,
    ));
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    let same = said
        .out
        .lines()
        .filter(|line| line.starts_with("same "))
        .count();
    assert!(same > 100, "{}", said.out);
}

#[test]
fn one_spec_is_printed_as_it_is_and_its_warnings_go_aside() {
    let said = Bench::new().run(args(&[], &[ours("errors")]));
    assert_eq!(said.code, 0, "{}", said.err);
    let expected = std::fs::read_to_string(root().join("crates/spec/tests/expected/errors.out"))
        .expect("a file");
    let warnings = "unused step name: other\nunused step name: unused\n";
    assert_eq!(said.err, warnings);
    assert_eq!(expected, format!("{warnings}{}", said.out));
}

#[test]
fn a_spec_whose_setup_fails_ends_with_1() {
    let said = Bench::new().run(args(&[], &[ours("setup-fails"), ours("write-skew")]));
    assert_eq!(said.code, 1);
    assert!(
        said.err
            .contains("setup failed: ERROR:  column \"nothing\" does not exist\nLINE 3:"),
        "{}",
        said.err
    );
    assert!(
        said.out
            .contains("starting permutation: a_count b_count b_off a_off b_end a_end"),
        "{}",
        said.out
    );
}

#[test]
fn what_differs_from_the_expected_is_shown() {
    let bench = Bench::new();
    let folder = bench.folder.path();
    for name in ["specs", "expected"] {
        std::fs::create_dir(folder.join(name)).expect("a folder is made");
    }
    std::fs::write(
        folder.join("specs/a.spec"),
        "session s step one { SELECT 1 AS n; }",
    )
    .expect("a file is written");
    let expected = "Parsed test spec with 1 sessions\n\nstarting permutation: one\nstep one: SELECT 2 AS n;\nn\n-\n2\n(1 row)\n\n";
    std::fs::write(folder.join("expected/a.out"), expected).expect("a file is written");
    let said = bench.run(["spec", "--check", "specs/a.spec"]);
    assert_eq!(said.code, 1);
    assert!(
        said.out
            .contains("-step one: SELECT 2 AS n;\n+step one: SELECT 1 AS n;\n"),
        "{}",
        said.out
    );
    let alternative = expected.replace('2', "1");
    std::fs::write(folder.join("expected/a_1.out"), alternative).expect("a file is written");
    assert_eq!(bench.run(["spec", "--check", "specs/a.spec"]).code, 0);
}

#[test]
fn a_mistake_in_a_spec_is_told_with_its_line() {
    let bench = Bench::new();
    let path = bench.folder.path().join("a.spec");
    std::fs::write(
        &path,
        "session s\nstep one { SELECT 1; }\npermutation One\n",
    )
    .expect("a file is written");
    let said = bench.run(["spec", "a.spec"]);
    assert_eq!(said.code, 2);
    for words in ["a.spec:3", "no step is named \"One\"", "did you mean one?"] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
    let said = bench.run(["spec", "b.spec"]);
    assert_eq!(said.code, 2);
    assert!(
        said.err
            .contains("cannot read b.spec: there is no such file"),
        "{}",
        said.err
    );
}

fn explored(path: &Path, flags: &[&str]) -> (i32, Value) {
    let words = [&["--explore", "--json"], flags].concat();
    let said = Bench::new().run(args(&words, &[path.to_owned()]));
    let json = serde_json::from_str(&said.out)
        .unwrap_or_else(|error| panic!("{error}: {}\n{}", said.out, said.err));
    (said.code, json)
}

fn texts(json: &Value) -> BTreeSet<String> {
    let outcomes = json["outcomes"].as_array().expect("outcomes");
    outcomes
        .iter()
        .map(|one| one["text"].as_str().expect("a text").to_owned())
        .collect()
}

#[test]
fn exploring_finds_the_seat_that_is_sold_twice() {
    let (code, json) = explored(&ours("every-order"), &[]);
    assert_eq!(code, 1);
    assert_eq!(json["ending"], "exhausted");
    assert_eq!(json["interleavings"], 10);
    assert!(json["runs"].as_u64() < Some(10), "{json:#}");
    let outcomes = json["outcomes"].as_array().expect("outcomes");
    let twice = outcomes.iter().find(|one| {
        let text = one["text"].as_str().unwrap_or_default();
        one["kind"] == "anomaly" && text.matches("(1 row)").count() == 3
    });
    let twice = twice.unwrap_or_else(|| panic!("{json:#}"));
    assert!(
        twice["differs"]
            .as_str()
            .is_some_and(|text| text.contains('+')),
        "{twice:#}"
    );
}

#[test]
fn serializable_transactions_come_to_serial_outcomes_only() {
    let (code, json) = explored(&ours("write-skew"), &[]);
    assert_eq!((code, &json["anomalies"]), (0, &Value::from(0)), "{json:#}");
    let failed = json["outcomes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|one| one["failed"] != Value::from(Vec::<Value>::new()));
    assert!(failed.count() > 0, "{json:#}");
}

#[test]
fn the_reduction_loses_no_outcome() {
    for name in ["every-order", "write-skew", "deadlock"] {
        let (_, reduced) = explored(&ours(name), &[]);
        let (_, every) = explored(&ours(name), &["--every"]);
        assert_eq!(texts(&reduced), texts(&every), "{name}");
        assert!(reduced["runs"].as_u64() < every["runs"].as_u64(), "{name}");
    }
}

#[test]
fn an_exploration_is_read_as_text() {
    let said = Bench::new().run(args(&["--explore"], &[ours("every-order")]));
    let from = said.out.find(": 2 sessions").expect("the heading");
    insta::assert_snapshot!(said.out[from..]);
}
