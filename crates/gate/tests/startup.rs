//! How connections begin, and what does not begin at all.

mod common;

use common::{Lab, Message, Policy, Server, Wire, in_time, query, startup, tags};
use deadheat_gate::Upstream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SSL: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const GSS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 48];

async fn connect(lab: &Lab) -> TcpStream {
    TcpStream::connect(lab.gate.addr())
        .await
        .expect("a connection")
}

/// What comes until the gate closes the connection.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // A connection closed with bytes unread ends in a reset.
    let _ = in_time(stream.read_to_end(&mut rest)).await;
    rest
}

#[tokio::test]
async fn encryption_is_declined_in_any_order() {
    let server = Server::shared();
    let lab = Lab::open(server.unix(), Policy::Bare).await;
    for requests in [
        vec![SSL],
        vec![GSS],
        vec![SSL, GSS],
        vec![GSS, SSL],
        vec![SSL, SSL],
    ] {
        let mut stream = connect(&lab).await;
        for request in requests {
            stream.write_all(&request).await.expect("a reader");
            assert_eq!(in_time(stream.read_u8()).await.expect("an answer"), b'N');
        }
        let mut wire = Wire::on(Box::new(stream), "postgres").await;
        assert_eq!(tags(&wire.run("select 1").await), "TDCZ");
    }
}

#[tokio::test]
async fn a_startup_packet_may_come_in_pieces() {
    let server = Server::shared();
    let lab = Lab::open(server.unix(), Policy::Bare).await;
    let mut wire = Wire {
        stream: Box::new(connect(&lab).await),
        pid: 0,
        key: Vec::new(),
    };
    // With a query right behind it, as some poolers do.
    for byte in [startup("postgres", "postgres"), query("select 1")].concat() {
        wire.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    in_time(wire.greet()).await;
    assert_ne!(wire.pid, 0);
    assert_eq!(tags(&in_time(wire.until(b'Z')).await), "TDCZ");
}

#[tokio::test]
async fn newer_protocols_are_negotiated_by_the_server() {
    let server = Server::shared();
    let lab = Lab::open(server.unix(), Policy::Bare).await;
    let mut packet = startup("postgres", "postgres");
    packet.pop();
    packet.extend(b"_pq_.unknown\0on\0\0");
    let length = packet.len() as u32;
    packet[..4].copy_from_slice(&length.to_be_bytes());
    packet[4..8].copy_from_slice(&196_610u32.to_be_bytes());
    let mut wire = Wire {
        stream: Box::new(connect(&lab).await),
        pid: 0,
        key: Vec::new(),
    };
    wire.send(&packet).await;
    let seen = in_time(wire.until(b'Z')).await;
    assert_eq!(seen[0].tag, b'v', "{seen:?}");
    assert_eq!(tags(&wire.run("select 1").await), "TDCZ");
}

#[tokio::test]
async fn what_is_no_startup_is_closed_and_hurts_nobody() {
    let server = Server::shared();
    let lab = Lab::open(server.unix(), Policy::Bare).await;
    let mut bystander = Wire::tcp(lab.gate.addr(), "postgres").await;
    let unfit: [&[u8]; 7] = [
        &[0x16, 3, 1],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 16],
        &[0, 0, 0, 4, 0, 0, 0, 0],
        &[0, 0, 0, 9, 0, 2, 0, 0, 0],
        &[0, 0, 0, 9, 0, 3, 0, 0, 1],
        &[0, 0, 0, 12, 4, 210, 22, 46, 0, 0, 0, 1],
    ];
    for bytes in unfit {
        let mut stream = connect(&lab).await;
        stream.write_all(bytes).await.expect("a reader");
        assert!(rest(&mut stream).await.is_empty(), "{bytes:?}");
    }
    assert_eq!(tags(&bystander.run("select 1").await), "TDCZ");
}

#[tokio::test]
async fn a_malformed_message_closes_its_connection_only() {
    let server = Server::shared();
    let lab = Lab::open(server.unix(), Policy::Bare).await;
    let mut bystander = Wire::tcp(lab.gate.addr(), "postgres").await;
    let malformed: [&[u8]; 7] = [
        b"Q\x7f\xff\xff\xff",
        b"Q\0\0\0\x03",
        b"Q\0\0\0\x08abcd",
        b"\0\0\0\0\x04",
        b"S\0\0\xff\xff",
        b"B\0\0\0\x0c\0\0\0\0\0\x01\0\0",
        b"D\0\0\0\x06x\0",
    ];
    for bytes in malformed {
        let mut wire = Wire::tcp(lab.gate.addr(), "postgres").await;
        wire.send(bytes).await;
        let last = in_time(wire.next()).await.expect("last words");
        assert_eq!(
            (last.field(b'S').as_deref(), last.code().as_deref()),
            (Some("FATAL"), Some("08P01")),
            "{bytes:?}"
        );
        assert!(in_time(wire.next()).await.is_none());
    }
    assert_eq!(tags(&bystander.run("select 1").await), "TDCZ");
}

