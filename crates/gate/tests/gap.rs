//! The commit gap: work and commit of a statement outside a transaction are two steps.

mod common;

use common::hand::{Hand, with_gap};
use common::lab::PROBE;
use common::{Message, bind, cell, execute, in_time, parse, query, run, sync, tags};
use deadheat_gate::{Event, Gap, Ran, Release, TxStatus};

const SNEAK: &str =
    "insert into t select 2, 'sneaked' where not exists (select from t where v = 'sneaked')";

#[tokio::test]
async fn two_inserts_where_not_exists_overlap_in_the_gap() {
    let mut hand = Hand::new().await;
    hand.direct
        .run("alter table t drop constraint t_pkey")
        .await;
    let (mut one, first) = hand.open().await;
    let (mut two, second) = hand.open().await;
    one.send(&query(SNEAK)).await;
    let batch = hand.arrived(&first).await;
    assert_eq!(
        (
            &*batch.statements[0].sql,
            batch.status,
            batch.simple,
            batch.flush
        ),
        (SNEAK, TxStatus::Idle, true, false)
    );
    first.release(with_gap());
    let reply = hand.ran(&first).await;
    assert_eq!(
        (reply.gap, reply.status, reply.tags),
        (Gap::Open, TxStatus::Idle, vec!["INSERT 0 1".to_owned()])
    );
    two.send(&query(SNEAK)).await;
    hand.arrived(&second).await;
    second.release(with_gap());
    assert_eq!(hand.ran(&second).await.gap, Gap::Open);
    first.commit_gap();
    assert_eq!(hand.ran(&first).await.gap, Gap::Closed);
    second.commit_gap();
    assert_eq!(hand.ran(&second).await.gap, Gap::Closed);
    first.deliver();
    second.deliver();
    assert_eq!(tags(&one.until(b'Z').await), "CZ");
    assert_eq!(tags(&two.until(b'Z').await), "CZ");
    assert_eq!(
        cell(
            &hand
                .direct
                .run("select count(*) from t where v = 'sneaked'")
                .await
        ),
        "2"
    );
}

#[tokio::test]
async fn the_work_is_invisible_until_the_gap_is_committed() {
    let mut hand = Hand::new().await;
    let (mut wire, session) = hand.open().await;
    wire.send(
        &[
            run(
                "update t set v = $1 where id = 1 returning v",
                &[Some("new")],
            ),
            sync(),
        ]
        .concat(),
    )
    .await;
    let batch = hand.arrived(&session).await;
    assert_eq!(batch.statements[0].params[0].text().as_deref(), Some("new"));
    session.release(Release {
        gap: true,
        probe: Some(PROBE.into()),
        ..Release::default()
    });
    let reply = hand.ran(&session).await;
    assert_eq!(reply.gap, Gap::Open);
    assert_eq!(reply.rows, [[Some("new".to_owned())]]);
    assert_eq!(reply.columns, ["v"]);
    assert_eq!(reply.probe, Some(Vec::new()));
    assert_eq!(cell(&hand.direct.run("select v from t").await), "one");
    session.commit_gap();
    assert_eq!(hand.ran(&session).await.gap, Gap::Closed);
    assert_eq!(cell(&hand.direct.run("select v from t").await), "new");
    session.deliver();
    let seen = wire.until(b'Z').await;
    assert_eq!(tags(&seen), "12TDCZ");
    assert_eq!(seen[5].body, b"I");
}

#[tokio::test]
async fn what_only_reads_commits_at_once() {
    let mut hand = Hand::new().await;
    let (mut wire, session) = hand.open().await;
    wire.send(&query("select id, v, null from t")).await;
    hand.arrived(&session).await;
    session.release(with_gap());
    let reply = hand.ran(&session).await;
    assert_eq!(reply.gap, Gap::Closed);
    assert_eq!(
        reply.rows,
        [[Some("1".to_owned()), Some("one".to_owned()), None]]
    );
    session.deliver();
    assert_eq!(tags(&wire.until(b'Z').await), "TDCZ");
    let open = "select count(*) from pg_stat_activity where state like 'idle in%' and datname = current_database()";
    assert_eq!(cell(&hand.direct.run(open).await), "0");
}

