//! What other programs take from a search: standard output, exit codes, JUnit XML, annotations.
#![allow(missing_docs)]

mod common;

use std::process::Stdio;

use common::{Bench, example, said};

const RACE: &str = "sql/lost-update.toml";
const CLEAN: &str = "sql/for-update.toml";

fn path(name: &str) -> String {
    example(name).to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_reader_that_has_enough_is_no_reason_to_panic() {
    let bench = Bench::new();
    let mut command = bench.command();
    command.args(["find", &path(RACE)]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    drop(child.stdout.take());
    let said = said(child.wait_with_output().expect("it ends"));
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(!said.err.contains("panicked"), "{}", said.err);
}

#[test]
fn json_is_all_there_is_on_standard_output() {
    let bench = Bench::new();
    let said = bench.run(["find", "--json", "--profile", &path(CLEAN), &path(RACE)]);
    let objects: Vec<serde_json::Value> = serde_json::Deserializer::from_str(&said.out)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error}: {}", said.out));
    let verdicts: Vec<_> = objects.iter().map(|one| one["verdict"].as_str()).collect();
    assert_eq!(verdicts, [Some("clean"), Some("race")]);
    let moving = &objects[0]["profile"]["moving"];
    assert!(moving.as_f64().is_some_and(|ms| ms > 0.0), "{moving}");
}

#[test]
fn the_worst_scenario_decides_the_exit_code_and_none_is_left_out() {
    let bench = Bench::new();
    let broken = "[database]\nengine = \"postgres\"\nsql = \"select nothing\"\n\
                  [[actor]]\nname = \"ben\"\nsql = [\"select 1\"]\n";
    bench.scenario("broken.toml", broken);
    assert_eq!(bench.run(["find", &path(CLEAN), &path(CLEAN)]).code, 0);
    assert_eq!(bench.run(["find", &path(RACE), &path(CLEAN)]).code, 1);
    let said = bench.run(["find", "broken.toml", &path(RACE)]);
    assert_eq!(said.code, 2, "{}\n{}", said.out, said.err);
    assert!(
        said.err.contains("column \"nothing\" does not exist"),
        "{}",
        said.err
    );
    assert!(
        said.out.contains("lost-update.toml: race, 1 found"),
        "{}",
        said.out
    );
}

#[test]
fn a_misspelt_scenario_is_noticed_before_any_is_searched() {
    let said = Bench::new().run(["find", &path(RACE), "nowhere.toml"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{}", said.err);
}

#[test]
fn junit_xml_is_well_formed_and_names_every_scenario() {
    let bench = Bench::new();
    let said = bench.run(["find", "--junit", "results.xml", &path(RACE), &path(CLEAN)]);
    assert_eq!(said.code, 1, "{}", said.err);
    let text = std::fs::read_to_string(bench.folder.path().join("results.xml")).expect("XML");
    let report = quick_junit::Report::deserialize_from_str(&text).expect("JUnit XML");
    let suite = &report.test_suites[0];
    let names: Vec<&str> = suite
        .test_cases
        .iter()
        .map(|case| case.name.as_str())
        .collect();
    assert_eq!(names, ["lost-update.toml", "for-update.toml"]);
    assert_eq!(
        (suite.tests, suite.failures, suite.errors),
        (2, 1, 0),
        "{text}"
    );
}

#[test]
fn junit_xml_that_cannot_be_written_is_said() {
    let said = Bench::new().run(["find", "--junit", "no/such/folder/x.xml", &path(CLEAN)]);
    assert_eq!(said.code, 2, "{}", said.err);
    insta::assert_snapshot!(said.err);
}

#[test]
fn github_gets_an_annotation_with_the_scenarios_path() {
    let bench = Bench::new();
    let mut command = bench.command();
    let race = path(RACE);
    command.args(["find", &race]).env("GITHUB_ACTIONS", "true");
    let said = said(command.output().expect("runs"));
    let line = said.out.lines().last().expect("lines");
    let start = format!("::error file={race},title=Race%3A lost-update::");
    assert!(line.starts_with(&start), "{line}");
    assert!(
        line.ends_with("%0AAgain: deadheat replay .deadheat/lost-update-1.json"),
        "{line}"
    );
}
