//! What a gate in front of PostgreSQL has to survive, point by point: each time what a client sees through the gate is,
//! byte for byte, what it sees without. The other files go into each of them.

mod common;

use std::net::SocketAddr;

use common::script::Do::{Read, Ready, Send, Until};
use common::script::{same, sent, simple};
use common::{
    Lab, Message, Policy, Server, Wire, bind, cell, describe, execute, flush, in_time, message,
    parse, query, run, startup, sync, tags,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const GSS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 48];

/// Does the same directly and through a gate of each kind.
async fn both<T: PartialEq + std::fmt::Debug>(work: impl AsyncFn(SocketAddr) -> T) -> T {
    through(&Policy::ALL, work).await
}

async fn through<T: PartialEq + std::fmt::Debug>(
    policies: &[Policy],
    work: impl AsyncFn(SocketAddr) -> T,
) -> T {
    let server = Server::shared();
    let expected = in_time(work(server.addr())).await;
    for policy in policies {
        let lab = Lab::open(server.tcp(), *policy).await;
        assert_eq!(in_time(work(lab.gate.addr())).await, expected, "{policy:?}");
    }
    expected
}

/// The greeting but for the number and key of the process, which are its own each time.
async fn greeting(wire: &mut Wire) -> Vec<Message> {
    let mut seen = wire.until(b'Z').await;
    seen.retain(|message| message.tag != b'K');
    seen
}

async fn dial(addr: SocketAddr) -> Wire {
    Wire::bare(Box::new(TcpStream::connect(addr).await.expect("a socket")))
}

