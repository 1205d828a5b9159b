//! What a session keeps from statement to statement, and what is known only from the server or not at all.

mod common;

use common::{Lab, conflict};
use deadheat_explore::Actor;

#[test]
fn session_locks_outlive_the_transaction() {
    let mut lab = Lab::default();
    lab.run(1, "begin", &[]);
    let takes = lab.run(1, "select pg_advisory_lock(5)", &[]);
    let commit = lab.run(1, "commit", &[]);
    let other = lab.run(2, "select pg_try_advisory_lock(5)", &[]);
    assert!(conflict(&takes, &other));
    assert!(!conflict(&commit, &other));
    let frees = lab.run(1, "select pg_advisory_unlock_all()", &[]);
    assert!(conflict(&frees, &other));
    let shared = [
        lab.run(3, "select pg_advisory_lock_shared(5)", &[]),
        lab.run(4, "select pg_advisory_lock_shared(5)", &[]),
    ];
    assert!(!conflict(&shared[0], &shared[1]));
}

#[test]
fn rolling_back_to_a_savepoint_frees_locks() {
    let mut lab = Lab::default();
    lab.run(1, "begin", &[]);
    assert!(!lab.analyst.parse("savepoint s").shared());
    lab.run(1, "savepoint s", &[]);
    lab.run(1, "select * from accounts where id = 1 for update", &[]);
    let frees = lab.run(1, "rollback to s", &[]);
    assert!(conflict(
        &frees,
        &lab.gap(2, "update accounts set balance = 0 where id = 1", &[])
    ));
    assert!(!conflict(
        &frees,
        &lab.gap(3, "update accounts set balance = 0 where id = 2", &[])
    ));
}

#[test]
fn a_trigger_that_only_reshapes_its_row_needs_no_counters() {
    let mut catalog = common::catalog();
    let audit = catalog
        .functions
        .iter_mut()
        .find(|function| function.name == "audit")
        .unwrap();
    audit.body = Some(
        "begin if new.note is null then new.note := lower('X'); end if; return new; end".into(),
    );
    let mut lab = Lab::new(catalog);
    assert!(
        lab.analyst
            .parse("update audited set note = 'x' where id = 1")
            .explained()
    );
    lab.gap(1, "update audited set note = 'x' where id = 1", &[]);
    let commit = lab.ledger.commit(1);
    assert!(
        conflict(
            &commit,
            &lab.alone("select 1 from audited where note = 'y'")
        ),
        "the trigger may have changed the note"
    );
    assert!(!conflict(
        &commit,
        &lab.alone("select 1 from audited where id = 2")
    ));
}

#[test]
fn blocks_without_a_name_are_counted_like_functions() {
    let mut lab = Lab::default();
    let block = lab
        .analyst
        .parse("do $$ begin update accounts set balance = 0; end $$");
    assert!(!block.explained() && block.shared() && !block.gap());
    let hides = lab.alone("do $$ begin perform pg_terminate_backend(1); end $$");
    assert!(conflict(&hides, &lab.alone("select * from games")));
}

#[test]
fn triggers_are_known_by_the_servers_counters_or_not_at_all() {
    let mut lab = Lab::default();
    let sql = "update audited set note = 'x' where id = 1";
    assert!(!lab.analyst.parse(sql).explained());
    let other = lab.alone("select * from games");
    assert!(
        conflict(&lab.gap(1, sql, &[]), &other),
        "without counters it may touch anything"
    );
    let row = |oid: u32, reads: u32, writes: u32| {
        [oid, reads, writes].map(|n| Some(n.to_string())).to_vec()
    };
    let probe = [row(0, 1, 0), row(140, 2, 1), row(170, 0, 1)];
    let counted = lab.with(2, sql, &[], |facts| deadheat_sql::Facts {
        open_after: true,
        probe: Some(&probe),
        ..facts
    });
    assert!(!conflict(&counted, &other));
    let commit = lab.ledger.commit(2);
    assert!(
        conflict(&commit, &lab.alone("select * from log")),
        "the trigger wrote it"
    );
}

#[test]
fn errors_free_what_was_held() {
    let mut lab = Lab::default();
    lab.run(1, "begin", &[]);
    lab.run(1, "update accounts set balance = 0 where id = 1", &[]);
    let fails = lab.with(1, "insert into games(id) values (1)", &[], |facts| {
        deadheat_sql::Facts {
            error: Some("23505"),
            ..facts
        }
    });
    let waits = lab.gap(2, "update accounts set balance = 1 where id = 1", &[]);
    assert!(conflict(&fails, &waits));
    let reads = lab.alone("select * from accounts where id = 1");
    assert!(!conflict(&fails, &reads), "nothing was published");
    assert!(!conflict(&lab.run(1, "rollback", &[]), &reads));
}

#[test]
fn partitions_are_their_table() {
    let mut lab = Lab::default();
    let part = lab.alone("update pieces_2026 set year = 2025 where id = 1");
    let whole = lab.alone("select count(*) from pieces");
    assert!(conflict(&part, &whole));
    assert_eq!(
        lab.ledger.written().tables.into_iter().collect::<Vec<_>>(),
        [150, 151]
    );
}

