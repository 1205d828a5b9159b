//! The promises of this crate, each searched for an order of statements that breaks it, with the program of this
//! workspace; and the same without the cure, which must be found.
//!
//! The commands are in `examples/promises`. They take their leases for no time at all, so that the order of
//! statements is all that matters.
#![allow(missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use serde_json::Value;
use tempfile::TempDir;

/// What several commands do at once, and what must be true then.
struct Promise {
    /// The start, besides the tables of the cures.
    sql: &'static str,
    /// The commands; `[racy]` is filled in, or left out.
    commands: &'static [&'static str],
    check: &'static str,
    /// The verdict without the cure.
    broken: &'static str,
}

const OBJECT: &str = "create table objects (id int primary key, n int not null default 0,
    leased_until timestamptz, fence bigint not null default 0, version bigint not null default 0);
    insert into objects (id) values (1);
    create table results (token bigint not null);";

const DEMANDS: &str =
    "create table demands (id int generated always as identity primary key, state text not null);
    insert into cure.tasks (queue, kind, payload, unique_key, max_attempts, due)
    values ('default', 'publish', '{}', 'publish', 10, '2000-01-01')";

/// One task, who has begun it, and where its result goes.
const TASK: &str = "create table began (token bigint not null); create table results (token bigint not null);
    insert into cure.tasks (queue, kind, payload, max_attempts, due) values ('default', 'x', '{}', 10, '2000-01-01')";

const COUNTER: &str =
    "create table counter (id int primary key, n int not null); insert into counter values (1, 0);
    create table letters (id int generated always as identity primary key)";

/// A program of this workspace, which is built if it is not there: `package` says how.
fn built(path: &str, package: [&str; 4]) -> PathBuf {
    let me = std::env::current_exe().expect("a test is a program");
    let folder = me
        .parent()
        .and_then(Path::parent)
        .expect("target/debug/deps");
    let found = folder.join(path);
    if !found.exists() {
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(other) => other,
        };
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        build.args(["build", "--profile", profile]).args(package);
        let built = build.status();
        assert!(
            built.as_ref().is_ok_and(ExitStatus::success) && found.exists(),
            "{} is not there, and {build:?} does not make it: {built:?}",
            found.display()
        );
    }
    found
}

/// What `deadheat find` says of a promise: its JSON, and all of it in words.
fn search(promise: &Promise, racy: bool) -> (Value, String) {
    let deadheat = built("deadheat", ["--package", "deadheat", "--bin", "deadheat"]);
    let promises = built(
        "examples/promises",
        ["--package", "deadheat-cure", "--example", "promises"],
    );
    let folder = TempDir::new().expect("a temporary folder");
    std::fs::write(folder.path().join("cure.sql"), deadheat_cure::schema::sql()).expect("a file");
    let quoted = |text: &str| serde_json::to_string(text).expect("a text");
    let mut scenario = format!(
        "[database]\nengine = \"postgres\"\nsetup = [\"cure.sql\"]\nsql = {}\n[explore]\ntime = \"5m\"\n[check]\n{}\n",
        quoted(promise.sql),
        promise.check
    );
    for (number, command) in promise.commands.iter().enumerate() {
        let words = command.replace("[racy]", if racy { "racy" } else { "" });
        let run = format!("{} {}", promises.display(), words.trim());
        let actor = format!("[[actor]]\nname = \"{number}\"\nrun = {}\n", quoted(&run));
        scenario += &actor;
    }
    std::fs::write(folder.path().join("promise.toml"), scenario).expect("a file");
    let mut find = Command::new(deadheat);
    find.args(["find", "--json", "promise.toml"])
        .env("NO_COLOR", "1")
        .current_dir(folder.path());
    let output = find.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let why = format!("{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let json = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}\n{why}"));
    (json, why)
}

/// All orders keep the promise; without the cure, one that breaks it is found.
#[track_caller]
fn holds(promise: &Promise) {
    let (cured, why) = search(promise, false);
    assert_eq!(cured["verdict"], "clean", "{why}");
    assert_eq!(cured["exhausted"], true, "{why}");
    let (racy, why) = search(promise, true);
    assert_eq!(racy["verdict"], promise.broken, "{why}");
}

#[test]
fn a_transaction_that_loses_is_tried_again() {
    holds(&Promise {
        sql: COUNTER,
        commands: &["count [racy]", "count [racy]"],
        check: "",
        broken: "race",
    });
}

#[test]
fn an_effect_happens_once() {
    holds(&Promise {
        sql: COUNTER,
        commands: &["mail [racy]", "mail [racy]"],
        check: "serial = false
                invariants.once = \"select (select count(*) from letters) = (select n from counter)\"",
        broken: "race",
    });
}

