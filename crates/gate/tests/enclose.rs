//! A transaction around what a client commits statement by statement, which the client does not see.

mod common;

use common::hand::Hand;
use common::{Wire, cell, parse, query, run, sync, tags};
use deadheat_gate::{Event, Ran, Release, Session, TxStatus};

const COUNT: &str = "select count(*) from t where id > 7";

/// Runs a batch; what the lab is told and what the client sees of it.
async fn ran(hand: &mut Hand, wire: &mut Wire, session: &Session, batch: &[u8]) -> (Ran, Vec<u8>) {
    wire.send(batch).await;
    hand.arrived(session).await;
    session.release(Release::default());
    let ran = hand.ran(session).await;
    session.deliver();
    let ready = wire.until(b'Z').await.pop().expect("ReadyForQuery");
    (ran, ready.body)
}

/// Lets the COMMIT go that has arrived.
async fn commit(hand: &mut Hand, session: &Session) -> Ran {
    let batch = hand.arrived(session).await;
    assert!(batch.implied);
    assert_eq!(&*batch.statements[0].sql, "COMMIT");
    session.release(Release::default());
    let ran = hand.ran(session).await;
    session.deliver();
    ran
}

async fn seen_by_others(hand: &mut Hand) -> String {
    cell(&hand.direct.run(COUNT).await)
}

#[tokio::test]
async fn what_is_committed_one_by_one_is_committed_together() {
    let mut hand = Hand::new().await;
    let (mut wire, session) = hand.open().await;
    session.enclose(&[]);
    let first = query("insert into t values (8, 'x')");
    let second = [run("insert into t values (9, $1)", &[Some("y")]), sync()].concat();
    for batch in [first, second] {
        let (ran, ready) = ran(&mut hand, &mut wire, &session, &batch).await;
        assert_eq!(ran.status, TxStatus::Open);
        assert_eq!(ready, b"I", "the client believes that it is outside");
        assert_eq!(seen_by_others(&mut hand).await, "0");
    }
    // What executes nothing passes, and shows no transaction either.
    wire.send(&[parse("s", "select 1"), sync()].concat()).await;
    let ready = wire.until(b'Z').await.pop().expect("ReadyForQuery");
    assert_eq!(&ready.body[..], b"I");
    session.complete();
    let ran = commit(&mut hand, &session).await;
    assert_eq!(
        (ran.tags, ran.status),
        (vec!["COMMIT".to_owned()], TxStatus::Idle)
    );
    assert_eq!(seen_by_others(&mut hand).await, "2");
    // Only the batches that are asked for are in one.
    hand.plainly(&mut wire, &session, "insert into t values (10, 'z')")
        .await;
    assert_eq!(seen_by_others(&mut hand).await, "3");
}

#[tokio::test]
async fn who_takes_his_leave_commits_and_who_vanishes_does_not() {
    for (leaves, left) in [(true, "1"), (false, "0")] {
        let mut hand = Hand::new().await;
        let (mut wire, session) = hand.open().await;
        session.enclose(&[]);
        let insert = query("insert into t values (8, 'x')");
        ran(&mut hand, &mut wire, &session, &insert).await;
        if leaves {
            wire.send(b"X\0\0\0\x04").await;
        }
        drop(wire);
        if leaves {
            commit(&mut hand, &session).await;
        }
        assert!(matches!(hand.event().await, Event::Closed { .. }));
        assert_eq!(seen_by_others(&mut hand).await, left);
    }
}

#[tokio::test]
async fn after_an_error_all_of_it_is_undone() {
    let mut hand = Hand::new().await;
    let (mut wire, session) = hand.open().await;
    session.enclose(&[]);
    let batches = ["insert into t values (8, 'x')", "select 1 / 0", "select 1"];
    let mut codes = Vec::new();
    for sql in batches {
        let (ran, ready) = ran(&mut hand, &mut wire, &session, &query(sql)).await;
        assert_eq!(ready, b"I");
        codes.push(ran.error.map(|error| error.code));
    }
    let codes: Vec<_> = codes.iter().map(Option::as_deref).collect();
    assert_eq!(codes, [None, Some("22012"), Some("25P02")]);
    session.complete();
    let ran = commit(&mut hand, &session).await;
    assert_eq!(ran.tags, ["ROLLBACK"]);
    assert_eq!(seen_by_others(&mut hand).await, "0");
}

#[tokio::test]
async fn it_is_given_up_at_once_where_only_beginning_again_helps() {
    let mut hand = Hand::new().await;
    let (mut wire, session) = hand.open().await;
    session.enclose(&["22012"]);
    let insert = query("insert into t values (8, 'x')");
    ran(&mut hand, &mut wire, &session, &insert).await;
    wire.send(&query("select 1 / 0")).await;
    hand.arrived(&session).await;
    session.release(Release::default());
    let refused = hand.ran(&session).await;
    assert_eq!(refused.status, TxStatus::Idle, "it is over");
    session.deliver();
    assert_eq!(tags(&wire.until(b'Z').await), "EZ");
    hand.plainly(&mut wire, &session, "insert into t values (9, 'y')")
        .await;
    assert_eq!(seen_by_others(&mut hand).await, "1");
}

#[tokio::test]
async fn a_commit_that_is_refused_is_told_to_the_lab() {
    let mut hand = Hand::new().await;
    hand.direct
        .run("create table later (id int unique deferrable initially deferred)")
        .await;
    let (mut wire, session) = hand.open().await;
    session.enclose(&[]);
    let twice = query("insert into later values (1), (1)");
    let (inserted, _) = ran(&mut hand, &mut wire, &session, &twice).await;
    assert!(inserted.error.is_none());
    session.complete();
    let refused = commit(&mut hand, &session).await;
    assert_eq!(
        refused.error.map(|error| error.code).as_deref(),
        Some("23505")
    );
    assert_eq!(refused.status, TxStatus::Idle);
    assert_eq!(seen_by_others(&mut hand).await, "0");
}
