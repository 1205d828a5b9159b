//! Races that a relation of conflicts must not lose, and orders it need not try.

mod common;

use common::{Lab, conflict};

#[test]
fn write_skew_where_both_add_up_and_each_updates_its_own_row() {
    let mut lab = Lab::default();
    for session in [1, 2] {
        lab.run(session, "begin", &[]);
    }
    let sum = "select sum(balance) from accounts where owner = $1";
    let owner = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    let read_one = lab.run(1, sum, &[owner]);
    let read_two = lab.run(2, sum, &[owner]);
    let write_one = lab.run(
        1,
        "update accounts set balance = balance - 100 where id = $1",
        &["1"],
    );
    let write_two = lab.run(
        2,
        "update accounts set balance = balance - 100 where id = $1",
        &["2"],
    );
    let commit_one = lab.run(1, "commit", &[]);
    assert!(!conflict(&read_one, &read_two));
    assert!(!conflict(&write_one, &write_two), "different rows");
    assert!(!conflict(&read_two, &write_one), "not visible yet");
    assert!(
        conflict(&read_two, &commit_one),
        "the aggregate reads what the commit publishes"
    );
}

#[test]
fn a_view_is_its_base_tables() {
    let mut lab = Lab::default();
    let reader = lab.alone("select * from open_games where id = 1");
    let base = lab.alone("insert into players(game, nick) values (1, 'x')");
    assert!(conflict(&reader, &base));
    let elsewhere = lab.alone("update accounts set balance = 1 where id = 1");
    assert!(!conflict(&reader, &elsewhere));
}

#[test]
fn select_for_update_excludes_writers_of_its_row_only() {
    let mut lab = Lab::default();
    lab.run(1, "begin", &[]);
    let locks = lab.run(1, "select * from accounts where id = 1 for update", &[]);
    let same = lab.gap(2, "update accounts set balance = 0 where id = 1", &[]);
    let other = lab.gap(3, "update accounts set balance = 0 where id = 2", &[]);
    assert!(conflict(&locks, &same));
    assert!(!conflict(&locks, &other));
    let frees = lab.run(1, "rollback", &[]);
    assert!(conflict(&frees, &same), "it waits until the lock is freed");
    let skips = lab.gap(
        4,
        "select * from accounts order by id limit 1 for update skip locked",
        &[],
    );
    assert!(
        conflict(&frees, &skips),
        "what is skipped depends on what is locked"
    );
}

