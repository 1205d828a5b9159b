//! Two commands, one in Python and one in Node, that open a pool of their own and make their table if it is missing:
//! the schema changes inside a run, and a fresh copy of the database puts it back.
#![allow(missing_docs)]

mod common;

use common::{Bench, example, has, verdict};

#[test]
fn two_commands_lose_a_visit_in_a_table_that_was_not_there() {
    if !(has("python3") && has("node")) {
        return;
    }
    let bench = Bench::new();
    let (said, json) = bench.find(&example("commands/racy.toml"), &[]);
    assert_eq!(verdict(&json).0, "race", "{}\n{}", said.out, said.err);
    let race = bench.race(&json);
    let replay = bench.run(["replay", "--times", "3", race.to_str().expect("UTF-8")]);
    assert_eq!(replay.code, 1, "{}\n{}", replay.out, replay.err);
}

#[test]
fn behind_a_lock_every_visit_counts() {
    if !(has("python3") && has("node")) {
        return;
    }
    let (said, json) = Bench::new().find(&example("commands/cured.toml"), &[]);
    assert_eq!(verdict(&json).0, "clean", "{}\n{}", said.out, said.err);
    assert_eq!(json["exhausted"], true);
}
