//! Clients and servers that mean harm, or have bad luck: truncated, oversized, reordered messages; thousands that come and
//! go; those that dawdle; a server that dies in mid-reply. Whatever happens to one connection happens to no other.

mod common;

use std::net::SocketAddr;

use common::{
    Lab, Message, Policy, Server, Wire, bind, cell, close, describe, execute, flush, in_time,
    message, parse, query, startup, sync,
};
use deadheat_gate::Gate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A recorded conversation: the client's startup packet and what it sent then.
const RECORDED: [&[u8]; 3] = [
    include_bytes!("../corpus/psql.client"),
    include_bytes!("../corpus/psycopg.client"),
    include_bytes!("../corpus/node.client"),
];

async fn still_serves(gate: &Gate) {
    let mut wire = in_time(Wire::tcp(gate.addr(), "postgres")).await;
    assert_eq!(cell(&in_time(wire.run("select 'served'")).await), "served");
}

/// Waits until the server has no session but the one that looks.
async fn until_alone(server: &Server) {
    let mut watcher = Wire::tcp(server.addr(), "postgres").await;
    let others = "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()";
    in_time(async { while cell(&watcher.run(others).await) != "0" {} }).await;
}

#[tokio::test]
async fn a_conversation_may_break_off_anywhere() {
    let server = Server::alone();
    let lab = Lab::open(server.unix(), Policy::Gap).await;
    for recorded in RECORDED {
        for end in (0..recorded.len()).step_by(23) {
            let mut stream = TcpStream::connect(lab.gate.addr()).await.expect("a gate");
            stream.write_all(&recorded[..end]).await.expect("written");
            if end % 2 == 0 {
                stream.shutdown().await.expect("half-closed");
                let mut rest = Vec::new();
                // The server may end it first.
                let _ = in_time(stream.read_to_end(&mut rest)).await;
            }
        }
    }
    still_serves(&lab.gate).await;
    until_alone(&server).await;
}

#[tokio::test]
async fn lengths_that_cannot_be_are_refused_at_once() {
    let server = Server::shared();
    let lab = Lab::open(server.unix(), Policy::Gap).await;
    for tag in b"QPBEDCFHSdcfX" {
        for length in [0u32, 3, 0x4000_0000, u32::MAX] {
            let mut wire = in_time(Wire::tcp(lab.gate.addr(), "postgres")).await;
            wire.send(&[&[*tag][..], &length.to_be_bytes()].concat())
                .await;
            let said = in_time(wire.until(b'Z')).await;
            let codes: Vec<_> = said.iter().filter_map(Message::code).collect();
            assert_eq!(codes, ["08P01"], "{} {length}", char::from(*tag));
        }
    }
    // A long message that never comes in full costs what has come.
    let mut wires = Vec::new();
    for _ in 0..20 {
        let mut wire = in_time(Wire::tcp(lab.gate.addr(), "postgres")).await;
        wire.send(&[b"Q", &0x3fff_0000u32.to_be_bytes()[..], b"select 1"].concat())
            .await;
        wires.push(wire);
    }
    still_serves(&lab.gate).await;
}

/// Messages in an order that only a generator would choose, ended so that the end can be told.
fn disorder(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut roll = |sides: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % sides as u64) as usize
    };
    let all: Vec<Vec<u8>> = vec![
        query("select 1; select 2"),
        query(""),
        query("begin"),
        query("rollback"),
        query("select 1/0"),
        query("insert into many values (1)"),
        parse("", "select $1::text"),
        parse("s", "insert into many values (2)"),
        parse("s", "select nonsense"),
        bind("", "", &[Some("x")]),
        bind("p", "s", &[]),
        bind("", "nowhere", &[]),
        describe(b'S', "s"),
        describe(b'P', ""),
        execute("", 0),
        execute("p", 1),
        close(b'S', "s"),
        close(b'P', "p"),
        flush(),
        sync(),
        sync(),
    ];
    let mut bytes = Vec::new();
    for _ in 0..3 + roll(12) {
        bytes.extend(&all[roll(all.len())]);
    }
    [bytes, sync(), query("rollback; select 'the end'")].concat()
}

/// Everything up to the end.
async fn told(addr: SocketAddr, database: &str, bytes: &[u8]) -> Vec<Message> {
    let mut wire = Wire::tcp(addr, database).await;
    wire.send(bytes).await;
    let mut seen = Vec::new();
    while let Some(message) = wire.next().await {
        let end = message.tag == b'D' && message.body.ends_with(b"the end");
        seen.push(message);
        if end {
            seen.extend(wire.until(b'Z').await);
            break;
        }
    }
    seen
}

