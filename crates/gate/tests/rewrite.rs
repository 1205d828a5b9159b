//! Statements reach the server in other words, and others go ahead of them, without the client's seeing it.

mod common;

use std::sync::Arc;

use common::hand::{Hand, with_gap};
use common::{bind, cell, execute, parse, query, run, sync, tags};
use deadheat_gate::{Gap, Release, Reword};

#[derive(Debug)]
struct Upper;

impl Reword for Upper {
    fn reword(&self, sql: &str) -> Option<String> {
        sql.contains("'low'")
            .then(|| sql.replace("'low'", "'HIGH'"))
    }
}

const LOCK: &str = "select pg_advisory_xact_lock(7)";
const LOCKS: &str = "select count(*) from pg_locks where locktype = 'advisory'";

#[tokio::test]
async fn texts_are_reworded_in_both_protocols_and_for_every_execute() {
    let mut hand = Hand::new().await;
    hand.gate.reword(Arc::new(Upper));
    let (mut wire, session) = hand.open().await;
    wire.send(&query("select 1; select 'low'")).await;
    let batch = hand.arrived(&session).await;
    assert_eq!(&*batch.statements[0].sql, "select 1; select 'HIGH'");
    session.release(Release::default());
    assert_eq!(hand.ran(&session).await.rows[0][0].as_deref(), Some("HIGH"));
    session.deliver();
    wire.until(b'Z').await;

    let prepared = [parse("s", "select 'low' || $1::text"), sync()].concat();
    wire.send(&prepared).await;
    assert_eq!(tags(&wire.until(b'Z').await), "1Z");
    for value in ["x", "y"] {
        let again = [bind("", "s", &[Some(value)]), execute("", 0), sync()].concat();
        wire.send(&again).await;
        let batch = hand.arrived(&session).await;
        assert_eq!(&*batch.statements[0].sql, "select 'HIGH' || $1::text");
        session.release(Release::default());
        hand.ran(&session).await;
        session.deliver();
        let answer = wire.until(b'Z').await;
        assert_eq!(tags(&answer), "2DCZ");
        assert_eq!(cell(&answer), format!("HIGH{value}"));
    }
}

#[tokio::test]
async fn what_goes_ahead_runs_in_the_transaction_and_is_not_seen() {
    let mut hand = Hand::new().await;
    let (mut wire, session) = hand.open().await;
    let simple = query("insert into t values (8, 'x')");
    let extended = [run("insert into t values (9, $1)", &[Some("x")]), sync()].concat();
    for (batch, seen) in [(simple, "CZ"), (extended, "12nCZ")] {
        wire.send(&batch).await;
        hand.arrived(&session).await;
        session.precede(LOCK.into());
        session.release(with_gap());
        assert_eq!(hand.ran(&session).await.gap, Gap::Open);
        assert_eq!(cell(&hand.direct.run(LOCKS).await), "1");
        session.commit_gap();
        hand.ran(&session).await;
        session.deliver();
        assert_eq!(tags(&wire.until(b'Z').await), seen);
        assert_eq!(cell(&hand.direct.run(LOCKS).await), "0");
    }
}

#[tokio::test]
async fn when_it_fails_the_client_sees_one_error_and_can_go_on() {
    let mut hand = Hand::new().await;
    let (mut wire, session) = hand.open().await;
    let simple = || query("insert into t values (8, 'x')");
    let extended = || [run("insert into t values (9, $1)", &[Some("x")]), sync()].concat();
    for (batch, gap) in [
        (simple(), true),
        (extended(), true),
        (simple(), false),
        (extended(), false),
    ] {
        if !gap {
            hand.plainly(&mut wire, &session, "begin").await;
        }
        wire.send(&batch).await;
        hand.arrived(&session).await;
        session.precede("select 1 / 0".into());
        session.release(Release {
            gap,
            ..Release::default()
        });
        let ran = hand.ran(&session).await;
        assert_eq!(ran.error.map(|error| error.code).as_deref(), Some("22012"));
        session.deliver();
        let answer = wire.until(b'Z').await;
        assert_eq!(tags(&answer), "EZ");
        assert_eq!(answer[0].code().as_deref(), Some("22012"));
        if !gap {
            hand.plainly(&mut wire, &session, "rollback").await;
        }
    }
    assert_eq!(
        cell(&hand.direct.run("select count(*) from t where id > 7").await),
        "0"
    );
}
