//! What the documents show is what the program says: blocks between two marks are made here and compared.
//!
//! `UPDATE=1 cargo test -p deadheat --test documents` writes them anew.
#![allow(missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::{Mutex, PoisonError};

use common::{Bench, root};
use serde_json::Value;

/// One test at a time writes: two blocks may be in one document.
static WRITING: Mutex<()> = Mutex::new(());

/// Holds a block of a document against what it should be; `compared` leaves out what may differ.
#[track_caller]
fn hold(document: &str, block: &str, fresh: &str, compared: fn(&str) -> String) {
    let _turn = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let path = root().join(document);
    let text = fs::read_to_string(&path).expect("the document is there");
    let (begin, end) = (
        format!("<!-- {block}: written by UPDATE=1 cargo test -p deadheat --test documents -->\n"),
        format!("<!-- end of {block} -->\n"),
    );
    let from = text.find(&begin).expect("the block has a beginning") + begin.len();
    let length = text[from..].find(&end).expect("the block has an end");
    let shown = &text[from..from + length];
    if compared(shown) == compared(fresh) {
        return;
    }
    if std::env::var_os("UPDATE").is_some() {
        let anew = format!("{}{fresh}{}", &text[..from], &text[from + length..]);
        fs::write(&path, anew).expect("the document can be written");
        return;
    }
    panic!(
        "{document} is stale, UPDATE=1 cargo test -p deadheat --test documents writes it anew:\n{}",
        first_difference(&compared(shown), &compared(fresh))
    );
}

fn first_difference(shown: &str, fresh: &str) -> String {
    let pairs = shown.lines().zip(fresh.lines());
    match pairs.clone().find(|(a, b)| a != b) {
        Some((a, b)) => format!("  it shows: {a}\n  it is:    {b}"),
        None => format!(
            "  it shows {} lines, it is {}",
            shown.lines().count(),
            fresh.lines().count()
        ),
    }
}

fn as_it_is(text: &str) -> String {
    text.to_owned()
}

