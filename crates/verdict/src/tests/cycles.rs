//! Names of cycles, on runs made for them.

use deadheat_explore::Actor;

use super::story::Story;
use crate::anomaly::name;
use crate::graph::{Dependency, Edge, cycle, edges, transactions};
use crate::{Anomaly, Kind};

fn named(story: Story) -> (Option<Anomaly>, Kind) {
    let record = story.done();
    let cycle = cycle(&edges(&record), &[]).expect("a cycle");
    name(&record, &cycle)
}

fn read(story: Story, actor: u16, row: &str) -> Story {
    story
        .sql(actor, &format!("begin; select n from t where {row}"))
        .reads("t", Some(row))
        .gives("n", "1")
}

fn write(story: Story, actor: u16, row: &str) -> Story {
    let sql = format!("update t set n = 5 where {row}");
    story
        .sql(actor, &sql)
        .inside()
        .writes("t", Some(row), "UPDATE 1")
}

#[test]
fn each_reads_the_row_that_the_other_writes() {
    let story = read(read(Story::of(&["a", "b"]), 0, "id=1"), 1, "id=2");
    let story = write(write(story, 0, "id=2"), 1, "id=1")
        .commit(0)
        .commit(1);
    assert_eq!(named(story), (Some(Anomaly::G2Item), Kind::WriteSkew));
}

#[test]
fn the_same_scan_sees_a_row_appear() {
    let scan = |story: Story, n: &str| {
        story
            .sql(0, "select count(*) from t")
            .inside()
            .reads("t", None)
            .gives("count", n)
    };
    let story = scan(Story::of(&["a", "b"]), "0").sql(1, "insert into t values (3)");
    let story = scan(story.writes("t", None, "INSERT 0 1").gap(1), "1").commit(0);
    assert_eq!(named(story), (Some(Anomaly::Pmp), Kind::ReadSkew));
}

#[test]
fn a_row_is_read_between_two_writes_of_one_actor() {
    let wrote = |story: Story, sql: &str| {
        story
            .sql(1, sql)
            .writes("t", Some("id=1"), "UPDATE 1")
            .gap(1)
    };
    let story = || {
        let story = wrote(Story::of(&["a", "b"]), "update t set n = 101 where id = 1");
        let story = story
            .sql(0, "select n from t where id = 1")
            .reads("t", Some("id=1"))
            .gives("n", "101");
        wrote(story, "update t set n = 11 where id = 1")
    };
    assert_eq!(named(story()), (Some(Anomaly::G1b), Kind::DirtyRead));
    let failed = story().told(1, "POST /pay", 402, "{}");
    assert_eq!(named(failed), (Some(Anomaly::G1a), Kind::DirtyRead));
}

#[test]
fn what_was_seen_vanishes() {
    let story = Story::of(&["a", "b"])
        .sql(0, "select n from t where id = 1")
        .reads("t", Some("id=1"))
        .gives("n", "2")
        .sql(0, "select n from t where id = 2")
        .reads("t", Some("id=2"))
        .gives("n", "1");
    let record = story.done();
    let edge =
        |kind, (from, from_step): (u16, usize), (to, to_step): (u16, usize), row: &str| Edge {
            from: Actor(from),
            to: Actor(to),
            kind,
            from_step,
            to_step,
            committed: 2,
            table: "t".to_owned(),
            row: Some(row.to_owned()),
            predicate: false,
        };
    // No database with snapshots lets it happen.
    let cycle = [
        edge(Dependency::Wr, (1, 2), (0, 0), "id=1"),
        edge(Dependency::Rw, (0, 1), (1, 2), "id=2"),
    ];
    assert_eq!(name(&record, &cycle), (Some(Anomaly::Otv), Kind::ReadSkew));
}

#[test]
fn half_of_each_ones_writes_survives() {
    let wrote = |story: Story, actor, row| {
        story
            .sql(actor, &format!("update t set n = {actor} where {row}"))
            .writes("t", Some(row), "UPDATE 1")
            .gap(actor)
    };
    let story = wrote(wrote(Story::of(&["a", "b"]), 0, "id=1"), 1, "id=1");
    let story = wrote(wrote(story, 1, "id=2"), 0, "id=2");
    assert_eq!(named(story), (Some(Anomaly::G0), Kind::LostUpdate));
}

#[test]
fn a_snapshot_sees_no_row_appear() {
    let scan = |story: Story| {
        let story = story
            .sql(0, "select count(*) from t")
            .inside()
            .level("repeatable read");
        story.reads("t", None).gives("count", "0")
    };
    let story = scan(Story::of(&["a", "b"])).sql(1, "insert into t values (3)");
    let record = scan(story.writes("t", None, "INSERT 0 1").gap(1))
        .commit(0)
        .done();
    assert_eq!(cycle(&edges(&record), &[]), None);
}