#[test]
fn an_effect_happens_after_the_commit() {
    holds(&Promise {
        sql: COUNTER,
        commands: &["mail [racy]", "count"],
        check: "serial = false
                [check.invariants.after]
                sql = \"select (select count(*) from letters) <= (select n from counter)\"
                each_commit = true",
        // Without anybody else, too.
        broken: "bug",
    });
}

#[test]
fn of_two_who_claim_a_lease_one_gets_it() {
    holds(&Promise {
        sql: OBJECT,
        commands: &["calculate [racy]", "calculate [racy]"],
        check: "invariants.one = \"select count(*) = 1 from results\"",
        broken: "race",
    });
}

#[test]
fn an_earlier_holder_writes_nothing_after_a_later_one() {
    holds(&Promise {
        sql: OBJECT,
        commands: &["fence [racy]", "fence [racy]"],
        check: "serial = false
                invariants.order = \"select n >= (select coalesce(max(token), 0) from results) from objects\"",
        broken: "race",
    });
}

#[test]
fn a_version_is_written_once() {
    holds(&Promise {
        sql: OBJECT,
        commands: &["edit [racy]", "edit [racy]"],
        check: "serial = false
                invariants.all = \"select n = (select count(*) from results) from objects\"",
        broken: "race",
    });
}

#[test]
fn a_worker_that_lost_its_task_cannot_complete_it() {
    holds(&Promise {
        sql: TASK,
        commands: &["work [racy]", "work [racy]"],
        check: "serial = false
                invariants.once = \"select count(*) <= 1 from results\"",
        broken: "race",
    });
}

#[test]
fn a_worker_that_lost_its_task_cannot_fail_it() {
    holds(&Promise {
        sql: TASK,
        commands: &["work", "give-up [racy]"],
        check: "serial = false
                invariants.had = \"select not exists (select from cure.tasks join began on token = fence)\"",
        broken: "race",
    });
}

#[test]
fn a_unique_task_sees_all_that_it_stands_for() {
    holds(&Promise {
        sql: DEMANDS,
        commands: &["publish [racy]", "drain"],
        check: "serial = false
                invariants.none = \"select not exists (select from demands where state = 'open') or exists (select from cure.tasks)\"",
        broken: "race",
    });
}

#[test]
fn a_task_does_not_run_before_what_it_is_about_is_there() {
    holds(&Promise {
        sql: "create table demands (id int generated always as identity primary key, state text not null)",
        commands: &["open [racy]", "drain"],
        check: "serial = false
                invariants.none = \"select not exists (select from demands where state = 'open') or exists (select from cure.tasks)\"",
        broken: "race",
    });
}

#[test]
fn an_actor_checks_and_acts_alone() {
    holds(&Promise {
        sql: "insert into cure.actors (kind, id, state) values ('account', 'ann', '{\"balance\": 100}')",
        commands: &["pay [racy]", "pay [racy]"],
        check: "serial = false
                invariants.all = \"select (state->>'balance')::int + 60 * (select count(*) from cure.tasks) = 100 from cure.actors\"",
        broken: "race",
    });
}

#[test]
fn a_transaction_of_sqlx_that_loses_is_tried_again() {
    holds(&Promise {
        sql: COUNTER,
        commands: &["sqlx-count [racy]", "sqlx-count [racy]"],
        check: "",
        broken: "race",
    });
}

#[test]
fn an_earlier_holder_writes_nothing_over_sqlx_after_a_later_one() {
    holds(&Promise {
        sql: OBJECT,
        commands: &["sqlx-fence [racy]", "fence [racy]"],
        check: "serial = false
                invariants.order = \"select n >= (select coalesce(max(token), 0) from results) from objects\"",
        broken: "race",
    });
}

#[test]
fn a_version_is_written_once_by_either_driver() {
    holds(&Promise {
        sql: OBJECT,
        commands: &["sqlx-edit [racy]", "edit [racy]"],
        check: "serial = false
                invariants.all = \"select n = (select count(*) from results) from objects\"",
        broken: "race",
    });
}

#[test]
fn a_task_of_a_callers_own_transaction_does_not_run_before_it() {
    holds(&Promise {
        sql: "create table demands (id int generated always as identity primary key, state text not null)",
        commands: &["sqlx-open [racy]", "drain"],
        check: "serial = false
                invariants.none = \"select not exists (select from demands where state = 'open') or exists (select from cure.tasks)\"",
        broken: "race",
    });
}
