//! The page of a race, made by the program and opened in a real browser (browser/page.test.js).
#![allow(missing_docs)]

mod common;

use std::path::{Path, PathBuf};

use common::browser::{browse, browser, can_browse};
use common::{Bench, example};
use serde_json::{Value, json};

/// The scenario with five actors of thirty steps.
fn many() -> PathBuf {
    browser().join("many.toml")
}

/// The pages `two.html`, `many.html` and `report.html` (with both races) in the bench's folder.
fn pages(bench: &Bench) {
    let report = bench.folder.path().join("report.html");
    let scenarios = [example("sql/lost-update.toml"), many()];
    let mut find = bench.command();
    find.args(["find", "--no-shrink", "--report"]).arg(&report);
    let found = common::said(find.args(&scenarios).output().expect("the program runs"));
    assert_eq!(found.code, 1, "{}\n{}", found.out, found.err);
    for (race, page) in [("lost-update-1", "two"), ("many-1", "many")] {
        let race = format!(".deadheat/{race}.json");
        let shown = bench.run(["show", &race, "--html", &format!("{page}.html")]);
        assert_eq!(shown.code, 0, "{}", shown.err);
        assert!(shown.out.is_empty(), "{}", shown.out);
    }
}

fn size(bench: &Bench, page: &str) -> u64 {
    let path = bench.folder.path().join(page);
    path.metadata().expect("the page is there").len()
}

#[test]
fn five_actors_and_150_steps_weigh_less_than_a_megabyte() {
    let bench = Bench::new();
    pages(&bench);
    for page in ["two.html", "many.html", "report.html"] {
        let size = size(&bench, page);
        assert!((10_000..1_000_000).contains(&size), "{page}: {size} bytes");
    }
}

#[test]
fn people_use_the_page_in_a_browser() {
    let Some(chromium) = can_browse() else {
        return;
    };
    let bench = Bench::new();
    pages(&bench);
    let folder = bench.folder.path().display().to_string();
    browse(&chromium, "page.test.js", ("PAGES", &folder));
}

/// The saved race as JSON.
fn saved(bench: &Bench, scenario: &Path) -> Value {
    let (_, json) = bench.find(scenario, &[]);
    let text = std::fs::read_to_string(bench.race(&json)).expect("the race is saved");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn the_file_says_how_the_tables_changed() {
    let bench = Bench::new();
    let race = saved(&bench, &example("sql/lost-update.toml"));
    let history = &race["history"];
    assert_eq!(
        history["start"]["counter"],
        json!({"columns": ["id", "v"], "rows": [["1", "0"]]})
    );
    let first = race["steps"].as_array().expect("steps");
    let first = first.iter().position(|step| step["kind"] == "commit");
    // The second commit writes the same once more: nobody sees a change.
    assert_eq!(
        history["changes"],
        json!([{"step": first, "table": "counter", "gone": [["1", "0"]], "came": [["1", "1"]]}])
    );
    let orders: Vec<&Value> = race["orders"]
        .as_array()
        .expect("serial orders")
        .iter()
        .map(|one| &one["order"])
        .collect();
    assert_eq!(orders, [&json!(["a1", "a2"]), &json!(["a2", "a1"])]);
}

#[test]
fn who_looks_does_not_wait_for_whoever_has_locked_the_table() {
    let bench = Bench::new();
    let scenario = bench.scenario(
        "locked.toml",
        r#"
        title = "A counter, and a log that is locked"
        [database]
        engine = "postgres"
        sql = "create table counter (id int primary key, v int); create table log (v int); insert into counter values (1, 0)"
        [[actor]]
        name = "a{n}"
        copies = 2
        sql = [
          "select v as n from counter where id = 1",
          "begin",
          "lock table log in access exclusive mode",
          "insert into log values (:n)",
          "commit",
          "update counter set v = :n + 1 where id = 1",
        ]
        "#,
    );
    let race = saved(&bench, &scenario);
    assert_eq!(race["kind"], "lost-update");
    assert!(race["history"]["start"]["counter"].is_object());
    assert_eq!(
        race["history"]["left_out"],
        json!(["log: it was locked, made or dropped, or has too many rows"])
    );
}

#[test]
fn a_page_that_cannot_be_written_is_an_error() {
    let bench = Bench::new();
    bench.find(&example("sql/lost-update.toml"), &[]);
    let race = ".deadheat/lost-update-1.json";
    let said = bench.run(["show", race, "--html", "nowhere/page.html"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("nowhere/page.html"), "{}", said.err);
}
