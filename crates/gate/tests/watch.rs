//! A gate that only looks: everything passes at once, whatever the server is busy with and whatever it is; and what passed
//! is told.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::lab::Seen;
use common::{
    Lab, Message, Policy, Server, Wire, bind, describe, execute, flush, in_time, message, parse,
    query, run, sync, tags,
};
use deadheat_gate::{Door, Gate, TxStatus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A client that was blocked for so long has to read before it can go on.
const BLOCKED: Duration = Duration::from_millis(700);

#[tokio::test]
async fn what_a_running_statement_says_passes_while_it_runs() {
    let server = Server::shared();
    let lab = Lab::open(server.tcp(), Policy::Watch).await;
    let mut holder = Wire::tcp(server.addr(), "postgres").await;
    let mut all = Vec::new();
    for addr in [server.addr(), lab.gate.addr()] {
        holder.run("select pg_advisory_lock(8)").await;
        let mut wire = Wire::tcp(addr, "postgres").await;
        wire.send(&query(
            "do $$ begin raise notice 'so far'; perform pg_advisory_lock(8); end $$",
        ))
        .await;
        let notice = in_time(wire.next()).await.expect("a notice");
        holder.run("select pg_advisory_unlock(8)").await;
        let mut seen = vec![notice];
        seen.extend(in_time(wire.until(b'Z')).await);
        // Rows, too, as soon as the server sends them.
        wire.run("select pg_advisory_unlock(8)").await;
        holder.run("select pg_advisory_lock(8)").await;
        wire.send(&query(
            "select repeat('x', 30000) from generate_series(1, 2) union all select pg_advisory_lock(8)::text",
        ))
        .await;
        seen.extend(in_time(wire.next()).await);
        seen.extend(in_time(wire.next()).await);
        holder.run("select pg_advisory_unlock(8)").await;
        seen.extend(in_time(wire.until(b'Z')).await);
        all.push(seen);
    }
    assert_eq!(tags(&all[0]), "NCZTDDDCZ");
    assert_eq!(all[0], all[1]);
}

/// Sends statements without ever reading until it is not let any more; then reads, and sends the Sync. Returns how many it
/// sent, and how many came back.
async fn without_reading(addr: SocketAddr) -> (usize, usize) {
    let stream = TcpStream::connect(addr).await.expect("a connection");
    let mut wire = Wire::on(Box::new(stream), "postgres").await;
    wire.send(&[parse("echo", "select $1::text"), flush()].concat())
        .await;
    wire.until(b'1').await;
    let text = "e".repeat(4000);
    let one = [bind("", "echo", &[Some(&text)]), execute("", 0)].concat();
    let (mut from, mut to) = tokio::io::split(wire.stream);
    let mut sent = 0;
    let mut left = &one[..];
    while let Ok(count) = tokio::time::timeout(BLOCKED, to.write(left)).await {
        left = &left[count.expect("the gate is there")..];
        if left.is_empty() {
            sent += 1;
            left = &one;
        }
        assert!(sent < 100_000, "somebody keeps all of it");
    }
    let begun = left.len() < one.len();
    let end = async {
        if begun {
            to.write_all(left).await.expect("the rest");
        }
        to.write_all(&sync()).await.expect("the end");
    };
    let read = async {
        let mut rows = 0;
        loop {
            let tag = from.read_u8().await.expect("a message");
            let length = from.read_u32().await.expect("its length") as usize - 4;
            from.read_exact(&mut vec![0; length])
                .await
                .expect("its body");
            match tag {
                b'D' => rows += 1,
                b'Z' => return rows,
                _ => {}
            }
        }
    };
    let ((), rows) = in_time(async { tokio::join!(end, read) }).await;
    (sent + usize::from(begun), rows)
}

#[tokio::test]
async fn who_sends_without_reading_is_stopped_and_then_goes_on() {
    let server = Server::shared();
    let (sent, rows) = without_reading(server.addr()).await;
    assert_eq!(sent, rows);
    for policy in Policy::ALL {
        let lab = Lab::open(server.tcp(), policy).await;
        let (sent, rows) = without_reading(lab.gate.addr()).await;
        assert_eq!(sent, rows, "{policy:?}");
    }
}

/// How many bytes a client can send while the server is busy with what came first.
async fn kept_on_the_way(addr: SocketAddr) -> usize {
    let stream = TcpStream::connect(addr).await.expect("a connection");
    let mut wire = Wire::on(Box::new(stream), "postgres").await;
    wire.send(&run("select pg_sleep(2)", &[])).await;
    let one = message(b'd', &vec![0; 32 * 1024]);
    let mut sent = 0;
    while let Ok(count) = {
        let left = &one[sent % one.len()..];
        tokio::time::timeout(BLOCKED, wire.stream.write(left)).await
    } {
        sent += count.expect("the gate is there");
    }
    sent
}

#[tokio::test]
async fn a_gate_keeps_little_of_what_the_server_does_not_read() {
    const LITTLE: usize = 512 * 1024;
    let server = Server::shared();
    let direct = kept_on_the_way(server.addr()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("its address");
    let (told, _heard) = mpsc::unbounded_channel();
    let _gate = Gate::watching(listener, server.tcp(), told, Door::default()).expect("a gate");
    let kept = kept_on_the_way(addr).await;
    assert!(kept < direct + LITTLE, "{kept}, directly {direct}");
}

/// Sends all of it at once through a gate that looks, and the last `select` behind it; returns what was told.
async fn told(bytes: &[u8]) -> Seen {
    let server = Server::shared();
    let lab = Lab::open(server.unix(), Policy::Watch).await;
    let database = server.database().await;
    let mut wire = Wire::tcp(lab.gate.addr(), &database).await;
    wire.run("create table t (id int primary key deferrable initially deferred)")
        .await;
    wire.send(&[bytes, &query("select 'the end'")].concat())
        .await;
    in_time(async {
        while let Some(message) = wire.next().await {
            if message.tag == b'D' && message.body.ends_with(b"the end") {
                break;
            }
        }
        wire.until(b'Z').await;
        wire.send(&message(b'X', &[])).await;
        while lab.seen.lock().expect("no panic").closed.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut seen = lab.seen.lock().expect("no panic");
    let mut seen = std::mem::take(&mut *seen);
    assert_eq!(seen.closed, ["the client left"]);
    let ends = [seen.batches.remove(0), seen.batches.pop().expect("the end")];
    assert!(ends[0].statements[0].sql.starts_with("create table t"));
    assert_eq!(&*ends[1].statements[0].sql, "select 'the end'");
    seen.replies.remove(0);
    seen.replies.pop();
    seen
}

/// One line a batch: its texts and parameters, the status around it, what came of it.
fn lines(seen: &Seen) -> Vec<String> {
    let both = seen.batches.iter().zip(&seen.replies);
    both.map(|(batch, reply)| {
        let texts = batch.statements.iter().map(|statement| {
            let params = statement.params.iter().map(deadheat_gate::Param::text);
            let params: Vec<_> = params.map(Option::unwrap_or_default).collect();
            format!("{} {params:?}", statement.sql)
        });
        let short = |status| match status {
            TxStatus::Idle => 'I',
            TxStatus::Open => 'T',
            TxStatus::Failed => 'E',
        };
        format!(
            "{}: {}->{} {:?} {}",
            texts.collect::<Vec<_>>().join("; "),
            short(batch.status),
            short(reply.status),
            reply.tags,
            reply.error.as_ref().map_or("", |error| &error.code),
        )
    })
    .collect()
}

#[tokio::test]
async fn a_pipeline_is_told_batch_by_batch() {
    let seen = told(
        &[
            parse("s", "insert into t values ($1)"),
            sync(),
            bind("", "s", &[Some("1")]),
            execute("", 0),
            sync(),
            query("begin"),
            bind("", "s", &[Some("2")]),
            execute("", 0),
            bind("", "s", &[Some("x")]),
            execute("", 0),
            bind("", "s", &[Some("3")]),
            execute("", 0),
            sync(),
            query("rollback"),
            run("select 1", &[]),
            flush(),
            run("select 2/0", &[]),
            flush(),
            query("select 'skipped'"),
            run("select 'skipped'", &[]),
            sync(),
            run("insert into t values (4)", &[]),
            flush(),
            sync(),
            run("insert into t values (4)", &[]),
            flush(),
            sync(),
            parse("bad", "select nonsense"),
            describe(b'S', "bad"),
            sync(),
        ]
        .concat(),
    )
    .await;
    assert_eq!(seen.lost, [""; 0]);
    assert_eq!(
        lines(&seen),
        [
            r#"insert into t values ($1) ["1"]: I->I ["INSERT 0 1"] "#,
            r#"begin []: I->T ["BEGIN"] "#,
            r#"insert into t values ($1) ["2"]; insert into t values ($1) ["x"]; insert into t values ($1) ["3"]: T->E ["INSERT 0 1"] 22P02"#,
            r#"rollback []: E->I ["ROLLBACK"] "#,
            r#"select 1 []: I->T ["SELECT 1"] "#,
            "select 2/0 []: T->E [] 22012",
            r#"insert into t values (4) []: I->T ["INSERT 0 1"] "#,
            "COMMIT []: T->I [] ",
            r#"insert into t values (4) []: I->T ["INSERT 0 1"] "#,
            "COMMIT []: T->I [] 23505",
            "select nonsense []: I->I [] 42703",
        ]
    );
}

#[tokio::test]
async fn copies_are_told_once_whenever_their_data_comes() {
    let copy = [
        parse("", "copy t from stdin"),
        bind("", "", &[]),
        execute("", 0),
    ]
    .concat();
    let data = |text: &str| message(b'd', text.as_bytes());
    let seen = told(
        &[
            query("copy t from stdin"),
            data("1\n"),
            message(b'c', &[]),
            copy.clone(),
            sync(),
            data("2\n"),
            message(b'c', &[]),
            sync(),
            copy.clone(),
            data("3\n"),
            message(b'f', b"no\0"),
            sync(),
            query("copy t from stdin"),
            data("x\n"),
            message(b'c', &[]),
            query("copy t to stdout"),
        ]
        .concat(),
    )
    .await;
    assert_eq!(seen.lost, [""; 0]);
    assert_eq!(
        lines(&seen),
        [
            r#"copy t from stdin []: I->I ["COPY 1"] "#,
            r#"copy t from stdin []: I->I ["COPY 1"] "#,
            "copy t from stdin []: I->I [] 57014",
            "copy t from stdin []: I->I [] 22P02",
            r#"copy t to stdout []: I->I ["COPY 2"] "#,
        ]
    );
}

#[tokio::test]
async fn what_nobody_understands_passes_as_it_is() {
    let server = Server::shared();
    let lab = Lab::open(server.tcp(), Policy::Watch).await;
    let nonsense = [
        b"nonsense"[..].to_vec(),
        message(b'Q', b"no end"),
        message(b'B', &[0, 0, 0, 9]),
        message(b'E', b"\0"),
        [&b"Q"[..], &3u32.to_be_bytes()].concat(),
        [&b"P"[..], &0x4000_0000u32.to_be_bytes()].concat(),
        message(b'1', &[]),
        message(b'p', b"a password\0"),
    ];
    for bytes in &nonsense {
        let work = async |addr| -> Vec<Message> {
            let mut wire = Wire::tcp(addr, "postgres").await;
            wire.send(&[&bytes[..], &sync()].concat()).await;
            wire.until(b'Z').await
        };
        let expected = in_time(work(server.addr())).await;
        assert_eq!(in_time(work(lab.gate.addr())).await, expected, "{bytes:?}");
    }
    let mut wire = Wire::tcp(lab.gate.addr(), "postgres").await;
    assert_eq!(tags(&wire.run("select 'served'").await), "TDCZ");
    assert!(!lab.seen.lock().expect("no panic").lost.is_empty());
}

#[tokio::test]
async fn nobody_gets_far_ahead_of_who_takes_note() {
    const ALL: usize = 4000;
    let server = Server::shared();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let (told, mut seen) = mpsc::unbounded_channel();
    let _gate = Gate::watching(listener, server.tcp(), told, Door::default()).expect("a gate");
    let mut wire = Wire::tcp(addr, "postgres").await;
    let Some(deadheat_gate::Seen::Opened { session, .. }) = in_time(seen.recv()).await else {
        panic!("an opened session");
    };
    let client = tokio::spawn(async move {
        // So long that a read takes few of them.
        let one = query(&format!("select 1 -- {}", "-".repeat(8000)));
        for _ in 0..ALL {
            wire.send(&one).await;
        }
        for _ in 0..ALL {
            wire.until(b'Z').await;
        }
    });
    let mut count = 0;
    while let Ok(Some(_)) = tokio::time::timeout(BLOCKED, seen.recv()).await {
        count += 1;
    }
    assert!((1000..1500).contains(&count), "{count} without a word");
    for _ in 0..count {
        session.heard();
    }
    while count < ALL {
        assert!(in_time(seen.recv()).await.is_some());
        session.heard();
        count += 1;
    }
    in_time(client).await.expect("all of it");
}
