//! COPY and large replies: every byte a client gets through the gate is one it would have got from the server.

mod common;

use common::script::Do::{Ready, Send, Until};
use common::script::{same, sent, simple};
use common::{bind, describe, execute, flush, message, parse, query, run, sync};

fn data(text: &str) -> Vec<u8> {
    message(b'd', text.as_bytes())
}

fn done() -> Vec<u8> {
    message(b'c', &[])
}

#[tokio::test]
async fn copy_with_simple_queries() {
    same(&[
        Send(query("copy t from stdin")),
        Until(b'G'),
        Send(
            [
                data("40\tforty\n"),
                data("41\tfor"),
                data("ty-one\n"),
                done(),
            ]
            .concat(),
        ),
        Ready(1),
        Send(query("copy t to stdout")),
        Ready(1),
        Send(query("copy t from stdin")),
        Until(b'G'),
        Send([data("50\tfifty\n"), message(b'f', b"changed my mind\0")].concat()),
        Ready(1),
        Send(query("copy t from stdin")),
        Until(b'G'),
        Send([data("not a number\tx\n"), data("60\tsixty\n"), done()].concat()),
        Ready(1),
        Send(query("select 1; copy t from stdin; select 2")),
        Until(b'G'),
        Send([data("70\tseventy\n"), flush(), sync(), done()].concat()),
        Ready(1),
        Send(
            [
                query("copy t from stdin"),
                data("80\teighty\n"),
                done(),
                query("select count(*) from t"),
            ]
            .concat(),
        ),
        Ready(2),
        Send(query("copy nowhere from stdin")),
        Ready(1),
    ])
    .await;
}

#[tokio::test]
async fn copy_with_the_extended_protocol() {
    let copy = [
        parse("", "copy t from stdin"),
        bind("", "", &[]),
        describe(b'P', ""),
        execute("", 0),
    ]
    .concat();
    same(&[
        // As libpq does: a Sync that the server ignores, and another one.
        Send([copy.clone(), sync()].concat()),
        Until(b'G'),
        Send([data("40\tforty\n"), done(), sync()].concat()),
        Ready(1),
        Send([copy.clone(), flush()].concat()),
        Until(b'G'),
        Send([data("41\tforty-one\n"), done(), sync()].concat()),
        Ready(1),
        Send([copy.clone(), sync()].concat()),
        Until(b'G'),
        Send([data("x\n"), done(), sync()].concat()),
        Ready(1),
        Send([copy.clone(), data("42\tforty-two\n"), done(), sync()].concat()),
        Ready(1),
        Send([copy, sync()].concat()),
        Until(b'G'),
        Send([message(b'f', b"no\0"), sync()].concat()),
        Ready(1),
        Send([run("copy t to stdout", &[]), sync()].concat()),
        Ready(1),
    ])
    .await;
}

#[tokio::test]
async fn large_replies_stream() {
    let seen = simple(&[
        "select repeat('x', 1000) from generate_series(1, 20000)",
        "select repeat('x', 20000000)",
        "insert into many select g from generate_series(1, 10) g; select repeat('y', 30000) from generate_series(1, 700)",
    ])
    .await;
    assert_eq!(
        seen.iter().filter(|message| message.tag == b'D').count(),
        20_701
    );
    let text = "z".repeat(3_000_000);
    sent(&[vec![
        run("select length($1::text), $1::text", &[Some(&text)]),
        sync(),
    ]])
    .await;
}

#[tokio::test]
async fn large_copies_stream() {
    let line = format!("{}\n", "9".repeat(9));
    let lines = line.repeat(100_000);
    let huge = format!("{}\n", "1\n".repeat(400_000).trim_end());
    same(&[
        Send(query("copy many from stdin")),
        Until(b'G'),
        Send([data(&lines), data(&huge), done()].concat()),
        Ready(1),
        Send(query("copy many to stdout")),
        Ready(1),
    ])
    .await;
}

#[tokio::test]
async fn a_batch_too_long_to_wait_for_its_sync_is_cut() {
    let text = "w".repeat(500_000);
    let one = [bind("", "", &[Some(&text)]), execute("", 0)].concat();
    let all = [parse("", "select length($1::text)"), one.repeat(40), sync()].concat();
    let seen = same(&[Send(all), Ready(1)]).await;
    assert_eq!(common::tags(&seen), format!("1{}Z", "2DC".repeat(40)));
}
