//! Holding, refusing and starting over: what the lab can do with a session, seen from both sides.

mod common;

use common::hand::{Hand, with_gap};
use common::lab::PROBE;
use common::{bind, cell, describe, execute, parse, query, run, sync, tags};
use deadheat_gate::{Event, Gap, Release, TxStatus};

#[tokio::test]
async fn the_probe_sees_the_clients_transaction_and_disturbs_nothing() {
    let mut hand = Hand::new().await;
    let (mut wire, session) = hand.open().await;
    hand.plainly(&mut wire, &session, "begin").await;
    let series = "select g from generate_series(1, 3) g";
    wire.send(
        &[
            parse("", series),
            bind("", "", &[]),
            describe(b'P', ""),
            execute("", 1),
            sync(),
        ]
        .concat(),
    )
    .await;
    assert_eq!(hand.arrived(&session).await.status, TxStatus::Open);
    session.release(Release {
        gap: true,
        probe: Some(PROBE.into()),
        ..Release::default()
    });
    let reply = hand.ran(&session).await;
    assert_eq!(
        (reply.gap, reply.status, reply.probe),
        (Gap::None, TxStatus::Open, Some(Vec::new()))
    );
    session.deliver();
    wire.until(b'Z').await;
    // The unnamed portal is still there.
    wire.send(&[execute("", 0), sync()].concat()).await;
    assert_eq!(&*hand.arrived(&session).await.statements[0].sql, series);
    session.release(Release::default());
    let reply = hand.ran(&session).await;
    assert_eq!(reply.rows, [[Some("2".to_owned())], [Some("3".to_owned())]]);
    session.deliver();
    wire.until(b'Z').await;
    wire.send(&query("insert into t values (2, 'two')")).await;
    hand.arrived(&session).await;
    session.release(Release {
        gap: false,
        probe: Some(PROBE.into()),
        ..Release::default()
    });
    let reply = hand.ran(&session).await;
    assert_eq!(
        reply.probe,
        Some(vec![vec![Some("t".to_owned()), Some("1".to_owned())]])
    );
    session.deliver();
    assert_eq!(tags(&wire.until(b'Z').await), "CZ");
    wire.send(&query("select 1/0")).await;
    hand.arrived(&session).await;
    session.release(Release {
        gap: false,
        probe: Some(PROBE.into()),
        ..Release::default()
    });
    let reply = hand.ran(&session).await;
    assert_eq!((reply.probe, reply.status), (None, TxStatus::Failed));
    session.deliver();
    assert_eq!(tags(&wire.until(b'Z').await), "EZ");
}

#[tokio::test]
async fn a_pipeline_is_held_batch_by_batch() {
    let mut hand = Hand::new().await;
    let (mut wire, session) = hand.open().await;
    let batches = [
        run("insert into t values (2, '')", &[]),
        sync(),
        query("select count(*) from t"),
        parse("s", "select 1"),
        sync(),
    ];
    wire.send(&batches.concat()).await;
    hand.arrived(&session).await;
    session.release(with_gap());
    assert_eq!(hand.ran(&session).await.gap, Gap::Open);
    session.commit_gap();
    hand.ran(&session).await;
    session.deliver();
    assert_eq!(
        &*hand.arrived(&session).await.statements[0].sql,
        "select count(*) from t"
    );
    session.release(with_gap());
    assert_eq!(hand.ran(&session).await.rows, [[Some("2".to_owned())]]);
    session.deliver();
    let mut seen = tags(&wire.until(b'Z').await);
    for _ in 0..2 {
        seen += &tags(&wire.until(b'Z').await);
    }
    assert_eq!(seen, "12nCZTDCZ1Z");
}

#[tokio::test]
async fn a_sync_behind_flush_is_the_commit() {
    let mut hand = Hand::new().await;
    let (mut wire, session) = hand.open().await;
    wire.send(&[run("insert into t values (2, '')", &[]), common::flush()].concat())
        .await;
    let batch = hand.arrived(&session).await;
    assert_eq!((batch.flush, batch.status), (true, TxStatus::Idle));
    session.release(with_gap());
    let reply = hand.ran(&session).await;
    assert_eq!((reply.gap, reply.status), (Gap::None, TxStatus::Open));
    session.deliver();
    wire.until(b'C').await;
    wire.send(&sync()).await;
    let batch = hand.arrived(&session).await;
    assert_eq!(
        (&*batch.statements[0].sql, batch.implied, batch.status),
        ("COMMIT", true, TxStatus::Open)
    );
    assert_eq!(cell(&hand.direct.run("select count(*) from t").await), "1");
    session.release(Release::default());
    assert_eq!(hand.ran(&session).await.status, TxStatus::Idle);
    assert_eq!(cell(&hand.direct.run("select count(*) from t").await), "2");
    session.deliver();
    assert_eq!(tags(&wire.until(b'Z').await), "Z");
}