#[test]
fn advisory_locks_in_opposite_order_by_parameter() {
    let mut lab = Lab::default();
    let lock = "select pg_advisory_xact_lock($1)";
    for session in [1, 2] {
        lab.run(session, "begin", &[]);
    }
    let one_a = lab.run(1, lock, &["1"]);
    let two_b = lab.run(2, lock, &["2"]);
    let one_b = lab.run(1, lock, &["2"]);
    let two_a = lab.run(2, lock, &["1"]);
    assert!(!conflict(&one_a, &two_b));
    assert!(conflict(&one_a, &two_a));
    assert!(conflict(&one_b, &two_b));
    let commit = lab.run(1, "commit", &[]);
    assert!(conflict(&commit, &two_a), "it frees the lock");
    let hashed = lab.run(3, "select pg_advisory_lock(hashtext('x'))", &[]);
    assert!(conflict(&hashed, &one_a), "which lock it is is not known");
    let pair = lab.run(4, "select pg_advisory_lock(1, 1)", &[]);
    assert!(!conflict(&pair, &one_a), "pairs are locks of their own");
}

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
fn a_child_waits_for_what_happens_to_its_parent() {
    let mut lab = Lab::default();
    let child = lab.gap(
        1,
        "insert into players(game, nick) values ($1, $2)",
        &["1", "ann"],
    );
    let delete = lab.gap(2, "delete from games where id = 1", &[]);
    let touch = lab.gap(3, "update games set seats = 4 where id = 1", &[]);
    let other = lab.gap(5, "select * from games where id = 2 for update", &[]);
    let rename = lab.gap(4, "update games set id = 9 where id = 1", &[]);
    assert!(conflict(&child, &delete));
    assert!(
        !conflict(&child, &touch),
        "FOR KEY SHARE does not mind an update of other columns"
    );
    assert!(conflict(&child, &rename));
    assert!(conflict(&lab.ledger.commit(2), &child));
    assert!(!conflict(&child, &other));
    let again = lab.gap(6, "select * from games where id = 2 for update", &[]);
    assert!(
        conflict(&again, &child),
        "since a statement changes ids, ids no longer tell rows apart"
    );
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
fn check_then_act_is_lost_in_the_commit_gap() {
    let mut lab = Lab::default();
    let sql = "insert into players(game, nick) select 1, $1 where not exists (select 1 from players where game = 1 and nick = $1)";
    let one = lab.gap(1, sql, &["ann"]);
    let two = lab.gap(2, sql, &["bob"]);
    assert!(
        !conflict(&one, &two),
        "neither sees the other's row, and their keys differ"
    );
    let commit = lab.ledger.commit(1);
    let three = lab.gap(3, sql, &["ann"]);
    assert!(conflict(&three, &commit));
    assert!(!conflict(&two, &commit), "bob is not ann");
    let counts = lab.gap(4, "insert into players(game, nick) select 1, 'x' where (select count(*) from players where game = 1) < 4", &[]);
    assert!(conflict(&counts, &commit));
    let elsewhere = lab.gap(5, "select count(*) from players where game = 2", &[]);
    assert!(!conflict(&elsewhere, &commit));
}

#[test]
fn plain_inserts_exclude_each_other_by_key_alone() {
    let mut lab = Lab::default();
    let row =
        |id: &str, email: &str| format!("insert into accounts(id, email) values ({id}, {email})");
    let one = lab.gap(1, &row("1", "'a'"), &[]);
    let two = lab.gap(2, &row("2", "'b'"), &[]);
    let same_id = lab.gap(3, &row("1", "'c'"), &[]);
    let same_email = lab.gap(4, &row("4", "'a'"), &[]);
    let unknown = lab.gap(5, &row("5", "lower('A')"), &[]);
    let no_email = [
        lab.gap(6, &row("6", "null"), &[]),
        lab.gap(7, &row("7", "null"), &[]),
    ];
    assert!(!conflict(&one, &two));
    assert!(conflict(&one, &same_id));
    assert!(conflict(&one, &same_email));
    assert!(conflict(&one, &unknown));
    assert!(!conflict(&no_email[0], &no_email[1]), "NULLs are not equal");
    let serial = [
        lab.gap(8, "insert into moves default values", &[]),
        lab.gap(9, "insert into moves default values", &[]),
    ];
    assert!(!conflict(&serial[0], &serial[1]), "generated keys differ");
}

#[test]
fn a_snapshot_depends_on_every_commit_before_it() {
    let mut lab = Lab::default();
    lab.run(1, "begin isolation level repeatable read", &[]);
    let first = lab.run(1, "select 1 from games", &[]);
    let second = lab.run(1, "select * from accounts", &[]);
    lab.gap(2, "update accounts set balance = 0 where id = 1", &[]);
    let commit = lab.ledger.commit(2);
    assert!(conflict(&first, &commit));
    assert!(!conflict(&second, &commit), "it reads as of the snapshot");
    lab.run(3, "begin", &[]);
    lab.run(3, "set transaction isolation level repeatable read", &[]);
    assert!(conflict(&lab.run(3, "select 1 from games", &[]), &commit));
}

#[test]
fn serializable_reads_notice_writes_at_once() {
    let mut lab = Lab::default();
    for session in [1, 2] {
        lab.run(session, "begin isolation level serializable", &[]);
    }
    let read = lab.run(1, "select * from accounts where id = 1", &[]);
    let write = lab.run(2, "update accounts set balance = 0 where id = 2", &[]);
    assert!(
        conflict(&read, &write),
        "predicate locks can be coarser than rows"
    );
    let elsewhere = lab.run(2, "insert into log values ('x')", &[]);
    assert!(!conflict(&read, &elsewhere));
    let commit = lab.run(2, "commit", &[]);
    assert!(conflict(&read, &commit));
}

#[test]
fn deferred_foreign_keys_are_checked_at_commit() {
    let mut lab = Lab::default();
    lab.run(1, "begin", &[]);
    lab.run(1, "insert into moves(player) values (7)", &[]);
    let commit = lab.run(1, "commit", &[]);
    lab.gap(2, "delete from players where id = 7", &[]);
    let deleted = lab.ledger.commit(2);
    assert!(conflict(&commit, &deleted));
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
fn an_attempt_that_waits_is_an_event() {
    let mut lab = Lab::default();
    lab.gap(
        1,
        "update games set status = 'done' where status = 'new'",
        &[],
    );
    let bound = lab.bound("update games set status = 'old' where status = 'new'", &[]);
    let waits = lab.ledger.waiting(&lab.analyst, 2, &[bound], &[1]);
    assert!(conflict(&waits, &lab.ledger.woken(2)));
    assert!(!conflict(&waits, &lab.ledger.woken(3)));
    let commit = lab.ledger.commit(1);
    assert!(
        conflict(&waits, &commit),
        "sent before the commit it updates other rows than sent after it"
    );
    assert!(
        lab.ledger.rollback(2).is_nothing(),
        "the attempt holds nothing yet"
    );
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
fn sequences_are_taken_in_any_order_and_set_in_one() {
    let mut lab = Lab::default();
    let next = [
        lab.alone("select nextval('tickets')"),
        lab.alone("select nextval('public.tickets'::regclass)"),
    ];
    assert!(!conflict(&next[0], &next[1]));
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
fn joins_carry_constants_to_the_other_table() {
    let mut lab = Lab::default();
    let join =
        lab.alone("select * from games g left join players p on p.game = g.id where g.id = 1");
    let here = lab.alone("insert into players(game, nick) values (1, 'x')");
    let there = lab.alone("insert into players(game, nick) values (2, 'x')");
    assert!(conflict(&join, &here));
    assert!(!conflict(&join, &there));
    // Here ON looks at the left side alone: it accepts rows of players that it does not hold for.
    let wide = lab.alone(
        "select * from games g, players p left join accounts a on p.game = g.id where g.id = 1",
    );
    assert!(conflict(&wide, &there));
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
    let mut lab = Lab::default();
    lab.run(1, "begin", &[]);
    let lock = lab.run(1, "lock table games in share row exclusive mode", &[]);
    assert!(!conflict(&lock, &lab.alone("select * from games")));
    assert!(conflict(
        &lock,
        &lab.gap(2, "update games set seats = 1 where id = 5", &[])
    ));
    let commit = lab.run(1, "commit", &[]);
    assert!(conflict(
        &commit,
        &lab.gap(3, "update games set seats = 1 where id = 6", &[])
    ));
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
fn an_insert_waits_for_whoever_changes_the_row_that_has_its_key() {
    let mut lab = Lab::default();
    let change = lab.gap(1, "update accounts set balance = 0 where id = 1", &[]);
    let insert = lab.gap(
        2,
        "insert into accounts(id) values (1) on conflict do nothing",
        &[],
    );
    let other = lab.gap(
        3,
        "insert into accounts(id) values (2) on conflict do nothing",
        &[],
    );
    assert!(conflict(&change, &insert));
    assert!(!conflict(&change, &other));
    assert!(conflict(&lab.ledger.rollback(1), &insert));
    let another = lab.gap(4, "update accounts set balance = 0 where id = 2", &[]);
    assert!(
        !conflict(&change, &another),
        "whatever their e-mail addresses are"
    );
}
