//! What the documents show is what the program says: blocks between two marks are made here and compared. The other files
//! beside this one hold the book together: its table of contents, its links, its code.
//!
//! `UPDATE=1 cargo test -p deadheat --test documents` writes them anew.
#![allow(missing_docs)]

mod blocks;
#[path = "../common/mod.rs"]
mod common;
mod flags;
mod keys;
mod pages;
mod summary;

use std::fs;
use std::sync::{Mutex, PoisonError};

use common::{Bench, root};

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

/// Without the last line's figures: how long it took, and how many labs were at it. Nor with the card that a player picks:
/// the deck is shuffled.
fn without_figures(text: &str) -> String {
    const PICKED: &str = "picked = ";
    let line = |line: &str| {
        let (words, end) = match line.split_once(" found (") {
            Some((words, _)) => (words, " found"),
            None => (line, ""),
        };
        let words = match words.split_once(PICKED) {
            Some((before, _)) => format!("{before}{PICKED}"),
            None => words.to_owned(),
        };
        format!("{words}{end}\n")
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

/// Pages, their blocks, the scenarios whose races these show, and what must be built for them.
const STORIES: [(&str, &str, &str, &str); 6] = [
    (
        "cardstories",
        "race",
        "cardstories/racy.toml",
        "target/release/cardstories",
    ),
    (
        "long-calculation",
        "race",
        "long-calculation/racy.toml",
        "target/release/long-calculation",
    ),
    (
        "marketplace",
        "race",
        "marketplace/racy.toml",
        "target/release/marketplace",
    ),
    (
        "marketplace",
        "crash",
        "marketplace/after.toml",
        "target/release/marketplace",
    ),
    (
        "retry",
        "race",
        "retry/racy-deadlock.toml",
        "target/release/retry-bank",
    ),
    (
        "queues",
        "race",
        "queues/pg-boss/racy.toml",
        "examples/queues/pg-boss/node_modules",
    ),
];

/// Up to the rows that differ, which have times in them.
fn without_rows(picture: &str) -> String {
    let (told, _) = picture.split_once("\nwhat differs").expect("rows");
    format!("{told}…\n```\n")
}

#[test]
fn the_stories_show_their_races() {
    for (page, block, scenario, service) in STORIES {
        if let Some(mut picture) = picture(&format!("examples/{scenario}"), service) {
            if block == "crash" {
                picture = without_rows(&picture);
            }
            let page = format!("docs/stories/{page}.md");
            hold(&page, block, &picture, without_figures);
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
fn the_keys_of_a_scenario_are_listed() {
    hold("docs/scenario.md", "keys", &keys::all(), as_it_is);
}

#[test]
fn the_flags_are_listed() {
    hold("docs/commands.md", "commands", &flags::all(), as_it_is);
}

#[test]
fn the_scenario_of_the_book_is_shown() {
    let book = root().join("crates/scenario/tests/lobby/book.toml");
    let book = fs::read_to_string(book).expect("the scenario of the book");
    let shown = format!("```toml\n{}\n```\n", book.trim_end());
    hold("docs/scenario.md", "example", &shown, as_it_is);
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