#[tokio::test]
async fn errors_of_the_server_pass_before_there_is_a_session() {
    let server = Server::shared();
    let lab = Lab::open(server.unix(), Policy::Bare).await;
    let mut direct = TcpStream::connect(server.addr())
        .await
        .expect("a connection");
    let mut through = connect(&lab).await;
    let packet = startup("postgres", "no_such_database");
    direct.write_all(&packet).await.expect("a reader");
    through.write_all(&packet).await.expect("a reader");
    let expected = rest(&mut direct).await;
    assert!(!expected.is_empty());
    assert_eq!(expected, rest(&mut through).await);
    assert!(lab.seen.lock().expect("no panic").closed.is_empty());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_so() {
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .and_then(|free| free.local_addr())
        .expect("a port");
    let lab = Lab::open(Upstream::Tcp(free), Policy::Bare).await;
    let mut wire = Wire {
        stream: Box::new(connect(&lab).await),
        pid: 0,
        key: Vec::new(),
    };
    wire.send(&startup("postgres", "postgres")).await;
    let last = in_time(wire.next()).await.expect("last words");
    assert_eq!(last.code().as_deref(), Some("08006"));
    let server = Server::shared();
    lab.gate.set_upstream(server.unix());
    let mut wire = Wire::tcp(lab.gate.addr(), "postgres").await;
    assert_eq!(tags(&wire.run("select 1").await), "TDCZ");
}

/// A server of the test's own, for what the real one does not do.
async fn fake(greeting: Vec<u8>, answers: Vec<u8>) -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let mut packet = [0; 1024];
        let read = stream.read(&mut packet).await.expect("a startup packet");
        assert!(read > 0);
        stream.write_all(&greeting).await.expect("a reader");
        let read = stream.read(&mut packet).await.expect("a query");
        assert!(read > 0);
        stream.write_all(&answers).await.expect("a reader");
    });
    Upstream::Tcp(addr)
}

fn all(messages: &[(u8, &[u8])]) -> Vec<u8> {
    messages
        .iter()
        .flat_map(|(tag, body)| common::message(*tag, body))
        .collect()
}

#[tokio::test]
async fn a_server_without_cancel_keys_or_with_long_ones() {
    let long = [&[0, 0, 0, 5][..], &[7; 256]].concat();
    let without = all(&[(b'R', &[0; 4]), (b'Z', b"I")]);
    let with = all(&[(b'R', &[0; 4]), (b'K', &long), (b'Z', b"I")]);
    for (greeting, key) in [(without, 0), (with, 256)] {
        let answers = all(&[(b'C', b"SELECT 0\0"), (b'Z', b"I")]);
        let lab = Lab::open(fake(greeting, answers).await, Policy::Bare).await;
        let mut wire = Wire::tcp(lab.gate.addr(), "postgres").await;
        assert_eq!(wire.key.len(), key);
        assert_eq!(tags(&in_time(wire.run("select")).await), "CZ");
    }
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_or_vanishes() {
    let greeting = all(&[(b'R', &[0; 4]), (b'Z', b"I")]);
    for (answers, words) in [
        (b"Z\0\0\0\x05X".to_vec(), Some("08P01")),
        (b"D\0\0\0\x05\xff".to_vec(), Some("08P01")),
        (b"1\0\0\0\x04".to_vec(), Some("08P01")),
        (b"\xff\xff\xff\xff\xff".to_vec(), Some("08P01")),
        (all(&[(b'C', b"SELECT 0\0")]), None),
    ] {
        let lab = Lab::open(fake(greeting.clone(), answers.clone()).await, Policy::Bare).await;
        let mut wire = Wire::tcp(lab.gate.addr(), "postgres").await;
        wire.send(&query("select")).await;
        let seen = in_time(wire.until(b'Z')).await;
        assert_eq!(
            seen.last().and_then(Message::code).as_deref(),
            words,
            "{answers:?}"
        );
        while lab.seen.lock().expect("no panic").closed.is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_slow_reader_holds_the_server_back() {
    let server = Server::shared();
    let lab = Lab::open(server.unix(), Policy::Bare).await;
    let mut slow = Wire::tcp(lab.gate.addr(), "postgres").await;
    let pid = slow.pid;
    slow.send(&query(
        "copy (select repeat('x', 1000) from generate_series(1, 200000)) to stdout",
    ))
    .await;
    // 200 MB do not fit anywhere: the server has to wait until they are read.
    let mut watcher = Wire::tcp(server.addr(), "postgres").await;
    let waits = format!(
        "select count(*) from pg_stat_activity where pid = {pid} and wait_event = 'ClientWrite'"
    );
    in_time(async { while common::cell(&watcher.run(&waits).await) != "1" {} }).await;
    let mut rows = 0;
    while let Some(message) = in_time(slow.next()).await {
        rows += usize::from(message.tag == b'd');
        if message.tag == b'Z' {
            break;
        }
    }
    assert_eq!(rows, 200_000);
}

#[tokio::test]
async fn replication_passes_unheld() {
    let server = Server::shared();
    let lab = Lab::open(server.unix(), Policy::Bare).await;
    let mut packet = startup("postgres", "postgres");
    packet.pop();
    packet.extend(b"replication\0database\0\0");
    let length = packet.len() as u32;
    packet[..4].copy_from_slice(&length.to_be_bytes());
    let mut wire = Wire {
        stream: Box::new(connect(&lab).await),
        pid: 0,
        key: Vec::new(),
    };
    wire.send(&packet).await;
    in_time(wire.greet()).await;
    assert_eq!(tags(&in_time(wire.run("IDENTIFY_SYSTEM")).await), "TDCZ");
    assert!(lab.seen.lock().expect("no panic").batches.is_empty());
}

#[tokio::test]
async fn a_plain_gate_keeps_half_closed_connections() {
    let echo = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let upstream = Upstream::Tcp(echo.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (mut stream, _) = echo.accept().await.expect("a client");
        // Answers only when the client has said all it has to say.
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.expect("an end");
        said.reverse();
        stream.write_all(&said).await.expect("a reader");
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let gate = tokio::spawn(deadheat_gate::plain(listener, upstream));
    let mut stream = TcpStream::connect(addr).await.expect("a connection");
    stream.write_all(b"abc").await.expect("a reader");
    stream.shutdown().await.expect("half-closed");
    assert_eq!(rest(&mut stream).await, b"cba");
    gate.abort();
}
