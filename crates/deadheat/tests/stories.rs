//! The stories of the examples: each has a race that is found, and a cure that is clean with every trace explored.
//!
//! `make stories` runs them as one table; the pages are in docs/stories.
#![allow(missing_docs)]

mod common;

use common::{Bench, example, has, root, verdict};

/// Whether the service is built; says so when a test is skipped because it is not.
fn built(service: &str) -> bool {
    let there = root().join("target/release").join(service).exists();
    if !there {
        eprintln!("skipped: target/release/{service} is not built (make build)");
    }
    there
}

/// The race is of this kind, and happens again from the file that was saved.
#[track_caller]
fn race(file: &str, kind: &str) {
    let bench = Bench::new();
    let (said, json) = bench.find(&example(file), &[]);
    let found = verdict(&json);
    assert_eq!(found, ("race", kind), "{}\n{}", said.out, said.err);
    assert_eq!(said.code, 1);
    let replay = bench.run(["replay", bench.race(&json).to_str().expect("UTF-8")]);
    assert_eq!(replay.code, 1, "{}\n{}", replay.out, replay.err);
}

#[track_caller]
fn clean(file: &str) {
    let (said, json) = Bench::new().find(&example(file), &[]);
    assert_eq!(verdict(&json).0, "clean", "{}\n{}", said.out, said.err);
    assert_eq!(json["exhausted"], true);
    assert_eq!(said.code, 0);
    let name = file.rsplit('/').next().expect("a name");
    let line = format!("{name}: clean, all {} traces explored", json["traces"]);
    let told = pages().iter().any(|page| page.contains(&line));
    assert!(told, "no page of docs/stories says of {file}: {line}");
}

/// The pages that tell the stories.
fn pages() -> Vec<String> {
    let folder = std::fs::read_dir(root().join("docs/stories")).expect("the stories");
    let paths = folder.map(|entry| entry.expect("an entry").path());
    paths
        .map(|path| std::fs::read_to_string(path).expect("a page"))
        .collect()
}

#[test]
fn a_game_is_read_while_it_is_destroyed() {
    if built("cardstories") {
        race("cardstories/racy.toml", "unhandled-error");
    }
}

#[test]
fn a_game_is_read_half_before_and_half_after_its_end() {
    if built("cardstories") {
        race("cardstories/racy-mended.toml", "read-skew");
    }
}

#[test]
fn a_game_is_read_in_one_snapshot() {
    if built("cardstories") {
        clean("cardstories/cured.toml");
    }
}

/// Who waits for another request waits for something that no gate sees: then nothing is called complete.
#[test]
fn a_player_waits_for_the_end_of_a_game() {
    if built("cardstories") {
        let (said, json) = Bench::new().find(&example("cardstories/cured-poll.toml"), &[]);
        let found = verdict(&json).0;
        assert_eq!(found, "no-race-found", "{}\n{}", said.out, said.err);
        assert_eq!(said.code, 0);
    }
}

#[test]
fn a_result_comes_too_late() {
    if built("long-calculation") {
        race("long-calculation/racy.toml", "check-then-act");
    }
}

#[test]
fn two_workers_do_the_same_work() {
    if built("long-calculation") {
        race("long-calculation/racy-twice.toml", "lost-update");
    }
}

#[test]
fn a_late_result_is_discarded_and_work_is_done_once() {
    if built("long-calculation") {
        clean("long-calculation/cured.toml");
    }
}

#[test]
fn a_slow_worker_finds_that_another_has_its_object() {
    if built("long-calculation") {
        clean("long-calculation/cured-slow.toml");
    }
}

#[test]
fn two_seats_are_left_and_two_are_given() {
    if built("lobby-rust") {
        clean("lobby/rust/cured-rest.toml");
    }
}

#[test]
fn a_validation_is_ordered_too_early() {
    if built("marketplace") {
        race("marketplace/racy.toml", "stale-read");
    }
}

#[test]
fn a_validation_that_was_to_be_ordered_is_lost_with_a_crash() {
    if built("marketplace") {
        race("marketplace/after.toml", "lost-task");
    }
}

/// The seller's instance may crash, a second worker may come.
#[test]
fn a_validation_is_ordered_in_the_transaction() {
    if built("marketplace") {
        clean("marketplace/cured.toml");
    }
}

#[test]
fn who_loses_is_answered_with_an_error() {
    if built("retry-bank") {
        race("retry/racy-deadlock.toml", "deadlock");
        race("retry/racy-lock-table.toml", "deadlock");
        race("retry/racy-serialization.toml", "serialization-failure");
        race("retry/racy-integrity.toml", "unhandled-error");
    }
}

#[test]
fn who_loses_tries_again() {
    if built("retry-bank") {
        clean("retry/cured-deadlock.toml");
        clean("retry/cured-lock-table.toml");
        clean("retry/cured-serialization.toml");
        clean("retry/cured-integrity.toml");
    }
}

#[test]
fn a_worker_completes_what_is_another_ones_by_then() {
    if has("node") && root().join("examples/queues/pg-boss/node_modules").exists() {
        race("queues/pg-boss/racy.toml", "lost-update");
    }
}

#[test]
fn a_worker_cannot_complete_what_is_another_ones_by_then() {
    if built("queue-ours") {
        clean("queues/ours/cured.toml");
    }
}
