//! Races that a relation of conflicts must not lose, and orders it need not try.

mod common;

use common::{Lab, conflict};
use deadheat_explore::Actor;
use deadheat_sql::Footprint;

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
fn check_then_act_is_lost_in_the_commit_gap() {
    let mut lab = Lab::default();
    let sql = "insert into players(game, nick) select 1, $1 where not exists (select 1 from players where game = 1 and nick = $1)";
    let one = lab.gap(1, sql, &["ann"]);
    let two = lab.gap(2, sql, &["bob"]);
    assert_eq!(
        one.why(&two).unwrap(),
        "one moves the sequence players_id_seq that the other uses",
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
    assert!(
        conflict(&serial[0], &serial[1]),
        "generated keys differ, but who is first has the lower one"
    );
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
fn whom_a_serializable_transaction_overlaps_is_told_by_transaction_ids() {
    let mut lab = Lab::default();
    lab.run(1, "begin isolation level serializable", &[]);
    let begins = lab.run(1, "select * from accounts where id = 1", &[]);
    let ends = lab.run(1, "commit", &[]);
    // Of another level, and on another table.
    lab.run(2, "begin", &[]);
    let reads = lab.run(2, "select * from log", &[]);
    let writes = lab.run(2, "insert into log values ('x')", &[]);
    let rolls_back = lab.run(2, "rollback", &[]);
    assert!(conflict(&ends, &writes), "it gets an id");
    assert!(
        conflict(&begins, &rolls_back),
        "its id is no longer the oldest"
    );
    assert!(!conflict(&ends, &reads) && !conflict(&begins, &reads));
    lab.run(3, "begin", &[]);
    lab.run(3, "select * from log", &[]);
    assert!(
        !conflict(&begins, &lab.run(3, "commit", &[])),
        "it has no id"
    );
}

#[test]
fn who_asks_for_a_transaction_id_has_one() {
    for ask in ["select txid_current()", "select pg_current_xact_id()"] {
        let mut lab = Lab::default();
        lab.run(1, "begin isolation level serializable", &[]);
        let begins = lab.run(1, "select * from accounts where id = 1", &[]);
        let ends = lab.run(1, "commit", &[]);
        assert!(conflict(&ends, &lab.run(2, ask, &[])), "{ask} alone");
        lab.run(3, "begin", &[]);
        assert!(conflict(&ends, &lab.run(3, ask, &[])), "{ask}");
        let commits = lab.run(3, "commit", &[]);
        assert!(
            conflict(&begins, &commits),
            "its id is no longer the oldest"
        );
        let other = lab.run(4, ask, &[]);
        assert!(
            !conflict(&lab.run(5, ask, &[]), &other),
            "the order shows in the numbers alone"
        );
    }
    let mut lab = Lab::default();
    lab.run(1, "begin isolation level serializable", &[]);
    lab.run(1, "select * from accounts where id = 1", &[]);
    let ends = lab.run(1, "commit", &[]);
    let looks = lab.run(2, "select txid_current_if_assigned()", &[]);
    assert!(!conflict(&ends, &looks), "it gets none by that");
}

#[test]
fn where_rows_lie_matters_once_a_transaction_is_serializable() {
    let write = |lab: &mut Lab, session, id: &str| {
        lab.run(session, "begin", &[]);
        lab.run(
            session,
            "update accounts set balance = 0 where id = $1",
            &[id],
        )
    };
    let mut lab = Lab::default();
    let one = write(&mut lab, 1, "1");
    assert!(!conflict(&one, &write(&mut lab, 2, "2")));
    let mut lab = Lab::default();
    lab.ledger.heed_places();
    let one = write(&mut lab, 1, "1");
    assert!(conflict(&one, &write(&mut lab, 2, "2")));
    assert!(!conflict(
        &one,
        &lab.run(3, "insert into log values ('x')", &[])
    ));
}

#[test]
fn a_deferrable_transaction_waits_for_any_other() {
    let mut lab = Lab::default();
    lab.run(
        1,
        "begin isolation level serializable, read only, deferrable",
        &[],
    );
    let read = lab.run(1, "select * from log", &[]);
    assert!(conflict(&read, &lab.run(2, "select * from accounts", &[])));
    lab.run(
        3,
        "begin isolation level serializable, read only, not deferrable",
        &[],
    );
    let read = lab.run(3, "select * from log", &[]);
    assert!(!conflict(&read, &lab.run(4, "select * from accounts", &[])));
}

#[test]
fn what_may_draw_from_a_sequence_is_told_from_the_text() {
    let lab = &mut Lab::default();
    let draws = |lab: &mut Lab, sql: &str| {
        let parsed = lab.analyst.parse(sql);
        (parsed.only_draws(), parsed.may_draw())
    };
    for (sql, told) in [
        ("select nextval('moves_id_seq') > 0", (true, true)),
        ("select setval('moves_id_seq', 7) from log", (true, true)),
        ("insert into moves default values", (false, true)),
        (
            "update accounts set balance = nextval('moves_id_seq') where id = 9",
            (false, true),
        ),
        ("select not_known()", (false, true)),
        ("select * from accounts", (false, false)),
        (
            "update accounts set balance = 0 where id = 9",
            (false, false),
        ),
    ] {
        assert_eq!(draws(lab, sql), told, "{sql}");
    }
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
fn an_attempt_that_waits_is_an_event() {
    let mut lab = Lab::default();
    lab.gap(
        1,
        "update games set status = 'done' where status = 'new'",
        &[],
    );
    let bound = lab.bound("update games set status = 'old' where status = 'new'", &[]);
    let waits = lab
        .ledger
        .waiting(&lab.analyst, 2, &[bound], (Actor(1), &[Actor(0)]));
    assert!(conflict(&waits, &Footprint::woken(Actor(1))));
    assert!(!conflict(&waits, &Footprint::woken(Actor(2))));
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

#[test]
fn a_table_lock_meets_whoever_may_have_prepared_to_use_the_table() {
    let mut lab = Lab::default();
    lab.run(1, "begin", &[]);
    lab.run(2, "begin", &[]);
    let other = lab.run(2, "select * from players where id = 1", &[]);
    let lock = lab.run(1, "lock table games in share mode", &[]);
    assert!(
        conflict(&lock, &other),
        "the other may have sent a Parse behind it, which locks its tables and is no step"
    );
    let rolled_back = lab.run(1, "rollback", &[]);
    assert!(conflict(&rolled_back, &other));
    let weak = lab.run(3, "lock table games in row exclusive mode", &[]);
    assert!(!conflict(&weak, &other));
}
