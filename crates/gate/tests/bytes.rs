//! Every byte a client gets through the gate is one it would have got from the server.

mod common;

use std::net::SocketAddr;

use common::{
    Lab, Message, Policy, Server, Wire, bind, close, describe, execute, flush, message, parse,
    query, run, sync,
};

/// What a client does.
#[derive(Clone)]
enum Do {
    Send(Vec<u8>),
    /// Read up to this many ReadyForQuery.
    Ready(usize),
    /// Read up to a message of this type.
    Until(u8),
    /// Read this many messages.
    Read(usize),
}
use Do::{Read, Ready, Send, Until};

const SETUP: &str = "
    create table t (id int primary key, v text);
    create table child (id int primary key, t int references t deferrable initially deferred);
    create table many (id int);
    create function shout(what text) returns text language plpgsql as
        $$ begin raise notice 'shout %', what; return upper(what); end $$;
    create function late() returns trigger language plpgsql as
        $$ begin raise notice 'late %', new.id; return null; end $$;
    create table noisy (id int);
    create constraint trigger late after insert on noisy deferrable initially deferred
        for each row execute function late();
    create procedure commits() language plpgsql as $$ begin insert into many values (1); commit; end $$;
";
const CLEAN: &str = "truncate t, child, many, noisy; insert into t values (1, 'one'), (2, 'two')";

async fn play(addr: SocketAddr, database: &str, script: &[Do]) -> Vec<Message> {
    common::in_time(steps(addr, database, script)).await
}

async fn steps(addr: SocketAddr, database: &str, script: &[Do]) -> Vec<Message> {
    let mut wire = Wire::tcp(addr, database).await;
    let mut seen = Vec::new();
    for step in script {
        match step {
            Send(bytes) => wire.send(bytes).await,
            Ready(count) => {
                for _ in 0..*count {
                    seen.extend(wire.until(b'Z').await);
                }
            }
            Until(tag) => seen.extend(wire.until(*tag).await),
            Read(count) => {
                for _ in 0..*count {
                    seen.extend(wire.next().await);
                }
            }
        }
    }
    seen
}

/// Plays a script directly, and through the gate both ways.
async fn same(script: &[Do]) -> Vec<Message> {
    let server = Server::shared();
    let database = server.database().await;
    let mut direct = Wire::tcp(server.addr(), &database).await;
    direct.run(SETUP).await;
    direct.run(CLEAN).await;
    let expected = play(server.addr(), &database, script).await;
    assert!(!expected.is_empty(), "the script reads something");
    for policy in [Policy::Bare, Policy::Gap] {
        let lab = Lab::open(server.unix(), policy).await;
        direct.run(CLEAN).await;
        let seen = play(lab.gate.addr(), &database, script).await;
        assert_eq!(expected, seen, "{policy:?}");
    }
    expected
}

async fn simple(texts: &[&str]) -> Vec<Message> {
    let script: Vec<Do> = texts
        .iter()
        .flat_map(|sql| [Send(query(sql)), Ready(1)])
        .collect();
    same(&script).await
}

async fn sent(batches: &[Vec<Vec<u8>>]) -> Vec<Message> {
    let script: Vec<Do> = batches
        .iter()
        .flat_map(|batch| [Send(batch.concat()), Ready(1)])
        .collect();
    same(&script).await
}

#[tokio::test]
async fn simple_queries() {
    simple(&[
        "select 1",
        "insert into t values (3, 'three') returning *",
        "update t set v = 'x'",
        "delete from t",
        "table t",
    ])
    .await;
}

#[tokio::test]
async fn several_statements_in_one_query() {
    simple(&[
        "select 1; insert into t values (5, 'five'); select * from t",
        "insert into t values (6, 'six'); select 1/0; select 2",
        "select count(*) from t",
        "begin; insert into t values (7, 's'); commit; select 3",
        "insert into t values (8, 'e'); begin; select 1",
        "rollback; select 1",
        "select * from t",
    ])
    .await;
}

#[tokio::test]
async fn errors() {
    simple(&[
        "select nonsense",
        "selec",
        "select 1/0",
        "insert into t values (1, 'again')",
        "select 1",
    ])
    .await;
}

#[tokio::test]
async fn empty_queries() {
    simple(&["", ";", "-- nothing", "select 1;;"]).await;
    sent(&[vec![run("", &[]), sync()], vec![sync()]]).await;
}

#[tokio::test]
async fn transactions() {
    simple(&[
        "begin",
        "insert into t values (3, 'three')",
        "savepoint a",
        "insert into t values (3, 'three')",
        "select 1",
        "rollback to a",
        "select count(*) from t",
        "commit",
        "commit",
        "begin isolation level repeatable read",
        "select 1",
        "select 1/0",
        "commit",
        "start transaction read only",
        "insert into t values (4, 'four')",
        "rollback",
    ])
    .await;
}

