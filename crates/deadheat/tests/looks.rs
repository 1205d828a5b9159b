//! Where people look: files and texts that other programs read, and the ways they ask for them.
#![allow(missing_docs)]

mod common;

use std::path::Path;

use common::{Bench, example, has, root, said};

fn path(scenario: &str) -> String {
    example(scenario).to_str().expect("UTF-8").to_owned()
}

/// Whether what a test needs was installed by `tools/setup`; says so when it was not.
fn is_installed(path: &Path) -> bool {
    let there = path.exists();
    if !there {
        eprintln!("skipped: {} is not there (tools/setup)", path.display());
    }
    there
}

#[test]
fn jenkins_takes_the_junit_xml() {
    let schema = root().join("target/schemas/junit-10.xsd");
    if !(has("xmllint") && is_installed(&schema)) {
        return;
    }
    let bench = Bench::new();
    // A race, a clean one, one that does not repeat, and two of the same name.
    let bug = bench.scenario(
        "lost-update.toml",
        "[database]\nengine = \"postgres\"\nsql = \"create table t (v integer)\"\n\n[[actor]]\nname = \"a\"\n\
         sql = [\"insert into t values (1)\"]\n\n[check]\ninvariants = { \"<none> & \\\"such\\\"\" = \"select false\" }\n",
    );
    let bug = bug.to_str().expect("UTF-8");
    let dice = common::service("dice.toml");
    let dice = dice.to_str().expect("UTF-8");
    let (race, clean) = (path("sql/lost-update.toml"), path("sql/for-update.toml"));
    let found = bench.run(["find", "--junit", "results.xml", &race, &clean, bug, dice]);
    assert_eq!(found.code, 3, "{}\n{}", found.out, found.err);
    let file = bench.folder.path().join("results.xml");
    let mut lint = bench.command_of("xmllint");
    lint.args(["--noout", "--schema"]).arg(&schema).arg(&file);
    let checked = said(lint.output().expect("xmllint runs"));
    assert_eq!(checked.code, 0, "{}", checked.err);
    let text = std::fs::read_to_string(&file).expect("XML");
    for name in [race.as_str(), bug, "for-update.toml", "dice.toml"] {
        assert!(
            text.contains(&format!("testcase name=\"{name}\"")),
            "{name}\n{text}"
        );
    }
}

#[test]
fn github_shows_the_race_in_the_summary_of_the_step() {
    let bench = Bench::new();
    let summary = bench.folder.path().join("summary.md");
    std::fs::write(&summary, "before\n").expect("written");
    let mut command = bench.command();
    command
        .args([
            "find",
            "--json",
            &path("sql/lost-update.toml"),
            &path("sql/for-update.toml"),
        ])
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &summary);
    let found = said(command.output().expect("runs"));
    assert_eq!(found.code, 1, "{}", found.err);
    let text = std::fs::read_to_string(&summary).expect("is there");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "before");
    let race = format!("### race: `{}`", path("sql/lost-update.toml"));
    let clean = format!("### clean: `{}`", path("sql/for-update.toml"));
    assert!(lines.contains(&race.as_str()), "{text}");
    assert!(lines.contains(&clean.as_str()), "{text}");
    assert!(
        text.contains("<details open><summary>lost-update</summary>"),
        "{text}"
    );
    assert!(
        text.contains("again:  deadheat replay .deadheat/lost-update-1.json"),
        "{text}"
    );
}

#[test]
fn a_summary_that_cannot_be_written_is_said() {
    let bench = Bench::new();
    let mut command = bench.command();
    command
        .args(["find", &path("sql/for-update.toml")])
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", "no/such/folder/summary.md");
    let found = said(command.output().expect("runs"));
    assert_eq!(found.code, 2, "{}", found.out);
    assert!(
        found.err.contains("no/such/folder/summary.md"),
        "{}",
        found.err
    );
}