#[tokio::test]
async fn point_1_requests_for_encryption_and_a_startup_packet_in_pieces() {
    let server = Server::shared();
    // A server may grant what the gate declines, so that it is asked for nothing.
    let mut direct = dial(server.addr()).await;
    direct.send(&startup("postgres", "postgres")).await;
    let expected = greeting(&mut direct).await;
    let lab = Lab::open(server.tcp(), Policy::Gap).await;
    for requests in [
        vec![],
        vec![SSL_REQUEST],
        vec![GSS_REQUEST, SSL_REQUEST],
        vec![SSL_REQUEST, GSS_REQUEST],
    ] {
        let mut wire = dial(lab.gate.addr()).await;
        for request in requests {
            for piece in request.chunks(3) {
                wire.send(piece).await;
                tokio::task::yield_now().await;
            }
            assert_eq!(wire.stream.read_u8().await.expect("an answer"), b'N');
        }
        for piece in startup("postgres", "postgres").chunks(5) {
            wire.send(piece).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(in_time(greeting(&mut wire)).await, expected);
    }
}

#[tokio::test]
async fn point_2_newer_protocols_and_options() {
    let seen = both(async |addr| {
        let mut body = 196_610u32.to_be_bytes().to_vec();
        body.extend(b"user\0postgres\0database\0postgres\0_pq_.something\0on\0\0");
        let mut wire = dial(addr).await;
        let packet = [&(body.len() as u32 + 4).to_be_bytes()[..], &body].concat();
        wire.send(&packet).await;
        greeting(&mut wire).await
    })
    .await;
    assert!(seen.iter().any(|message| message.tag == b'v'), "{seen:?}");
}

#[tokio::test]
async fn point_3_a_cancel_request_on_its_own_connection() {
    let server = Server::shared();
    let seen = both(async |addr| {
        let mut wire = Wire::tcp(addr, "postgres").await;
        wire.send(&query("select 1, pg_sleep(600)")).await;
        let mut watcher = Wire::tcp(server.addr(), "postgres").await;
        let sleeping = format!(
            "select count(*) from pg_stat_activity where pid = {} and wait_event = 'PgSleep'",
            wire.pid
        );
        while cell(&watcher.run(&sleeping).await) != "1" {}
        let mut packet = vec![0, 0, 0, 16, 4, 210, 22, 46];
        packet.extend(wire.pid.to_be_bytes());
        packet.extend(&wire.key);
        let mut stream = TcpStream::connect(addr).await.expect("a socket");
        stream.write_all(&packet).await.expect("written");
        let mut seen = wire.until(b'Z').await;
        seen.extend(wire.run("select 'spared'").await);
        seen
    })
    .await;
    assert_eq!(tags(&seen), "TEZTDCZ");
}

#[tokio::test]
async fn point_4_scram_passes_through() {
    let mut admin = Wire::tcp(Server::shared().addr(), "postgres").await;
    admin
        .run("create role with_password login password 'secret'")
        .await;
    let seen = both(async |addr| {
        let mut wire = dial(addr).await;
        wire.send(&startup("with_password", "postgres")).await;
        let offer = wire.next().await.expect("an offer");
        let first = b"n,,n=,r=rOprNGfwEbeRWgbNEkqO";
        let mut body = b"SCRAM-SHA-256\0\0\0\0".to_vec();
        body.push(first.len() as u8);
        body.extend(first);
        wire.send(&message(b'p', &body)).await;
        // The server's challenge has a nonce in it; that it is one is all that can be equal.
        let challenge = wire.next().await.expect("a challenge");
        assert!(challenge.body[4..].starts_with(b"r=rOprNGfwEbeRWgbNEkqO"));
        wire.send(&message(b'p', b"c=biws,r=wrong,p=AAAA")).await;
        let mut seen = vec![offer];
        seen.extend(wire.until(b'Z').await);
        seen
    })
    .await;
    assert_eq!(tags(&seen), "RE");
}

#[tokio::test]
async fn point_5_flush_releases_and_a_pipeline_stays_whole() {
    let seen = same(&[
        Send([run("select 1", &[]), flush()].concat()),
        Until(b'C'),
        Send(
            [
                run("select 1/0", &[]),
                run("select 'skipped'", &[]),
                flush(),
            ]
            .concat(),
        ),
        Until(b'E'),
        Send([run("select 'skipped, too'", &[]), sync()].concat()),
        Ready(1),
        Send(
            [
                run("select 2", &[]),
                sync(),
                run("select x", &[]),
                sync(),
                query("select 3"),
            ]
            .concat(),
        ),
        Ready(3),
    ])
    .await;
    assert_eq!(tags(&seen), "12TDC1EZ12TDCZEZTDCZ");
}

#[tokio::test]
async fn point_6_portals_and_function_calls() {
    // int4pl(20, 22), in binary.
    let call = [
        &177u32.to_be_bytes()[..],
        &[
            0, 1, 0, 1, 0, 2, 0, 0, 0, 4, 0, 0, 0, 20, 0, 0, 0, 4, 0, 0, 0, 22, 0, 1,
        ],
    ]
    .concat();
    let series = "select g from generate_series(1, 5) g";
    let seen = sent(&[
        vec![query("begin")],
        vec![
            parse("s", series),
            bind("p", "s", &[]),
            describe(b'P', "p"),
            execute("p", 2),
            sync(),
        ],
        vec![
            execute("p", 2),
            execute("p", 2),
            common::close(b'P', "p"),
            sync(),
        ],
        vec![message(b'F', &call)],
        vec![query("commit")],
    ])
    .await;
    assert_eq!(tags(&seen), "CZ12TDDsZDDsDC3ZVZCZ");
}

#[tokio::test]
async fn point_7_copy_in_out_failed_and_with_flush_inside() {
    let data = |text: &str| message(b'd', text.as_bytes());
    let seen = same(&[
        Send(query("copy t from stdin")),
        Until(b'G'),
        Send(
            [
                data("7\tse"),
                flush(),
                data("ven\n"),
                sync(),
                message(b'c', &[]),
            ]
            .concat(),
        ),
        Ready(1),
        Send(query("copy t from stdin")),
        Until(b'G'),
        Send([data("8\teight\n"), message(b'f', b"no\0")].concat()),
        Ready(1),
        Send(query("copy t to stdout")),
        Ready(1),
    ])
    .await;
    assert_eq!(tags(&seen), "GCZGEZHdddcCZ");
    // Both ways at once: a replication session passes as it is.
    let seen = both(async |addr| {
        let mut wire = dial(addr).await;
        let mut packet = startup("postgres", "postgres");
        packet.pop();
        packet.extend(b"replication\0true\0\0");
        let length = packet.len() as u32;
        packet[..4].copy_from_slice(&length.to_be_bytes());
        wire.send(&packet).await;
        wire.until(b'Z').await;
        wire.send(&query("START_REPLICATION PHYSICAL 0/1000000"))
            .await;
        let begun = wire.next().await;
        wire.send(&message(b'c', &[])).await;
        begun
    })
    .await;
    assert_eq!(seen.expect("a beginning").tag, b'W');
}

#[tokio::test]
async fn point_8_what_comes_while_idle_passes_at_once() {
    let server = Server::shared();
    let mut other = Wire::tcp(server.addr(), "postgres").await;
    other.run("create sequence if not exists names").await;
    let seen = both(async |addr| {
        let mut wire = Wire::tcp(addr, "postgres").await;
        let mut seen = wire.run("listen news").await;
        let mut other = Wire::tcp(server.addr(), "postgres").await;
        other.run("notify news, 'while idle'").await;
        seen.extend(wire.next().await);
        seen.extend(wire.run("do $$ begin raise notice 'hm'; end $$").await);
        seen.extend(wire.run("set application_name = 'renamed'").await);
        seen
    })
    .await;
    assert_eq!(tags(&seen), "CZANCZCSZ");
}

#[tokio::test]
async fn point_9_messages_larger_than_any_buffer() {
    let text = "z".repeat(20_000_000);
    let seen = sent(&[vec![run("select $1::text", &[Some(&text)]), sync()]]).await;
    assert_eq!(tags(&seen), "12TDCZ");
    let seen = simple(&["select repeat('x', 40000000)"]).await;
    assert_eq!(tags(&seen), "TDCZ");
}

#[tokio::test]
async fn point_10_half_closed_terminated_and_ended_by_the_server() {
    let server = Server::shared();
    // A lab withdraws what a client that has left did not wait for; a gate that only looks does as the server does.
    let seen = through(&[Policy::Watch], async |addr| {
        let mut seen = Vec::new();
        // Half-closed: what was asked is answered.
        let mut wire = Wire::tcp(addr, "postgres").await;
        wire.send(&query("select 'last'")).await;
        wire.stream.shutdown().await.expect("half-closed");
        seen.extend(wire.until(b'Z').await);
        assert!(wire.next().await.is_none());
        // Terminated behind a statement: the same.
        let mut wire = Wire::tcp(addr, "postgres").await;
        wire.send(&[query("select 'goodbye'"), message(b'X', &[])].concat())
            .await;
        seen.extend(wire.until(b'Z').await);
        assert!(wire.next().await.is_none());
        seen
    })
    .await;
    assert_eq!(tags(&seen), "TDCZTDCZ");
    // Ended by the server.
    let seen = both(async |addr| {
        let mut wire = Wire::tcp(addr, "postgres").await;
        let mut other = Wire::tcp(server.addr(), "postgres").await;
        other
            .run(&format!("select pg_terminate_backend({})", wire.pid))
            .await;
        wire.until(b'Z').await
    })
    .await;
    assert_eq!(tags(&seen), "E");
}

#[tokio::test]
async fn point_11_who_waits_for_a_lock_stalls_nobody() {
    let server = Server::shared();
    let seen = both(async |addr| {
        let mut holder = Wire::tcp(server.addr(), "postgres").await;
        holder.run("select pg_advisory_lock(11)").await;
        let mut waiting = Wire::tcp(addr, "postgres").await;
        waiting
            .send(&query("select pg_advisory_lock(11), 'at last'"))
            .await;
        let blocked = format!(
            "select count(*) from pg_locks where pid = {} and not granted",
            waiting.pid
        );
        while cell(&holder.run(&blocked).await) != "1" {}
        let mut other = Wire::tcp(addr, "postgres").await;
        let mut seen = Vec::new();
        for _ in 0..20 {
            seen.extend(other.run("select 'not stalled'").await);
        }
        holder.run("select pg_advisory_unlock(11)").await;
        seen.extend(waiting.until(b'Z').await);
        seen
    })
    .await;
    assert!(tags(&seen).starts_with(&"TDCZ".repeat(21)));
}

#[tokio::test]
async fn point_12_with_nobody_at_the_gate_bytes_are_only_copied() {
    let server = Server::shared();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let addr = listener.local_addr().expect("an address");
    let gate = tokio::spawn(deadheat_gate::plain(listener, server.tcp()));
    // Even what is no message at all.
    let work = async |addr| {
        let mut wire = Wire::tcp(addr, "postgres").await;
        let mut seen = wire.run("select 1; select 2").await;
        wire.send(&[run("select 1/0", &[]), sync()].concat()).await;
        seen.extend(wire.until(b'Z').await);
        wire.send(b"nonsense").await;
        seen.extend(wire.until(b'Z').await);
        seen
    };
    let expected = in_time(work(server.addr())).await;
    assert_eq!(in_time(work(addr)).await, expected);
    assert!(tags(&expected).ends_with('E'), "{expected:?}");
    gate.abort();
}

#[tokio::test]
async fn point_13_writes_are_batched() {
    let server = Server::shared();
    let sql = "select g from generate_series(1, 2000) g";
    let mut direct = Wire::tcp(server.addr(), "postgres").await;
    let expected = direct.run(sql).await;
    for policy in Policy::ALL {
        let lab = Lab::open(server.unix(), policy).await;
        let mut wire = Wire::on(Box::new(lab.gate.connect(1)), "postgres").await;
        wire.send(&query(sql)).await;
        // 2003 messages; a read takes what one write, or several, have brought.
        let (mut bytes, mut reads) = (Vec::new(), 0);
        while !bytes.ends_with(b"Z\0\0\0\x05I") {
            in_time(wire.stream.read_buf(&mut bytes))
                .await
                .expect("bytes");
            bytes.reserve(128 * 1024);
            reads += 1;
        }
        let mut sent = Vec::new();
        for one in &expected {
            sent.extend(message(one.tag, &one.body));
        }
        assert!(bytes == sent, "{policy:?}");
        assert!(reads <= 20, "{reads} reads, {policy:?}");
    }
    // Up to the server, too: a pipeline is one write for each of its batches, not one for each message.
    let seen = same(&[
        Send([run("select 1", &[]).repeat(100), sync()].concat()),
        Read(500),
        Ready(1),
    ])
    .await;
    assert_eq!(seen.len(), 501);
}
