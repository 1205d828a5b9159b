//! What is said of a race besides its name: what differs, what is not known, what happened in a shop.

use super::judged::{oracle, race};
use super::races;
use super::story::Story;
use crate::{Judgement, Kind, Rules};

#[test]
fn rows_that_changed_stand_beside_what_they_should_be() {
    let end = |rows: &[&[&str]]| {
        Story::of(&["ben", "amy"])
            .table("t", &["id", "v", "note"], rows)
            .done()
    };
    let serial = |_: u16| end(&[&["1", "2", "x"], &["2", "5", "y"]]);
    let now = end(&[
        &["9", "9", "z"],
        &["2", "6", "y"],
        &["1", "1", "x"],
        &["9", "9", "z"],
    ]);
    let finding = race(oracle(Rules::default(), serial).judge(&now));
    let said: Vec<String> = finding.differs.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "t has a row more: id=9 v=9 note=z (2 times)",
            "t: id=2 v=6 note=y, serially id=2 v=5 note=y",
            "t: id=1 v=1 note=x, serially id=1 v=2 note=x",
        ]
    );
}

#[test]
fn a_statement_that_was_not_sent_serially_shifts_no_other() {
    let run = |inserts: bool| {
        let mut story = Story::of(&["ben", "amy"]);
        if inserts {
            story = story.answered(0, "insert into t", "1", None);
        }
        let ends = story.answered(0, "commit", "0", None);
        ends.table("t", &["id"], if inserts { &[&["1"]] } else { &[] })
            .done()
    };
    let finding = race(oracle(Rules::default(), |_| run(false)).judge(&run(true)));
    let said: Vec<String> = finding.differs.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "t has a row more: id=1",
            "ben was told 1 row to insert into t, serially (not asked)"
        ]
    );
}

#[test]
fn a_statement_that_sends_what_it_was_told_is_the_same_question() {
    let run = |n: &str| {
        let sql = format!("update counter set v = '{n}' + 1");
        let story = Story::of(&["ben", "amy"]).answered(0, &sql, "1", None);
        story.table("counter", &["v"], &[&[n]]).done()
    };
    let finding = race(oracle(Rules::default(), |_| run("1")).judge(&run("0")));
    let said: Vec<String> = finding.differs.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["counter: v=0, serially v=1"]);
}

/// The other actor's statements were booked on the one that seemed to run alone.
#[test]
fn where_somebody_waited_outside_the_database_nothing_is_claimed_to_be_known() {
    let end = |v: &str, story: Story| story.table("counter", &["v"], &[&[v]]).done();
    let waited = || {
        let mut record = end("1", Story::of(&["ben", "amy"]).sql(1, "").blocked_by(&[0]));
        record.steps[0].kind = deadheat_lab::record::StepKind::Silent;
        record
    };
    let serial = |_: u16| end("2", Story::of(&["ben", "amy"]));
    let finding = race(oracle(Rules::default(), serial).judge(&waited()));
    assert_eq!(finding.kind, Kind::Other);
    assert!(
        finding.why[0].starts_with("amy waited before its first statement"),
        "{:?}",
        finding.why
    );
}

#[test]
fn a_step_that_still_waits_holds_nothing() {
    let lock = |story: Story, actor: u16, row: &str| {
        let story = story.sql(actor, &format!("update account set n = 1 where {row}"));
        story.touches("account", Some(row), true)
    };
    let story = lock(Story::of(&["ann", "bob"]), 0, "id=1").tag("UPDATE 1");
    let story = lock(story, 1, "id=2").tag("UPDATE 1");
    // Its accesses are those of when it went on: all it had by then.
    let story = lock(story, 1, "id=1")
        .touches("account", Some("id=2"), true)
        .blocked_by(&[0]);
    let story = lock(story, 0, "id=2").fails("40P01", "deadlock detected");
    let story = story.answered(0, "update account set n = 1 where id=2", "", Some("40P01"));
    let record = story.done();
    let why = crate::refusals::errors(&record, &crate::errors::reached(&record)).join(" ");
    assert!(
        why.contains(
            "asks for what bob holds since `update account set n = 1 where id=2` (step 2)"
        ),
        "{why}"
    );
}