#[test]
fn three_in_a_ring() {
    let mut story = Story::of(&["a", "b", "c"]);
    for actor in 0..3 {
        story = read(story, actor, &format!("id={}", actor + 1));
    }
    for actor in 0..3 {
        story = write(story, actor, &format!("id={}", (actor + 1) % 3 + 1));
    }
    let record = story.commit(0).commit(1).commit(2).done();
    let ring = cycle(&edges(&record), &[]).unwrap();
    assert_eq!(ring.len(), 3);
    assert!(ring.iter().all(|e| e.kind == Dependency::Rw));
    assert_eq!(
        name(&record, &ring),
        (Some(Anomaly::G2Item), Kind::WriteSkew)
    );
}

#[test]
fn a_counter_that_counts_by_itself_loses_nothing() {
    let add = |story: Story, actor| {
        story
            .sql(actor, "update t set n = n + 1 where id = 1")
            .writes("t", Some("id=1"), "UPDATE 1")
    };
    let story = add(Story::of(&["a", "b"]), 0);
    let record = add(story, 1)
        .blocked_by(&[0])
        .gap(0)
        .wakes(&[1])
        .gap(1)
        .done();
    assert_eq!(cycle(&edges(&record), &[]), None);
}

#[test]
fn a_locked_read_is_no_stale_read() {
    let lock = |story: Story, actor| {
        story
            .sql(actor, "begin; select n from t where id = 1 for update")
            .touches("t", Some("id=1"), true)
            .gives("n", "1")
    };
    let story = lock(lock(Story::of(&["a", "b"]), 0), 1).blocked_by(&[0]);
    let story = write(story, 0, "id=1").commit(0).wakes(&[1]);
    let record = write(story, 1, "id=1").commit(1).done();
    assert_eq!(cycle(&edges(&record), &[]), None);
}

#[test]
fn what_was_rolled_back_never_happened() {
    let story = write(read(Story::of(&["a", "b"]), 0, "id=1"), 0, "id=1");
    let record = story.sql(0, "commit").inside().tag("ROLLBACK").done();
    let all = transactions(&record);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].committed, None);
}

/// Accesses as statements give them: conditions, not rows.
#[test]
fn conditions_meet_unless_some_column_differs() {
    let seat = |story: Story, actor: u16, game: &str, nick: &str| {
        let of = format!("game={game}");
        let row = format!("game={game} and nick={nick}");
        story
            .sql(actor, "select count(*) from players where game = $1")
            .reads("players", Some(&of))
            .gives("count", "3")
            .sql(actor, "insert into players(game, nick) values ($1, $2)")
            .param(nick)
            .writes("players", Some(&row), "INSERT 0 1")
    };
    let both = |other: &str| {
        let story = seat(seat(Story::of(&["a", "b"]), 0, "1", "ben"), 1, other, "p1");
        let record = story
            .gap(0)
            .touches("players", None, true)
            .gap(1)
            .touches("players", None, true)
            .done();
        cycle(&edges(&record), &[]).map(|cycle| name(&record, &cycle))
    };
    assert_eq!(both("1"), Some((Some(Anomaly::G2), Kind::CheckThenAct)));
    assert_eq!(both("2"), None, "another game has its own seats");
}

#[test]
fn an_update_reads_what_it_locks() {
    let add = |story: Story, actor| {
        let story = story.sql(actor, "update t set n = n + 1 where id = 1");
        story
            .reads("t", Some("id=1"))
            .writes("t", Some("id=1"), "UPDATE 1")
    };
    let story = add(add(Story::of(&["a", "b"]), 0), 1).blocked_by(&[0]);
    let record = story.gap(0).wakes(&[1]).gap(1).done();
    assert_eq!(cycle(&edges(&record), &[]), None);
}

#[test]
fn an_insert_with_a_condition_reads_before_it_writes() {
    let once = "insert into member (nick) select 'ben' where not exists (select from member where nick = 'ben')";
    let add = |story: Story, actor| {
        let story = story.sql(actor, once).reads("member", Some("nick=ben"));
        story.writes("member", Some("nick=ben"), "INSERT 0 1")
    };
    let story = add(add(Story::of(&["a", "b"]), 0), 1).gap(1).gap(0);
    assert_eq!(named(story), (Some(Anomaly::G2), Kind::DuplicateInsert));
}

#[test]
fn a_function_reads_what_is_there_when_it_is_called() {
    let call = |story: Story, actor| {
        let story = story.sql(actor, "select add_one()").reads("counter", None);
        story.touches("counter", None, true).gives("add_one", "1")
    };
    let story = call(call(Story::of(&["a", "b"]), 0), 1).blocked_by(&[0]);
    let story = story.gap(0).wakes(&[1]).gap(1);
    assert_eq!(named(story), (Some(Anomaly::P4), Kind::LostUpdate));
}

#[test]
fn a_table_made_in_the_run_is_known_by_its_name_alone() {
    let visit = |story: Story, actor| {
        let sql = "begin; select n from visits where page = 'home'";
        story.sql(actor, sql).gives("n", "0")
    };
    let count = |story: Story, actor| {
        let story = story.sql(actor, "update visits set n = $1 where page = 'home'");
        story.param("1").inside().tag("UPDATE 1").commit(actor)
    };
    let story = visit(visit(Story::of(&["a", "b"]), 0), 1);
    let story = count(count(story, 1), 0);
    assert_eq!(named(story), (Some(Anomaly::P4), Kind::LostUpdate));
}