#[tokio::test]
async fn what_refuses_a_transaction_block_runs_bare() {
    simple(&[
        "vacuum t",
        "vacuum t",
        "create database more",
        "drop database more",
        "create database more",
        "drop database more",
        "select 1; vacuum t",
        "call commits()",
    ])
    .await;
    let prepared = vec![
        parse("s", "vacuum t"),
        bind("", "s", &[]),
        execute("", 0),
        close(b'S', "s"),
        sync(),
    ];
    let named = vec![
        parse("n", "create database even_more"),
        bind("", "n", &[]),
        execute("", 0),
        sync(),
    ];
    let drop = vec![
        run("drop database even_more", &[]),
        close(b'S', "n"),
        sync(),
    ];
    sent(&[prepared.clone(), named, drop, prepared]).await;
}

#[tokio::test]
async fn deferred_constraints_fail_at_commit() {
    let seen = simple(&[
        "insert into child values (1, 99)",
        "select 1; insert into child values (1, 99)",
        "table child",
    ])
    .await;
    assert_eq!(common::tags(&seen), "EZTDCEZTCZ");
    let seen = sent(&[
        vec![
            run("insert into child values (1, $1)", &[Some("99")]),
            sync(),
        ],
        vec![
            run("insert into child values (2, 99)", &[]),
            run("select 1", &[]),
            sync(),
        ],
        vec![run("table child", &[]), sync()],
    ])
    .await;
    assert_eq!(common::tags(&seen), "12nCEZ12nC12TDCEZ12TCZ");
}

#[tokio::test]
async fn notices_of_deferred_triggers_keep_their_place() {
    let seen = simple(&[
        "insert into noisy values (1)",
        "insert into noisy values (2); insert into noisy values (3)",
    ])
    .await;
    assert_eq!(common::tags(&seen), "NCZCNNCZ");
    sent(&[vec![run("insert into noisy values (4)", &[]), sync()]]).await;
}

#[tokio::test]
async fn extended_with_portals() {
    let series = "select g from generate_series(1, 10) g";
    sent(&[
        vec![parse("s", series), describe(b'S', "s"), sync()],
        vec![
            bind("p", "s", &[]),
            describe(b'P', "p"),
            execute("p", 3),
            execute("p", 3),
            execute("p", 0),
            sync(),
        ],
        vec![execute("p", 1), sync()],
        vec![query("begin")],
        vec![bind("p", "s", &[]), execute("p", 4), sync()],
        vec![execute("p", 4), sync()],
        vec![bind("", "s", &[]), execute("", 2), sync()],
        vec![execute("", 2), sync()],
        vec![execute("", 100), close(b'P', "p"), sync()],
        vec![execute("p", 1), sync()],
        vec![query("rollback")],
        vec![close(b'S', "s"), sync()],
        vec![bind("", "s", &[]), sync()],
    ])
    .await;
}

#[tokio::test]
async fn unnamed_statements_outlive_their_batch() {
    sent(&[
        vec![
            parse("", "insert into t values ($1, $2)"),
            describe(b'S', ""),
            sync(),
        ],
        vec![bind("", "", &[Some("10"), None]), execute("", 0), sync()],
        vec![
            bind("", "", &[Some("11"), Some("eleven")]),
            execute("", 0),
            sync(),
        ],
        vec![
            bind("", "", &[Some("11"), Some("again")]),
            execute("", 0),
            sync(),
        ],
        vec![
            bind("", "", &[Some("12"), Some("twelve")]),
            execute("", 0),
            sync(),
        ],
        vec![query("select * from t")],
        vec![bind("", "", &[Some("13"), None]), execute("", 0), sync()],
    ])
    .await;
}

#[tokio::test]
async fn prepared_in_sql_and_in_the_protocol() {
    sent(&[
        vec![query("prepare s as select $1::int + 1")],
        vec![
            bind("", "s", &[Some("41")]),
            describe(b'P', ""),
            execute("", 0),
            sync(),
        ],
        vec![parse("s", "select 2"), sync()],
        vec![query("execute s(1)")],
        vec![query("deallocate s")],
        vec![
            parse("s", "select 2"),
            bind("", "s", &[]),
            execute("", 0),
            sync(),
        ],
        vec![query("select name, statement from pg_prepared_statements")],
        vec![query(
            "begin; declare c cursor for select g from generate_series(1, 3) g",
        )],
        vec![execute("c", 2), sync()],
        vec![query("select name from pg_cursors")],
        vec![query("commit")],
        vec![query("discard all")],
        vec![bind("", "s", &[]), sync()],
    ])
    .await;
}