#[tokio::test]
async fn refused_batches_never_reach_the_server() {
    let mut hand = Hand::new().await;
    let (mut wire, session) = hand.open().await;
    wire.send(
        &[
            parse("s", "insert into t values (2, '')"),
            bind("", "s", &[]),
            execute("", 0),
            sync(),
        ]
        .concat(),
    )
    .await;
    hand.arrived(&session).await;
    session.refuse("57P05", "drained");
    let seen = wire.until(b'Z').await;
    assert_eq!(
        (
            tags(&seen).as_str(),
            seen[0].code().as_deref(),
            &*seen[1].body
        ),
        ("EZ", Some("57P05"), &b"I"[..])
    );
    hand.plainly(&mut wire, &session, "begin").await;
    wire.send(&query("insert into t values (2, '')")).await;
    hand.arrived(&session).await;
    session.refuse("57P05", "drained");
    let seen = wire.until(b'Z').await;
    assert_eq!((tags(&seen).as_str(), &*seen[1].body), ("EZ", &b"E"[..]));
    let seen = hand.plainly(&mut wire, &session, "select 1").await;
    assert_eq!(seen[0].code().as_deref(), Some("25P02"));
    hand.plainly(&mut wire, &session, "rollback").await;
    wire.send(&[run("insert into t values (2, '')", &[]), common::flush()].concat())
        .await;
    hand.arrived(&session).await;
    session.refuse("57P05", "drained");
    assert_eq!(wire.until(b'E').await.len(), 1);
    wire.send(&[run("select 'skipped'", &[]), sync()].concat())
        .await;
    assert_eq!(tags(&wire.until(b'Z').await), "Z");
    assert_eq!(
        cell(
            &hand
                .plainly(&mut wire, &session, "select count(*) from t")
                .await
        ),
        "1"
    );
}

#[tokio::test]
async fn reset_starts_the_session_over() {
    let mut hand = Hand::new().await;
    let (mut wire, session) = hand.open().await;
    hand.plainly(&mut wire, &session, "begin").await;
    hand.plainly(&mut wire, &session, "insert into t values (2, '')")
        .await;
    session.reset();
    assert!(matches!(hand.event().await, Event::Reset { session: of } if of == session.id()));
    let seen = hand
        .plainly(&mut wire, &session, "select count(*) from t")
        .await;
    assert_eq!(
        (cell(&seen), tags(&seen).as_str()),
        ("1".to_owned(), "TDCZ")
    );
    session.close();
    match hand.event().await {
        Event::Closed {
            session: of,
            reason,
        } => assert_eq!((of, reason.as_str()), (session.id(), "closed by the lab")),
        other => panic!("{other:?}"),
    }
    assert!(wire.next().await.is_none());
}

#[tokio::test]
async fn a_point_in_a_failed_transaction_is_answered_by_the_gate() {
    const POINT: &str = "select /* deadheat:point rolls_back */";
    let mut hand = Hand::new().await;
    let (mut wire, session) = hand.open().await;
    let again = [
        bind("", "p", &[]),
        describe(b'P', ""),
        execute("", 0),
        sync(),
    ]
    .concat();
    wire.send(&[parse("p", POINT), sync()].concat()).await;
    wire.until(b'Z').await;
    // As the server answers it, byte for byte but for the status behind it.
    let mut by_server = Vec::new();
    for batch in [query(POINT), again.clone()] {
        wire.send(&batch).await;
        hand.arrived(&session).await;
        session.stand_in();
        hand.ran(&session).await;
        session.deliver();
        by_server.push(wire.until(b'Z').await);
    }
    hand.plainly(&mut wire, &session, "begin").await;
    hand.plainly(&mut wire, &session, "select 1/0").await;
    for (batch, by_server) in [query(POINT), again].into_iter().zip(by_server) {
        wire.send(&batch).await;
        assert_eq!(hand.arrived(&session).await.status, TxStatus::Failed);
        session.stand_in();
        let reply = hand.ran(&session).await;
        assert!(reply.error.is_none(), "{:?}", reply.error);
        assert_eq!(reply.status, TxStatus::Failed);
        assert_eq!(reply.rows, [Vec::<Option<String>>::new()]);
        session.deliver();
        let by_gate = wire.until(b'Z').await;
        let (status, answer) = by_gate.split_last().expect("a status");
        assert_eq!(status.body, *b"E");
        let (_, by_server) = by_server.split_last().expect("a status");
        assert_eq!(answer, by_server);
    }
    // What would have to be prepared is the server's to refuse.
    let prepares = [parse("", POINT), bind("", "", &[]), execute("", 0), sync()];
    wire.send(&prepares.concat()).await;
    hand.arrived(&session).await;
    session.stand_in();
    let reply = hand.ran(&session).await;
    assert_eq!(reply.error.expect("an error").code, "25P02");
    session.deliver();
    assert_eq!(tags(&wire.until(b'Z').await), "EZ");
    hand.plainly(&mut wire, &session, "rollback").await;
    hand.plainly(&mut wire, &session, "select 1").await;
}
