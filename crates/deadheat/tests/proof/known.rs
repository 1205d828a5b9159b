//! Programs on which two searches once differed.

use std::sync::atomic::{AtomicBool, Ordering};

use deadheat_sandbox::{PrivateOptions, Server};

use crate::ways::Ground;

/// A sequence is logged every 32 values, and anew after a checkpoint; only then does `nextval` give its transaction an id.
/// A gap opened, or did not, by that chance.
#[test]
fn a_checkpoint_opens_no_commit_gap() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let server = runtime
        .block_on(Server::private(&PrivateOptions::default()))
        .expect("a private server");
    let database = runtime
        .block_on(server.create())
        .expect("a database is made");
    let ground = Ground::on(&format!("server = \"{}\"", database.url(None)));
    let over = AtomicBool::new(false);
    let compared = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let done = runtime.block_on(database.control().batch_execute("checkpoint"));
                done.expect("a checkpoint");
            }
        });
        let compared = ground.compare(
            r#"
            [[actor]]
            name = "a1"
            sql = ["select nextval('ticket') > 0", "select nextval('ticket') > 0"]
            [[actor]]
            name = "a2"
            sql = [
                "begin isolation level repeatable read",
                "select nextval('ticket') > 0",
                "select pg_try_advisory_xact_lock(2)",
                "commit",
            ]
            [[actor]]
            name = "a3"
            sql = [
                "select pg_try_advisory_xact_lock(2)",
                "insert into log (what) select 'x' where nextval('ticket') < 0",
            ]
            "#,
        );
        over.store(true, Ordering::Relaxed);
        compared
    });
    runtime
        .block_on(database.drop())
        .expect("the database is dropped");
    compared.expect("none is missing");
}

/// Rows that were put back lay elsewhere, their table was vacuumed in between, and from then on it was read as a whole: one
/// more update was refused, in schedules that were run late.
#[test]
fn a_serializable_update_is_refused_or_not_however_many_runs_went_before() {
    let compared = Ground::new().compare(
        r#"
        [[actor]]
        name = "a1"
        sql = [
            "begin isolation level repeatable read",
            "savepoint s",
            "select count(*) as n from seat",
            "rollback to s",
            "commit",
            "begin isolation level serializable",
            "select count(*) as n from seat",
            "update item set v = :n + 1 where id = 1",
            "commit",
        ]
        [[actor]]
        name = "a2"
        sql = [
            "begin isolation level read committed",
            "select count(*) as n from seat",
            "update item set v = v + 1",
            "commit",
            "begin isolation level serializable",
            { when = ":n < 2", run = "update item set v = :n + 1 where id = 2" },
            "commit",
        ]
        "#,
    );
    compared.expect("none is missing");
}