#[tokio::test]
async fn messages_in_any_order_are_answered_as_without_the_gate() {
    let server = Server::shared();
    let database = server.database().await;
    let mut direct = Wire::tcp(server.addr(), &database).await;
    direct.run("create table many (id int)").await;
    let mut labs = Vec::new();
    for policy in Policy::ALL {
        labs.push((policy, Lab::open(server.unix(), policy).await));
    }
    for seed in 1..=250 {
        let bytes = disorder(seed);
        direct.run("truncate many").await;
        let expected = in_time(told(server.addr(), &database, &bytes)).await;
        let rows = cell(&direct.run("select count(*) from many").await);
        for (policy, lab) in &labs {
            direct.run("truncate many").await;
            let seen = in_time(told(lab.gate.addr(), &database, &bytes)).await;
            assert_eq!(expected, seen, "seed {seed}, {policy:?}");
            let left = cell(&direct.run("select count(*) from many").await);
            assert_eq!(rows, left, "seed {seed}, {policy:?}");
        }
    }
}

#[tokio::test]
async fn ten_thousand_come_and_go() {
    let server = Server::alone();
    let lab = Lab::open(server.unix(), Policy::Gap).await;
    let files = || std::fs::read_dir("/proc/self/fd").expect("/proc").count();
    still_serves(&lab.gate).await;
    until_alone(&server).await;
    let before = files();
    for number in 0..10_000 {
        let mut stream = TcpStream::connect(lab.gate.addr()).await.expect("a gate");
        let hello = startup("postgres", "postgres");
        let sent = match number % 100 {
            // Gone while the server is still greeting it.
            0 => &hello[..],
            1..40 => &hello[..number % hello.len()],
            40..60 => b"GET / HTTP/1.1\r\n\r\n",
            _ => b"",
        };
        stream.write_all(sent).await.expect("written");
    }
    still_serves(&lab.gate).await;
    until_alone(&server).await;
    in_time(async {
        while files() > before + 8 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_writes_byte_by_byte_is_understood() {
    let server = Server::shared();
    let script = [
        parse("s", "select $1::text, 'dawdles'"),
        bind("", "s", &[Some("x")]),
        describe(b'P', ""),
        execute("", 0),
        sync(),
        query("select 1; select 2"),
        sync(),
        query("select 'the end'"),
    ]
    .concat();
    let expected = in_time(told(server.addr(), "postgres", &script)).await;
    let lab = Lab::open(server.tcp(), Policy::Gap).await;
    let stream = TcpStream::connect(lab.gate.addr()).await.expect("a gate");
    stream.set_nodelay(true).expect("a socket");
    let mut wire = Wire::on(Box::new(stream), "postgres").await;
    for byte in &script {
        wire.send(&[*byte]).await;
        tokio::task::yield_now().await;
    }
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.extend(in_time(wire.until(b'Z')).await);
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_server_killed_in_mid_reply_ends_its_clients_and_no_others() {
    let server = Server::alone();
    let lab = Lab::open(server.unix(), Policy::Bare).await;
    let other = Server::shared();
    let elsewhere = Lab::open(other.unix(), Policy::Bare).await;
    let mut wire = in_time(Wire::tcp(lab.gate.addr(), "postgres")).await;
    // More than is held, so that it is on its way to the client when its end comes.
    wire.send(&query(
        "select repeat('x', 100000) from generate_series(1, 10000)",
    ))
    .await;
    for _ in 0..300 {
        assert!(in_time(wire.next()).await.is_some());
    }
    server.kill();
    let rest = in_time(wire.until(b'Z')).await;
    assert!(
        rest.iter()
            .all(|message| message.tag == b'D' || message.tag == b'E')
    );
    assert!(in_time(wire.next()).await.is_none());
    still_serves(&elsewhere.gate).await;
    let closed = || lab.seen.lock().expect("no panic").closed.clone();
    in_time(async {
        while closed().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // And whoever comes now is told.
    let mut late = Wire::bare(Box::new(
        TcpStream::connect(lab.gate.addr()).await.expect("a gate"),
    ));
    late.send(&startup("postgres", "postgres")).await;
    let said = in_time(late.until(b'Z')).await;
    assert_eq!(said[0].code().as_deref(), Some("08006"));
}

#[tokio::test]
async fn copy_data_that_nobody_asked_for_hurts_nobody() {
    let server = Server::shared();
    let lab = Lab::open(server.unix(), Policy::Gap).await;
    let mut wire = in_time(Wire::tcp(lab.gate.addr(), "postgres")).await;
    for _ in 0..100 {
        wire.send(&message(b'd', &[b'x'; 10_000])).await;
    }
    wire.send(&[message(b'c', &[]), query("select 'the end'")].concat())
        .await;
    assert_eq!(cell(&in_time(wire.until(b'Z')).await), "the end");
}