/// Without the last line's figures: how long it took, and how many labs were at it.
fn without_figures(text: &str) -> String {
    let line = |line: &str| match line.split_once(" found (") {
        Some((words, _)) => format!("{words} found\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// What the program says about a scenario, as a picture; nothing where its service is not there.
fn picture(scenario: &str, service: &str) -> Option<String> {
    if !root().join(service).exists() {
        eprintln!("skipped: {service} is not there (make build, tools/setup)");
        return None;
    }
    let bench = Bench::new();
    let examples = root().join("examples").canonicalize().expect("examples");
    std::os::unix::fs::symlink(examples, bench.folder.path().join("examples"))
        .expect("a link to the examples");
    let command = ["find", scenario];
    let said = bench.run(command);
    assert_eq!(said.code, 1, "{}\n{}", said.out, said.err);
    Some(format!(
        "```console\n$ deadheat {}\n{}\n```\n",
        command.join(" "),
        said.out.trim_end()
    ))
}

#[test]
fn the_readme_shows_a_race() {
    let picture = picture("examples/lobby/rust/racy.toml", "target/release/lobby-rust");
    if let Some(picture) = picture {
        hold("README.md", "race", &picture, without_figures);
    }
}

/// Pages, the scenarios whose races they show, and what must be built for them.
const STORIES: [(&str, &str, &str); 5] = [
    (
        "cardstories",
        "cardstories/racy.toml",
        "target/release/cardstories",
    ),
    (
        "long-calculation",
        "long-calculation/racy.toml",
        "target/release/long-calculation",
    ),
    (
        "marketplace",
        "marketplace/racy.toml",
        "target/release/marketplace",
    ),
    (
        "retry",
        "retry/racy-deadlock.toml",
        "target/release/retry-bank",
    ),
    (
        "queues",
        "queues/pg-boss/racy.toml",
        "examples/queues/pg-boss/node_modules",
    ),
];

#[test]
fn the_stories_show_their_races() {
    for (page, scenario, service) in STORIES {
        if let Some(picture) = picture(&format!("examples/{scenario}"), service) {
            let page = format!("docs/stories/{page}.md");
            hold(&page, "race", &picture, without_figures);
        }
    }
}

#[test]
fn the_story_of_the_lobby_shows_what_its_test_says() {
    let snapshots = root().join("examples/lobby/actor/src/snapshots");
    let name = "lobby_actor__game__tests__a_fifth_player_sneaks_in_between_two_messages.snap";
    let text = fs::read_to_string(snapshots.join(name)).expect("the snapshot is there");
    let (_, said) = text.split_once("\n---\n").expect("a head and a body");
    let shown = format!("```text\n{}\n```\n", said.trim_end());
    hold("docs/stories/lobby.md", "race", &shown, as_it_is);
}

#[test]
fn the_readme_shows_a_scenario_that_works() {
    let readme = fs::read_to_string(root().join("README.md")).expect("the README is there");
    let (_, rest) = readme.split_once("```toml\n").expect("a scenario");
    let (scenario, _) = rest.split_once("```").expect("the end of the scenario");
    let folder = root().join("crates/scenario/tests/lobby");
    let scenario = deadheat_scenario::parse("README.md", scenario, &folder);
    assert_eq!(scenario.expect("no mistakes").actors.len(), 5);
}

#[test]
fn every_link_leads_to_a_file() {
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/scenario.md",
        "docs/stories/README.md",
        "docs/stories/cardstories.md",
        "docs/stories/lobby.md",
        "docs/stories/long-calculation.md",
        "docs/stories/marketplace.md",
        "docs/stories/queues.md",
        "docs/stories/retry.md",
    ] {
        let path = root().join(document);
        let text = fs::read_to_string(&path).expect("the document is there");
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http")) {
            let folder = path.parent().expect("a folder");
            assert!(folder.join(target).exists(), "{document} links to {target}");
        }
    }
}

#[test]
fn the_keys_of_a_scenario_are_listed() {
    hold("docs/scenario.md", "keys", &keys(), as_it_is);
}

#[test]
fn the_scenario_of_the_book_is_shown() {
    let book = root().join("crates/scenario/tests/lobby/book.toml");
    let book = fs::read_to_string(book).expect("the scenario of the book");
    let shown = format!("```toml\n{}\n```\n", book.trim_end());
    hold("docs/scenario.md", "example", &shown, as_it_is);
}

/// The headings of the tables, and the schemas that describe them.
const TABLES: [(&str, &str); 10] = [
    ("`[database]`", "Database"),
    ("`[service.NAME]`", "Service"),
    ("`ready` as a table", "Log"),
    ("`[[actor]]`", "Actor"),
    ("An entry of `requests`", "Request"),
    ("An entry of `sql`", "Sql"),
    ("`[[before]]`", "Before"),
    ("`[check]`", "Check"),
    ("An entry of `invariants`", "Invariant"),
    ("`[explore]`", "Explore"),
];

/// All keys, table by table. A key that means the same in a table before is not described again.
fn keys() -> String {
    let schema = deadheat_scenario::schema();
    let definitions = schema["definitions"].as_object().expect("definitions");
    let named = |name: &String| TABLES.iter().any(|(_, known)| known == name);
    let unknown: Vec<_> = definitions.keys().filter(|name| !named(name)).collect();
    assert!(
        unknown.is_empty(),
        "give these a heading in TABLES: {unknown:?}"
    );
    let mut text = String::new();
    let mut described = BTreeMap::new();
    describe("The file", &schema, &mut described, &mut text);
    for (heading, name) in TABLES {
        describe(heading, &definitions[name], &mut described, &mut text);
    }
    text
}

/// One table of the file: its keys. `described` are those of the tables before, with where they are.
fn describe<'s>(
    heading: &'s str,
    schema: &'s Value,
    described: &mut BTreeMap<(String, String), &'s str>,
    text: &mut String,
) {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let about = schema["description"].as_str().unwrap_or_default();
    let mut rows = String::new();
    let mut elsewhere: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let keys = schema["properties"].as_object().expect("keys");
    for (key, value) in keys {
        let place = (key.clone(), value.to_string());
        if let Some(before) = described.get(&place) {
            elsewhere
                .entry(before)
                .or_default()
                .push(format!("`{key}`"));
            continue;
        }
        described.insert(place, heading);
        let needed = match (required.contains(&key.as_str()), &value["default"]) {
            (true, _) => " It must be there.".to_owned(),
            (false, Value::Null) => String::new(),
            (false, default) => format!(" Default: `{default}`."),
        };
        let meaning = value["description"].as_str().unwrap_or_default();
        let row = [
            format!("`{key}`"),
            form(value),
            format!("{meaning}{needed}"),
        ];
        let row = row.map(|cell| cell.replace('|', "\\|"));
        writeln!(rows, "| {} |", row.join(" | ")).expect("a string takes all");
    }
    write!(text, "\n### {heading}\n\n{about}\n").expect("a string takes all");
    if !rows.is_empty() {
        write!(
            text,
            "\n| key | value | meaning |\n| --- | --- | --- |\n{rows}"
        )
        .expect("as above");
    }
    for (before, keys) in elsewhere {
        write!(text, "\nAs under “{before}”: {}.\n", keys.join(", ")).expect("as above");
    }
}

/// What a value looks like, in words.
fn form(schema: &Value) -> String {
    if let Some(choices) = schema["enum"].as_array() {
        let choices: Vec<String> = choices.iter().map(|one| format!("`{one}`")).collect();
        return choices.join(" or ");
    }
    if let Some(only) = schema.get("const") {
        return format!("`{only}`");
    }
    if let Some(any) = schema["anyOf"].as_array().or(schema["allOf"].as_array()) {
        let mut forms: Vec<String> = any.iter().map(form).collect();
        forms.dedup();
        return forms.join(" or ");
    }
    if schema.get("$ref").is_some() || schema.get("properties").is_some() {
        return "table".to_owned();
    }
    match &schema["type"] {
        Value::Array(types) => {
            let words = types.iter().filter_map(Value::as_str).map(word);
            words.collect::<Vec<_>>().join(", ")
        }
        Value::String(name) => match name.as_str() {
            "array" => match form(&schema["items"]).as_str() {
                inner if inner.contains(" or ") => format!("list ({inner})"),
                inner => format!("list of {inner}s"),
            },
            "object" => {
                let inner = form(&schema["additionalProperties"]);
                format!("names and values ({inner})")
            }
            "integer" => match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
                (Some(least), Some(most)) => format!("whole number, {least} to {most}"),
                (Some(least), None) => format!("whole number, at least {least}"),
                _ => "whole number".to_owned(),
            },
            other => word(other).to_owned(),
        },
        _ => "any value".to_owned(),
    }
}

fn word(name: &str) -> &str {
    match name {
        "string" => "text",
        "boolean" => "true or false",
        other => other,
    }
}

#[test]
fn a_stale_document_is_told() {
    assert_eq!(
        first_difference("a\nb\n", "a\nc\n"),
        "  it shows: b\n  it is:    c"
    );
    assert_eq!(
        without_figures("x: race, 1 found (5 runs in 0.2 s)"),
        "x: race, 1 found\n"
    );
}
