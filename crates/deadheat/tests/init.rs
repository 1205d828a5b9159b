//! A first scenario: written by flags or from answers on a terminal, and what it finds.
#![allow(missing_docs)]

mod common;

use std::fs;
use std::io::Write;
use std::process::Stdio;

use common::{Bench, Said, has, root, said, verdict};

/// A bench with the lobby in Python, as its author has it before there is any scenario.
fn author() -> Bench {
    let bench = Bench::new();
    let lobby = root().join("examples/lobby");
    for (from, to) in [("python/app.py", "app.py"), ("schema.sql", "schema.sql")] {
        fs::copy(lobby.join(from), bench.folder.path().join(to)).expect("copied");
    }
    bench
}

/// Four have a seat in it: one is left, and a fifth asks.
const LAST_SEAT: [&str; 12] = [
    "--run",
    "python3 app.py",
    "--ready",
    "/health",
    "--setup",
    "schema.sql",
    "--sql",
    "insert into players (game, nick) values (1, 'x'), (1, 'y'), (1, 'z')",
    "--request",
    r#"POST /games/1/players {"nick": "ann"}"#,
    "--request",
    r#"POST /games/1/players {"nick": "ben"}"#,
];

fn init(bench: &Bench, flags: &[&str]) -> Said {
    bench.run([&["init"], flags].concat())
}

#[test]
fn an_author_finds_the_race_of_the_lobby_with_flags_alone() {
    if !has("python3") {
        return;
    }
    let bench = author();
    let written = init(&bench, &LAST_SEAT);
    assert_eq!(written.code, 0, "{}", written.err);
    assert!(
        written
            .out
            .contains("search it: deadheat find deadheat.toml")
    );
    let (found, json) = bench.find(&bench.folder.path().join("deadheat.toml"), &[]);
    assert_eq!(verdict(&json).0, "race", "{}\n{}", found.out, found.err);
    assert_eq!(json["races"][0]["kind"], "check-then-act", "{json:#}");
}

#[test]
fn an_author_answers_the_questions_and_searches_at_once() {
    if !(has("python3") && has("script")) {
        return;
    }
    let bench = author();
    let program = env!("CARGO_BIN_EXE_deadheat");
    let sql = "insert into players (game, nick) values (1, 'x'), (1, 'y'), (1, 'z')";
    fs::write(bench.folder.path().join("three.sql"), sql).expect("written");
    let ask = format!("stty -echo; {program} init lobby.toml --setup schema.sql --setup three.sql");
    let mut child = bench
        .command_of("script")
        .args(["-qec", &ask, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script runs");
    let answers = "python3 app.py\n/health\nPOST /games/1/players {\"nick\": \"ann\"}\nnonsense\n\
                   POST /games/1/players {\"nick\": \"ben\"}\n\ny\n";
    let mut input = child.stdin.take().expect("is piped");
    input.write_all(answers.as_bytes()).expect("typed");
    let seen = said(child.wait_with_output().expect("ends"));
    drop(input);
    assert_eq!(seen.code, 1, "{}", seen.out);
    assert!(
        seen.out.contains("`nonsense` is no request"),
        "{}",
        seen.out
    );
    assert!(seen.out.contains("written: lobby.toml"), "{}", seen.out);
    assert!(seen.out.contains("RACE"), "{}", seen.out);
}

#[test]
fn what_is_there_is_not_written_over_unless_that_is_asked_for() {
    let bench = author();
    let file = bench.folder.path().join("deadheat.toml");
    fs::write(&file, "mine").expect("written");
    let refused = init(&bench, &LAST_SEAT);
    assert_eq!(refused.code, 2, "{}", refused.out);
    assert!(
        refused.err.contains("deadheat.toml is there already"),
        "{}",
        refused.err
    );
    assert!(refused.err.contains("--force"), "{}", refused.err);
    assert_eq!(fs::read_to_string(&file).expect("is there"), "mine");
    let forced = init(&bench, &[&LAST_SEAT[..], &["--force"]].concat());
    assert_eq!(forced.code, 0, "{}", forced.err);
    assert!(deadheat_scenario::load(&file).is_ok());
}

#[test]
fn without_a_terminal_what_lacks_is_named_and_nothing_is_written() {
    let bench = author();
    let refused = init(&bench, &["--setup", "schema.sql"]);
    assert_eq!(refused.code, 2, "{}", refused.out);
    assert!(
        refused.err.contains("--run and --request needed"),
        "{}",
        refused.err
    );
    assert!(!bench.folder.path().join("deadheat.toml").exists());
}

#[test]
fn mistakes_in_flags_are_named() {
    let bench = author();
    for (flag, value, word) in [
        ("--request", "orders", "`orders` is no request"),
        ("--request", "FETCH /x", "FETCH"),
        ("--setup", "shema.sql", "there is no shema.sql"),
        ("--directory", "wbe", "there is no wbe"),
        ("--ready", "health", "health"),
        ("--env", "=1", "NAME=VALUE"),
    ] {
        let said = init(&bench, &["--run", "x", "--request", "GET /", flag, value]);
        assert_eq!(said.code, 2, "{flag} {value}\n{}", said.out);
        assert!(said.err.contains(word), "{flag} {value}\n{}", said.err);
        assert!(
            !bench.folder.path().join("deadheat.toml").exists(),
            "{flag} {value}"
        );
    }
}

#[test]
fn paths_are_written_as_the_scenario_needs_them() {
    let bench = author();
    let folder = bench.folder.path().join("races");
    fs::create_dir(&folder).expect("made");
    let mut flags = vec!["races/lobby.toml", "--directory", "."];
    flags.extend(LAST_SEAT);
    let written = init(&bench, &flags);
    assert_eq!(written.code, 0, "{}", written.err);
    let text = fs::read_to_string(folder.join("lobby.toml")).expect("is there");
    assert!(text.contains("setup = [\"../schema.sql\"]"), "{text}");
    assert!(text.contains("directory = \"..\""), "{text}");
    assert!(deadheat_scenario::load(&folder.join("lobby.toml")).is_ok());
}

#[test]
fn a_slip_in_a_key_of_the_scenario_names_the_nearest_one() {
    let bench = author();
    init(&bench, &LAST_SEAT);
    let file = bench.folder.path().join("deadheat.toml");
    let text = fs::read_to_string(&file).expect("is there");
    for (key, slip) in [("setup", "setpu"), ("ready", "redy"), ("request", "reqest")] {
        fs::write(
            &file,
            text.replacen(&format!("\n{key} ="), &format!("\n{slip} ="), 1),
        )
        .expect("written");
        let said = bench.run(["find", "deadheat.toml"]);
        assert_eq!(said.code, 2, "{}", said.out);
        let meant = format!("did you mean `{key}`?");
        assert!(said.err.contains(&meant), "{slip}\n{}", said.err);
    }
}
