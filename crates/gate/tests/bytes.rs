//! Every byte a client gets through the gate is one it would have got from the server.

mod common;

use common::script::Do::{Read, Ready, Send, Until};
use common::script::{same, sent, simple};
use common::{Message, bind, close, describe, execute, flush, message, parse, query, run, sync};

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
async fn fatal_errors_end_the_session() {
    let seen = simple(&["select pg_terminate_backend(pg_backend_pid())", "select 1"]).await;
    assert_eq!(
        seen.last().and_then(Message::code).as_deref(),
        Some("57P01")
    );
}