#[tokio::test]
async fn a_gap_that_is_to_be_kept_stays_open_though_nothing_was_written() {
    let mut hand = Hand::new().await;
    hand.direct.run("create sequence s").await;
    let (mut wire, session) = hand.open().await;
    // The first value is logged, and so the transaction gets an id; the next 32 are not.
    for _ in 0..3 {
        wire.send(&query("select nextval('s') > 0")).await;
        hand.arrived(&session).await;
        session.release(Release {
            keep: true,
            ..with_gap()
        });
        assert_eq!(hand.ran(&session).await.gap, Gap::Open);
        session.commit_gap();
        assert_eq!(hand.ran(&session).await.gap, Gap::Closed);
        session.deliver();
        assert_eq!(tags(&wire.until(b'Z').await), "TDCZ");
    }
}

#[tokio::test]
async fn an_error_in_the_gap_rolls_back() {
    let mut hand = Hand::new().await;
    let (mut wire, session) = hand.open().await;
    wire.send(&query(
        "insert into t values (2, 'two'); insert into t values (1, 'again')",
    ))
    .await;
    hand.arrived(&session).await;
    session.release(Release {
        gap: true,
        probe: Some(PROBE.into()),
        ..Release::default()
    });
    let reply = hand.ran(&session).await;
    assert_eq!(
        (reply.gap, reply.status, reply.probe),
        (Gap::Closed, TxStatus::Idle, None)
    );
    let error = reply.error.expect("an error");
    assert_eq!(
        (error.code.as_str(), error.table.as_deref()),
        ("23505", Some("t"))
    );
    assert_eq!(error.constraint.as_deref(), Some("t_pkey"));
    session.deliver();
    let seen = wire.until(b'Z').await;
    assert_eq!(tags(&seen), "CEZ");
    assert_eq!(seen[2].body, b"I");
    assert_eq!(
        cell(
            &hand
                .plainly(&mut wire, &session, "select count(*) from t")
                .await
        ),
        "1"
    );
}

/// Write skew under SERIALIZABLE: one of two overlapping statements fails, at its commit at the latest.
async fn skew(batch: impl Fn(&str) -> Vec<u8>) -> (Ran, Vec<Message>) {
    let mut hand = Hand::new().await;
    hand.direct.run("truncate t").await;
    let (mut one, first) = hand.open().await;
    let (mut two, second) = hand.open().await;
    for (wire, session) in [(&mut one, &first), (&mut two, &second)] {
        hand.plainly(
            wire,
            session,
            "set default_transaction_isolation = 'serializable'",
        )
        .await;
    }
    for (wire, session, id) in [(&mut one, &first, "1"), (&mut two, &second, "2")] {
        wire.send(&batch(&format!(
            "insert into t select {id}, count(*)::text from t"
        )))
        .await;
        hand.arrived(session).await;
        session.release(with_gap());
        let reply = hand.ran(session).await;
        assert_eq!((reply.gap, &reply.error), (Gap::Open, &None));
    }
    first.commit_gap();
    assert_eq!(hand.ran(&first).await.error, None);
    second.commit_gap();
    let reply = hand.ran(&second).await;
    second.deliver();
    (reply, two.until(b'Z').await)
}

#[tokio::test]
async fn serialization_failure_at_commit_is_the_statements_error() {
    let (reply, seen) = skew(query).await;
    assert_eq!(
        (reply.gap, reply.status, reply.tags.len()),
        (Gap::Closed, TxStatus::Idle, 0)
    );
    assert_eq!(reply.error.expect("an error").code, "40001");
    assert_eq!(tags(&seen), "EZ");
    let (reply, seen) = skew(|sql| [run(sql, &[]), sync()].concat()).await;
    assert_eq!(reply.error.expect("an error").code, "40001");
    assert_eq!(tags(&seen), "12nCEZ");
    assert_eq!(seen[5].body, b"I");
}