#[test]
fn two_buyers_order_the_last_unit() {
    let oracle = oracle(Rules::default(), races::units_serially);
    let finding = race(oracle.judge(&races::last_unit()));
    assert_eq!(finding.kind, Kind::CheckThenAct);
    insta::assert_snapshot!(finding.why.join("\n"), @r#"
    u2 read num_allocated=null num_in_stock=1 id=1 product_… with `SELECT id, product_id, … FROM partner_stockrecord WHERE product_id = 1 LIMIT 1` (step 4).
    u1's `UPDATE partner_stockrecord SET num_allocated = (COALESCE(num_allocated, 0) + 1) WHE…` (step 3) had run by then but was committed only later (step 7), so u2 could not see it.
    u1 had read the same before (step 1).
    u2 went on with what it had read: `UPDATE partner_stockrecord SET num_allocated = (COALESCE(num_allocated, 0) + 1) WHE…` (step 6).
    u2 came to `INSERT INTO order_order (number, site_id, …) VALUES (100002, 1, 1, 1, …) RETURNING…` (step 5), which serially it does not.
    "one unit, one order" does not hold in the end (it said false).
    "#);
}

#[test]
fn a_foreign_key_that_is_checked_is_not_what_was_read_too_early() {
    let line = "insert into lines (seat_id) values (1)";
    let story = |story: Story, actor: u16| {
        let select = "select free from seats where show = 7";
        let story = story.sql(actor, select).inside();
        let story = story.reads("seats", Some("show=7")).gives("free", "1");
        // The row that the foreign key names, to see that it is there.
        let story = story.sql(actor, line).inside();
        let story = story.reads("seats", Some("id=1"));
        let story = story.writes("lines", Some("seat_id=1"), "INSERT 0 1");
        story
            .sql(actor, "update seats set free = 0 where id = 1")
            .inside()
            .reads("seats", Some("id=1"))
            .writes("seats", Some("id=1"), "UPDATE 1")
    };
    let both = story(Story::of(&["ann", "bob"]), 0);
    let both = story(both, 1).blocked_by(&[0]);
    let why = why(both.commit(0).wakes(&[1]).commit(1));
    assert!(
        why.starts_with("bob read free = 1 with `select free from seats where show = 7` (step 4)."),
        "{why}"
    );
}

fn why(story: Story) -> String {
    let record = story.done();
    let cycle = crate::graph::cycle(&crate::graph::edges(&record), &[]).expect("a cycle");
    crate::explain::cycle(&record, &cycle).join("\n")
}

#[test]
fn each_saw_the_other_in_the_middle_of_it() {
    let add = |story: Story, actor: u16| {
        story
            .sql(actor, &format!("insert into orders values ({actor})"))
            .writes("orders", None, "INSERT 0 1")
            .gap(actor)
    };
    let look = |story: Story, actor| {
        story
            .sql(actor, "select max(id) as id from orders")
            .reads("orders", None)
            .gives("id", "1")
    };
    let story = add(add(Story::of(&["ben", "amy"]), 0), 1);
    insta::assert_snapshot!(why(look(look(story, 0), 1)), @"
    amy with `select max(id) as id from orders` (step 6) read what ben had written with `insert into orders values (0)` (step 1).
    ben with `select max(id) as id from orders` (step 5) read what amy had written with `insert into orders values (1)` (step 3).
    Each came before the other: one after the other, one of them would have been done before the other began.
    ");
}

#[test]
fn what_was_read_before_a_refusal_is_told() {
    let look = |story: Story, actor| {
        story
            .sql(actor, "select count(*) as n from tag")
            .reads("tag", None)
            .gives("n", "0")
    };
    let add = |story: Story, actor| {
        story
            .sql(actor, "insert into tag values ('new')")
            .writes("tag", None, "INSERT 0 1")
    };
    let story = add(look(look(Story::of(&["ben", "amy"]), 0), 1), 0).gap(0);
    let record = add(story, 1)
        .fails("23505", "duplicate key")
        .answered(1, "insert into tag values ('new')", "", Some("23505"))
        .done();
    let why = crate::refusals::errors(&record, &crate::errors::reached(&record));
    insta::assert_snapshot!(why.join("\n"), @"
    amy read n = 0 with `select count(*) as n from tag` (step 2), and could not see ben's `insert into tag values ('new')` (step 3).
    The database refused amy's `insert into tag values ('new')` (step 5) with 23505 (duplicate key); amy got error 23505, which happens in no serial order.
    ");
}

/// Reads of what nobody writes are no steps in the runs of a search, but are in those that it learns from.
#[test]
fn a_serial_order_is_known_again_without_the_reads_that_are_no_steps() {
    let run = |order: [u16; 2], all: bool, signed: &str| {
        let mut story = Story::of(&["ben", "amy"]);
        for actor in order {
            if all {
                story = story.sql(actor, "select * from settings");
            }
            story = story
                .sql(actor, "update visits set n = n + 1")
                .writes("visits", None, "UPDATE 1")
                .told(usize::from(actor), "POST /visit", 200, "{}")
                .header(usize::from(actor), "set-cookie", signed);
        }
        story.table("visits", &["n"], &[&["2"]]).done()
    };
    let oracle = oracle(Rules::default(), |first| {
        run([first, 1 - first], true, "seen:1xV9FO:a1")
    });
    let later = run([0, 1], false, "seen:1xV9FP:b2");
    assert!(matches!(oracle.judge(&later), Judgement::Clean));
}
