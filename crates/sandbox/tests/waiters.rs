//! Server processes that are stopped, and may not hold up the server meanwhile: on a real private server.

use std::time::Duration;

use deadheat_sandbox::{Database, Frozen, PrivateOptions, Server};
use tokio_postgres::{Client, NoTls};

/// A process that takes and gives back locks all the time is stopped this often: sometimes with the lock table in its hand.
const TRIES: u32 = 300;
const RESTLESS: &str = "do $$ begin loop \
                        perform pg_advisory_lock(1); perform pg_advisory_unlock(1); \
                        end loop; end $$";

async fn database() -> (Server, Database) {
    let server = Server::private(&PrivateOptions::default()).await;
    let server = server.expect("a private server starts");
    let database = server.create().await.expect("a database is made");
    (server, database)
}

async fn client(database: &Database) -> (Client, i32) {
    let (client, connection) = tokio_postgres::connect(&database.url(None), NoTls)
        .await
        .expect("connects");
    tokio::spawn(connection);
    let row = client.query_one("select pg_backend_pid()", &[]).await;
    (client, row.expect("has a process").get(0))
}

async fn waits(database: &Database, pid: i32) -> bool {
    let asked = "select cardinality(pg_blocking_pids($1)) > 0";
    let row = database.control().query_one(asked, &[&pid]).await;
    row.expect("the server answers").get(0)
}

#[tokio::test]
async fn a_process_stopped_with_the_lock_table_in_its_hand_is_let_go() {
    let (_server, database) = database().await;
    let (restless, pid) = client(&database).await;
    let cancel = restless.cancel_token();
    let never_ends = tokio::spawn(async move { restless.batch_execute(RESTLESS).await });
    let mut frozen = Frozen::default();
    let (mut stood, mut let_go) = (0, 0);
    for _ in 0..TRIES {
        let asked = frozen.stop_and_ask(pid, waits(&database, pid));
        let asked = tokio::time::timeout(Duration::from_secs(20), asked).await;
        match asked.expect("the server does not stand still") {
            Some(_) => stood += 1,
            None => let_go += 1,
        }
        frozen.thaw_all();
        // It goes on for as long as a question takes.
        waits(&database, pid).await;
    }
    cancel.cancel_query(NoTls).await.expect("is asked to end");
    assert!(never_ends.await.expect("no panic").is_err(), "cancelled");
    assert!(stood > 0 && let_go > 0, "both happen: {stood}, {let_go}");
}

#[tokio::test]
async fn a_waiter_stands_still_until_it_is_let_go_though_its_lock_is_free() {
    let (_server, database) = database().await;
    let (holder, _) = client(&database).await;
    let table = "create table t (id int primary key); insert into t values (1)";
    holder.batch_execute(table).await.expect("is made");
    let (waiter, pid) = client(&database).await;
    holder
        .batch_execute("begin; select from t for update")
        .await
        .expect("is free");
    let mut waiting =
        tokio::spawn(async move { waiter.batch_execute("select from t for update").await });
    let mut frozen = Frozen::default();
    while frozen.stop_and_ask(pid, waits(&database, pid)).await != Some(true) {
        frozen.thaw(pid);
    }
    holder.batch_execute("commit").await.expect("commits");
    assert!(!waits(&database, pid).await, "its lock is granted");
    let still = tokio::time::timeout(Duration::from_millis(50), &mut waiting).await;
    assert!(still.is_err(), "it stands still");
    frozen.thaw(pid);
    waiting.await.expect("no panic").expect("goes on");
}