#[tokio::test]
async fn refused_inside_a_block_it_runs_bare_from_then_on() {
    let mut hand = Hand::new().await;
    let (mut wire, session) = hand.open().await;
    for _ in 0..2 {
        wire.send(
            &[
                parse("v", "vacuum t"),
                bind("", "v", &[]),
                execute("", 0),
                sync(),
            ]
            .concat(),
        )
        .await;
        hand.arrived(&session).await;
        session.release(with_gap());
        let reply = hand.ran(&session).await;
        assert_eq!(
            (reply.gap, reply.error, reply.tags),
            (Gap::None, None, vec!["VACUUM".to_owned()])
        );
        session.deliver();
        assert_eq!(tags(&wire.until(b'Z').await), "12CZ");
        wire.send(&[common::close(b'S', "v"), sync()].concat())
            .await;
        assert_eq!(tags(&wire.until(b'Z').await), "3Z");
    }
}

#[tokio::test]
async fn a_reply_too_large_to_hold_streams_and_has_no_gap() {
    let mut hand = Hand::new().await;
    let (mut wire, session) = hand.open().await;
    let sql =
        "insert into t values (2, 'x'); select repeat('x', 1000) from generate_series(1, 30000)";
    wire.send(&query(sql)).await;
    hand.arrived(&session).await;
    session.release(with_gap());
    let rows = wire.until(b'D').await;
    assert_eq!(tags(&rows), "CTD");
    for _ in 1..30_000 {
        assert_eq!(wire.next().await.expect("a row").tag, b'D');
    }
    let reply = hand.ran(&session).await;
    assert_eq!(
        (reply.gap, reply.streamed, reply.rows.len()),
        (Gap::Closed, true, 20)
    );
    assert_eq!(reply.rows[0][0].as_ref().expect("a cell").len(), 200);
    assert_eq!(cell(&hand.direct.run("select count(*) from t").await), "2");
    session.deliver();
    assert_eq!(tags(&wire.until(b'Z').await), "CZ");
}

#[tokio::test]
async fn a_backend_that_dies_in_the_gap_has_done_nothing() {
    let mut hand = Hand::new().await;
    let (mut wire, session) = hand.open().await;
    wire.send(&query("insert into t values (2, 'two')")).await;
    hand.arrived(&session).await;
    session.release(with_gap());
    assert_eq!(hand.ran(&session).await.gap, Gap::Open);
    let kill = format!("select pg_terminate_backend({})", wire.pid);
    hand.direct.run(&kill).await;
    let seen = in_time(wire.until(b'Z')).await;
    assert_eq!(
        (tags(&seen).as_str(), seen[0].code().as_deref()),
        ("E", Some("57P01"))
    );
    match hand.event().await {
        Event::Closed { reason, .. } => assert!(reason.contains("57P01"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(cell(&hand.direct.run("select count(*) from t").await), "1");
}

#[tokio::test]
async fn a_client_that_vanishes_in_the_gap_has_its_work_committed_by_the_lab() {
    let mut hand = Hand::new().await;
    let (mut wire, session) = hand.open().await;
    wire.send(&query("insert into t values (2, 'two')")).await;
    hand.arrived(&session).await;
    session.release(with_gap());
    assert_eq!(hand.ran(&session).await.gap, Gap::Open);
    drop(wire);
    session.commit_gap();
    assert_eq!(hand.ran(&session).await.error, None);
    session.deliver();
    assert!(matches!(hand.event().await, Event::Closed { .. }));
    assert_eq!(cell(&hand.direct.run("select count(*) from t").await), "2");
}