#[tokio::test]
async fn pipelines() {
    let all = [
        [run("insert into t values (20, 'a')", &[]), sync()].concat(),
        [
            run("select 1/0", &[]),
            run("select 'skipped'", &[]),
            parse("skipped", "select 1"),
            sync(),
        ]
        .concat(),
        query("select 'simple'"),
        [
            parse("skipped", "select 2"),
            bind("", "skipped", &[]),
            execute("", 0),
            sync(),
        ]
        .concat(),
        [
            run("insert into t values (21, 'b')", &[]),
            run("insert into t values (20, 'c')", &[]),
            sync(),
        ]
        .concat(),
        [sync(), sync()].concat(),
        [run("select count(*) from t", &[]), sync()].concat(),
    ]
    .concat();
    let seen = same(&[Send(all), Ready(8)]).await;
    assert_eq!(common::tags(&seen), "12nCZ1EZTDCZ12DCZ12nC12nEZZZ12TDCZ");
}

#[tokio::test]
async fn flush_shows_what_is_done_so_far() {
    same(&[
        Send([parse("s", "select $1::int"), describe(b'S', "s"), flush()].concat()),
        Read(3),
        Send([bind("", "s", &[Some("5")]), execute("", 0), flush()].concat()),
        Read(3),
        Send([run("insert into t values (30, 'f')", &[]), flush()].concat()),
        Read(4),
        Send([run("select 1/0", &[]), flush()].concat()),
        Until(b'E'),
        Send(
            [
                run("select 'skipped'", &[]),
                flush(),
                query("select 'skipped too'"),
            ]
            .concat(),
        ),
        Send(sync()),
        Ready(1),
        Send(query("select count(*) from t")),
        Ready(1),
        Send([run("insert into t values (31, 'f')", &[]), flush()].concat()),
        Read(4),
        Send(sync()),
        Ready(1),
        Send(
            [
                run("begin", &[]),
                flush(),
                run("insert into t values (32, 'g')", &[]),
                sync(),
            ]
            .concat(),
        ),
        Ready(1),
        Send([run("commit", &[]), flush()].concat()),
        Read(4),
        Send([sync(), query("select count(*) from t")].concat()),
        Ready(2),
    ])
    .await;
}

#[tokio::test]
async fn a_query_behind_messages_without_sync() {
    same(&[
        Send([run("select 1", &[]), query("select 2")].concat()),
        Ready(1),
        Send([run("select 1/0", &[]), query("select 'skipped'")].concat()),
        Until(b'E'),
        Send(sync()),
        Ready(1),
    ])
    .await;
}

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
async fn notifications_and_notices() {
    simple(&[
        "listen c",
        "notify c, 'one'",
        "begin",
        "notify c, 'two'",
        "commit",
        "select pg_notify('c', 'three')",
        "select shout('a')",
        "do $$ begin raise warning 'w'; end $$",
        "select pg_notify('c', 'four'); select 1",
        "unlisten *",
    ])
    .await;
    sent(&[
        vec![run("listen c", &[]), sync()],
        vec![
            run("select pg_notify('c', $1)", &[Some("x")]),
            run("select shout('b')", &[]),
            sync(),
        ],
    ])
    .await;
}

#[tokio::test]
async fn settings_are_reported() {
    simple(&[
        "set application_name = 'me'",
        "select set_config('application_name', 'you', false)",
        "begin",
        "set local time zone 'UTC'",
        "rollback",
    ])
    .await;
}

#[tokio::test]
async fn function_calls() {
    // int4pl(integer, integer), text in and out.
    let mut body = 177u32.to_be_bytes().to_vec();
    body.extend([0, 0, 0, 2, 0, 0, 0, 1, b'4', 0, 0, 0, 2, b'3', b'8', 0, 0]);
    let unknown = [999_999u32.to_be_bytes().to_vec(), vec![0; 6]].concat();
    same(&[
        Send(message(b'F', &body)),
        Ready(1),
        Send(message(b'F', &unknown)),
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
async fn fatal_errors_end_the_session() {
    let seen = simple(&["select pg_terminate_backend(pg_backend_pid())", "select 1"]).await;
    assert_eq!(
        seen.last().and_then(Message::code).as_deref(),
        Some("57P01")
    );
}

#[tokio::test]
async fn a_batch_too_long_to_wait_for_its_sync_is_cut() {
    let text = "w".repeat(500_000);
    let one = [bind("", "", &[Some(&text)]), execute("", 0)].concat();
    let all = [parse("", "select length($1::text)"), one.repeat(40), sync()].concat();
    let seen = same(&[Send(all), Ready(1)]).await;
    assert_eq!(common::tags(&seen), format!("1{}Z", "2DC".repeat(40)));
}
