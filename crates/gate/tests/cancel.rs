//! Cancel requests, clients that leave, and servers that do.

mod common;

use common::{Server, Wire, cell, gate, in_time, query, tags};
use deadheat_gate::{Event, Gate, Release, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

async fn open(gate: &Gate, events: &mut mpsc::UnboundedReceiver<Event>) -> (Wire, Session) {
    let wire = Wire::tcp(gate.addr(), "postgres").await;
    match next(events).await {
        Event::Opened {
            session, tag: 7, ..
        } => (wire, session),
        other => panic!("{other:?}"),
    }
}

async fn next(events: &mut mpsc::UnboundedReceiver<Event>) -> Event {
    in_time(events.recv()).await.expect("the gate lives")
}

async fn arrived(events: &mut mpsc::UnboundedReceiver<Event>) {
    let event = next(events).await;
    assert!(matches!(event, Event::Arrived { .. }), "{event:?}");
}

/// Sends a cancel request as libpq does, up to the end of its connection.
async fn cancel(gate: &Gate, pid: i32, key: &[u8]) {
    let mut packet = (12 + key.len() as u32).to_be_bytes().to_vec();
    packet.extend(80_877_102u32.to_be_bytes());
    packet.extend(pid.to_be_bytes());
    packet.extend(key);
    let mut stream = TcpStream::connect(gate.addr()).await.expect("a connection");
    stream.write_all(&packet).await.expect("a reader");
    let mut rest = Vec::new();
    in_time(stream.read_to_end(&mut rest))
        .await
        .expect("an end");
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_held_statement_is_cancelled_without_reaching_the_server() {
    let server = Server::shared();
    let (gate, mut events) = gate(server.unix()).await;
    let (mut wire, session) = open(&gate, &mut events).await;
    wire.send(&query("create table reached ()")).await;
    arrived(&mut events).await;
    cancel(&gate, wire.pid, &wire.key.clone()).await;
    assert!(
        matches!(next(&mut events).await, Event::Withdrawn { session: of } if of == session.id())
    );
    let seen = wire.until(b'Z').await;
    assert_eq!(
        (tags(&seen).as_str(), seen[0].code().as_deref()),
        ("EZ", Some("57014"))
    );
    // A release that comes too late hits nothing, and the next statement is spared.
    session.release(Release::default());
    wire.send(&query("select to_regclass('reached') is null"))
        .await;
    arrived(&mut events).await;
    session.release(Release::default());
    assert!(matches!(next(&mut events).await, Event::Ran { .. }));
    session.deliver();
    assert_eq!(cell(&wire.until(b'Z').await), "t");
}

#[tokio::test]
async fn a_running_statement_is_cancelled_at_the_server() {
    let server = Server::shared();
    let (gate, mut events) = gate(server.tcp()).await;
    let (mut wire, session) = open(&gate, &mut events).await;
    for gap in [false, true] {
        wire.send(&query("select pg_sleep(600)")).await;
        arrived(&mut events).await;
        session.release(Release {
            gap,
            ..Release::default()
        });
        // Running, not only released.
        let mut watcher = Wire::tcp(server.addr(), "postgres").await;
        let sleeping = format!(
            "select count(*) from pg_stat_activity where pid = {} and wait_event = 'PgSleep'",
            wire.pid
        );
        while cell(&watcher.run(&sleeping).await) != "1" {}
        cancel(&gate, wire.pid, &wire.key.clone()).await;
        match next(&mut events).await {
            Event::Ran { reply, .. } => assert_eq!(reply.error.expect("an error").code, "57014"),
            other => panic!("{other:?}"),
        }
        // The reply is held: a cancel now comes too late and must not hit what follows.
        cancel(&gate, wire.pid, &wire.key.clone()).await;
        session.deliver();
        assert_eq!(tags(&wire.until(b'Z').await), "TEZ");
        wire.send(&query("select pg_sleep(0.01)")).await;
        arrived(&mut events).await;
        session.release(Release::default());
        match next(&mut events).await {
            Event::Ran { reply, .. } => assert_eq!(reply.error, None),
            other => panic!("{other:?}"),
        }
        session.deliver();
        wire.until(b'Z').await;
    }
}

#[tokio::test]
async fn a_wrong_key_cancels_nothing() {
    let server = Server::shared();
    let (gate, mut events) = gate(server.unix()).await;
    let (mut wire, session) = open(&gate, &mut events).await;
    wire.send(&query("select 1")).await;
    arrived(&mut events).await;
    cancel(&gate, wire.pid, &[0; 4]).await;
    cancel(&gate, wire.pid, &[0; 256]).await;
    session.release(Release::default());
    assert!(matches!(next(&mut events).await, Event::Ran { .. }));
    session.deliver();
    assert_eq!(tags(&wire.until(b'Z').await), "TDCZ");
}

#[tokio::test]
async fn who_leaves_while_held_takes_the_statement_along() {
    let server = Server::shared();
    let (gate, mut events) = gate(server.unix()).await;
    for terminate in [true, false] {
        let (mut wire, session) = open(&gate, &mut events).await;
        wire.send(&query("create table left_behind ()")).await;
        arrived(&mut events).await;
        if terminate {
            wire.send(&common::message(b'X', &[])).await;
        }
        drop(wire);
        assert!(
            matches!(next(&mut events).await, Event::Withdrawn { session: of } if of == session.id())
        );
        match next(&mut events).await {
            Event::Closed {
                session: of,
                reason,
            } => assert_eq!((of, reason.as_str()), (session.id(), "the client left")),
            other => panic!("{other:?}"),
        }
    }
    let mut direct = Wire::tcp(server.addr(), "postgres").await;
    assert_eq!(
        cell(
            &direct
                .run("select to_regclass('left_behind') is null")
                .await
        ),
        "t"
    );
}

#[tokio::test]
async fn who_leaves_in_a_transaction_has_it_rolled_back_before_closed() {
    let server = Server::shared();
    let (gate, mut events) = gate(server.unix()).await;
    let (mut wire, session) = open(&gate, &mut events).await;
    let pid = wire.pid;
    wire.send(&query("begin; select pg_advisory_xact_lock(99)"))
        .await;
    arrived(&mut events).await;
    session.release(Release::default());
    next(&mut events).await;
    session.deliver();
    wire.until(b'Z').await;
    drop(wire);
    assert!(matches!(next(&mut events).await, Event::Closed { .. }));
    let mut direct = Wire::tcp(server.addr(), "postgres").await;
    assert_eq!(
        cell(
            &direct
                .run(&format!("select count(*) from pg_locks where pid = {pid}"))
                .await
        ),
        "0"
    );
}

#[tokio::test]
async fn a_half_closed_client_gets_its_reply() {
    let server = Server::shared();
    let (gate, mut events) = gate(server.unix()).await;
    let (mut wire, session) = open(&gate, &mut events).await;
    wire.send(&query("select pg_advisory_lock(7), 'late'"))
        .await;
    arrived(&mut events).await;
    let mut blocker = Wire::tcp(server.addr(), "postgres").await;
    blocker.run("select pg_advisory_lock(7)").await;
    session.release(Release::default());
    wire.stream.shutdown().await.expect("half-closed");
    blocker.run("select pg_advisory_unlock(7)").await;
    assert!(matches!(next(&mut events).await, Event::Ran { .. }));
    session.deliver();
    assert_eq!(tags(&wire.until(b'Z').await), "TDCZ");
    assert!(wire.next().await.is_none());
    assert!(matches!(next(&mut events).await, Event::Closed { .. }));
}

#[tokio::test]
async fn a_terminated_backend_tells_its_client_why() {
    let server = Server::shared();
    let (gate, mut events) = gate(server.unix()).await;
    let mut direct = Wire::tcp(server.addr(), "postgres").await;
    // At rest, and while a statement is held.
    for held in [false, true] {
        let (mut wire, _session) = open(&gate, &mut events).await;
        if held {
            wire.send(&query("select 1")).await;
            arrived(&mut events).await;
        }
        direct
            .run(&format!("select pg_terminate_backend({})", wire.pid))
            .await;
        if held {
            assert!(matches!(next(&mut events).await, Event::Withdrawn { .. }));
        }
        match next(&mut events).await {
            Event::Closed { reason, .. } => assert!(reason.contains("57P01"), "{reason}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(
            wire.next().await.expect("last words").code().as_deref(),
            Some("57P01")
        );
        assert!(wire.next().await.is_none());
    }
}

#[tokio::test]
async fn dropping_the_gate_ends_everything() {
    let server = Server::shared();
    let (gate, mut events) = gate(server.unix()).await;
    let (mut wire, _session) = open(&gate, &mut events).await;
    let addr = gate.addr();
    drop(gate);
    match next(&mut events).await {
        Event::Closed { reason, .. } => assert_eq!(reason, "the gate was closed"),
        other => panic!("{other:?}"),
    }
    assert!(in_time(wire.next()).await.is_none());
    assert!(in_time(events.recv()).await.is_none());
    assert!(TcpStream::connect(addr).await.is_err());
}
