//! Locks that a transaction has already: taking them again is no access, unless it is not certain that it has them.

mod common;

use common::{Lab, conflict};
use deadheat_explore::Actor;
use deadheat_sql::{Facts, Footprint};

const LOCK: &str = "select * from games where id = 1 for update";
const UPDATE: &str = "update games set seats = 3 where id = 1";

/// Runs a statement that the server answers with this tag.
fn told(lab: &mut Lab, session: u32, sql: &str, tag: &str) -> Footprint {
    let tags = [tag.to_owned()];
    lab.with(session, sql, &[], |facts| Facts {
        tags: &tags,
        ..facts
    })
}

/// What a session does second in a transaction whose first statement was answered with this tag, and whether an
/// attempt of another session on game 1 minds when it is done.
fn minds(first: &str, tag: &str, second: &str) -> bool {
    let mut lab = Lab::default();
    lab.run(1, "begin", &[]);
    let locks = told(&mut lab, 1, first, tag);
    let again = lab.run(1, second, &[]);
    let attempt = lab.bound(LOCK, &[]);
    let attempt = lab
        .ledger
        .waiting(&lab.analyst, 2, &[attempt], (Actor(1), &[Actor(0)]));
    assert!(conflict(&locks, &attempt), "who is first has the row");
    let frees = lab.run(1, "commit", &[]);
    assert!(conflict(&frees, &attempt), "it lets the other go on");
    conflict(&again, &attempt)
}

#[test]
fn a_row_that_is_locked_already_is_not_locked_again() {
    assert!(!minds(LOCK, "SELECT 1", UPDATE));
    assert!(!minds(
        LOCK,
        "SELECT 1",
        "insert into players(game, nick) values (1, 'ann')"
    ));
    assert!(!minds(
        UPDATE,
        "UPDATE 1",
        "update games set seats = 2 where id = 1 and seats = 3"
    ));
}

#[test]
fn a_row_that_was_not_found_is_not_locked() {
    assert!(minds(LOCK, "SELECT 0", UPDATE));
    assert!(minds(UPDATE, "UPDATE 0", UPDATE));
}

#[test]
fn a_weaker_lock_is_no_stronger_one() {
    let share = "select * from games where id = 1 for share";
    assert!(minds(share, "SELECT 1", UPDATE));
    let key = "update games set id = 1 where id = 1";
    assert!(
        minds(key, "UPDATE 1", LOCK),
        "the key's value may be what it was: then only the row is locked, not its key"
    );
}

#[test]
fn what_is_found_in_a_nested_query_says_nothing() {
    let with = "with g as (select * from games where id = 1 for update) select 1";
    assert!(minds(with, "SELECT 1", UPDATE));
    let join =
        "select * from games g left join players p on p.game = g.id where g.id = 1 for update of g";
    assert!(minds(join, "SELECT 1", UPDATE));
    let open = "select * from games where status = 'open' and seats = 4 for update";
    assert!(
        minds(open, "SELECT 1", UPDATE),
        "which game it is is not known"
    );
}

#[test]
fn a_lock_ends_with_its_savepoint_and_its_transaction() {
    for end in ["rollback to s", "commit"] {
        let mut lab = Lab::default();
        for sql in ["begin", "savepoint s"] {
            lab.run(1, sql, &[]);
        }
        told(&mut lab, 1, LOCK, "SELECT 1");
        lab.run(1, end, &[]);
        let again = lab.run(1, UPDATE, &[]);
        let other = lab.gap(2, LOCK, &[]);
        assert!(conflict(&again, &other), "after {end}");
    }
}

/// What the ROLLBACK touches of a transaction that has locked a row, done this, and then failed.
fn left_after_an_error(done: &str) -> Footprint {
    let mut lab = Lab::default();
    lab.run(1, "begin", &[]);
    if done.starts_with("savepoint") {
        lab.run(1, done, &[]);
        lab.run(1, UPDATE, &[]);
    } else {
        lab.run(1, done, &[]);
    }
    let fails = lab.with(1, "select * from players", &[], |facts| Facts {
        error: Some("40P01"),
        ..facts
    });
    let locks = lab.gap(2, LOCK, &[]);
    assert!(conflict(&fails, &locks), "the error frees the row");
    lab.run(1, "rollback", &[])
}

#[test]
fn an_error_ends_the_transaction_and_the_rollback_says_so() {
    assert!(left_after_an_error(UPDATE).is_nothing());
    assert!(!left_after_an_error("savepoint here").is_nothing());
}