#[test]
fn who_takes_a_sequence_first_has_the_lower_value() {
    let mut lab = Lab::default();
    let next = [
        lab.alone("select nextval('tickets')"),
        lab.alone("select nextval('public.tickets'::regclass)"),
    ];
    assert!(conflict(&next[0], &next[1]));
    let looks = lab.alone("select last_value from tickets");
    assert!(!conflict(&looks, &looks));
    assert!(conflict(
        &next[0],
        &lab.alone("select setval('tickets', 1)")
    ));
    assert!(conflict(
        &next[0],
        &lab.alone("select last_value from tickets")
    ));
    let insert = lab.gap(1, "insert into players(nick) values ('x')", &[]);
    assert!(conflict(
        &insert,
        &lab.alone("select setval('players_id_seq', 1)")
    ));
    assert!(!conflict(
        &insert,
        &lab.alone("select setval('tickets', 1)")
    ));
}

#[test]
fn what_was_written_is_told() {
    let mut lab = Lab::default();
    lab.alone("select * from games");
    assert_eq!(lab.ledger.written(), deadheat_sql::WrittenTables::default());
    lab.alone("delete from games where id = 1");
    let written = lab.ledger.written();
    assert_eq!(
        written.tables.into_iter().collect::<Vec<_>>(),
        [100, 110, 120],
        "it cascades"
    );
    assert!(!written.everything && !written.schema);
    lab.alone("alter table games add x int");
    assert!(lab.ledger.written().schema);
}

#[test]
fn a_changed_search_path_makes_names_unknown() {
    let mut lab = Lab::default();
    lab.run(1, "set search_path to other", &[]);
    let read = lab.run(1, "select * from games", &[]);
    assert!(conflict(
        &read,
        &lab.alone("update accounts set balance = 0 where id = 1")
    ));
}

#[test]
fn table_locks_exclude_by_mode() {
    const WEAK: &str = "lock table games in share update exclusive mode";
    let mut lab = Lab::default();
    lab.run(1, "begin", &[]);
    let lock = lab.run(1, WEAK, &[]);
    assert!(!conflict(&lock, &lab.alone("select * from games")));
    let update = lab.gap(2, "update games set seats = 1 where id = 5", &[]);
    assert!(!conflict(&lock, &update));
    lab.run(3, "begin", &[]);
    let same = lab.run(3, WEAK, &[]);
    assert!(conflict(&lock, &same));
    let commit = lab.run(1, "commit", &[]);
    assert!(conflict(&commit, &same));
}

#[test]
fn setting_the_search_path_to_what_it_is_changes_nothing() {
    let mut lab = Lab::default();
    lab.run(1, "set search_path to \"$user\", public", &[]);
    let read = lab.run(1, "select * from games", &[]);
    assert!(!conflict(
        &read,
        &lab.alone("update accounts set balance = 0 where id = 1")
    ));
}

#[test]
fn the_isolation_level_is_followed_wherever_it_is_set() {
    use deadheat_sql::Isolation::{ReadCommitted, RepeatableRead, Serializable};
    let mut lab = Lab::default();
    lab.run(
        1,
        "set session characteristics as transaction isolation level serializable",
        &[],
    );
    assert_eq!(lab.ledger.isolation(&lab.analyst, 1), Serializable);
    lab.run(1, "begin", &[]);
    lab.run(
        1,
        "set default_transaction_isolation = 'read committed'",
        &[],
    );
    assert_eq!(
        lab.ledger.isolation(&lab.analyst, 1),
        Serializable,
        "this one has begun"
    );
    lab.run(1, "rollback", &[]);
    assert_eq!(lab.ledger.isolation(&lab.analyst, 1), ReadCommitted);
    lab.run(
        1,
        "set default_transaction_isolation to \"repeatable read\"",
        &[],
    );
    assert_eq!(lab.ledger.isolation(&lab.analyst, 1), RepeatableRead);
    lab.run(1, "reset all", &[]);
    assert_eq!(lab.ledger.isolation(&lab.analyst, 1), ReadCommitted);
    lab.run(1, "begin isolation level repeatable read", &[]);
    lab.run(1, "commit and chain", &[]);
    assert_eq!(lab.ledger.isolation(&lab.analyst, 1), RepeatableRead);
}

#[test]
fn accesses_are_told_in_words() {
    let mut lab = Lab::default();
    let update = lab.gap(1, "update games set status = 'done' where id = 1", &[]);
    let row = |write| ("games".to_owned(), Some("id=1".to_owned()), write);
    assert_eq!(update.accesses(), [row(false), row(true)]);
    let scan = lab.gap(2, "select count(*) from games", &[]);
    assert_eq!(scan.accesses(), [("games".to_owned(), None, false)]);
    assert_eq!(
        lab.ledger.commit(1).why(&scan).unwrap(),
        "one reads games, which the other commits"
    );
}

#[test]
fn a_commit_that_waits_looks_at_what_it_checks() {
    let mut lab = Lab::default();
    lab.run(1, "begin", &[]);
    lab.run(1, "insert into moves(player) values (7)", &[]);
    let bound = lab.bound("commit", &[]);
    let waits = lab
        .ledger
        .waiting(&lab.analyst, 1, &[bound], (Actor(0), &[Actor(1)]));
    let deletes = lab.gap(2, "delete from players where id = 7", &[]);
    assert!(conflict(&waits, &deletes));
    assert!(
        conflict(&lab.run(1, "commit", &[]), &deletes),
        "it still has to commit"
    );
}
