//! Transactions that are tried again, leases and versions over a SQLite file.
#![allow(missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use deadheat_cure::Tx;
use deadheat_cure::guard::{self, Leased, Versioned};
use deadheat_cure::retry::{self, Cause, Error, Policy, Violation};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{Sqlite, SqlitePool};
use tempfile::TempDir;
use tokio::sync::Barrier;

const SCHEMA: &str = "
    create table counters (id integer primary key, n integer not null check (n < 100));
    insert into counters values (1, 0), (2, 0);
    create table seats (nick text unique, host text references seats (nick) deferrable initially deferred);
    create table objects (id integer primary key, area integer, leased_until real, fence integer not null default 0,
        version integer not null default 5);
    insert into objects (id) values (1);";

type Lost = Error<sqlx::Error>;
type Open = Tx<PoolConnection<Sqlite>>;

/// A file, and a pool of connections to it that wait for nobody.
struct Ground {
    pool: SqlitePool,
    _folder: TempDir,
}

impl Ground {
    async fn new(journal: SqliteJournalMode) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let file = SqliteConnectOptions::new()
            .filename(folder.path().join("test.db"))
            .create_if_missing(true)
            .journal_mode(journal)
            .foreign_keys(true)
            .busy_timeout(Duration::ZERO);
        let pool = SqlitePoolOptions::new().max_connections(8);
        let pool = pool.connect_with(file).await.expect("a pool");
        let schema = sqlx::raw_sql(SCHEMA).execute(&pool).await;
        schema.expect("the schema is right");
        Self {
            pool,
            _folder: folder,
        }
    }

    async fn wal() -> Self {
        Self::new(SqliteJournalMode::Wal).await
    }

    async fn run(&self, sql: &'static str) {
        let done = sqlx::query(sql).execute(&self.pool).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    async fn number(&self, sql: &'static str) -> i64 {
        let number = sqlx::query_scalar(sql).fetch_one(&self.pool).await;
        number.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

fn quick() -> Policy {
    Policy::default().backoff(Duration::from_millis(1), Duration::from_millis(20))
}

async fn add(tx: &mut Open, n: i64) -> Result<(), sqlx::Error> {
    let add = sqlx::query("update counters set n = n + $1 where id = 1");
    add.bind(n).execute(tx).await.map(drop)
}

async fn read(tx: &mut Open) -> Result<i64, sqlx::Error> {
    let find = sqlx::query_scalar("select n from counters where id = 1");
    find.fetch_one(tx).await
}

/// In WAL mode the second one is told that its snapshot is old; in the other, that the file is locked.
#[tokio::test(flavor = "multi_thread")]
async fn two_who_read_the_same_number_both_count() {
    for journal in [SqliteJournalMode::Wal, SqliteJournalMode::Delete] {
        let ground = Ground::new(journal).await;
        let both_have_read = Arc::new(Barrier::new(2));
        let mut tasks = Vec::new();
        for _ in 0..2 {
            let (pool, barrier) = (ground.pool.clone(), Arc::clone(&both_have_read));
            tasks.push(tokio::spawn(async move {
                let (barrier, policy) = (&barrier, quick().attempts(1000));
                retry::transaction(&pool, &policy, |mut tx, attempt| async move {
                    let n = read(&mut tx).await?;
                    if attempt == 1 {
                        barrier.wait().await;
                    }
                    let write = sqlx::query("update counters set n = $1 where id = 1");
                    write.bind(n + 1).execute(&mut tx).await?;
                    Ok::<_, sqlx::Error>(attempt)
                })
                .await
            }));
        }
        let mut attempts = 0;
        for task in tasks {
            attempts += task.await.expect("no panic").expect("it commits");
        }
        assert!(attempts >= 3, "{journal:?}: one of them lost");
        let n = ground.number("select n from counters where id = 1").await;
        assert_eq!(n, 2, "{journal:?}");
    }
}

#[tokio::test]
async fn the_loser_gives_up_after_the_attempts_it_was_given() {
    let ground = Ground::wal().await;
    let (tries, ground) = (&AtomicU32::new(0), &ground);
    let policy = quick().attempts(3);
    let error: Lost = retry::transaction(&ground.pool, &policy, |mut tx, _| async move {
        tries.fetch_add(1, Ordering::Relaxed);
        read(&mut tx).await?;
        ground.run("update counters set n = n + 1").await;
        add(&mut tx, 1).await
    })
    .await
    .expect_err("somebody else is always first");
    assert_eq!(tries.load(Ordering::Relaxed), 3);
    assert!(error.is_conflict(), "{error:?}");
    // 517: SQLITE_BUSY_SNAPSHOT
    let code = error.body().and_then(|error| error.as_database_error());
    let code = code.and_then(sqlx::error::DatabaseError::code);
    assert_eq!(code.as_deref(), Some("517"));
}

#[tokio::test]
async fn a_violated_constraint_is_what_it_is() {
    let ground = Ground::wal().await;
    ground.run("insert into seats values ('ben', 'ben')").await;
    for (sql, violation, name) in [
        (
            "insert into seats values ('ben', 'ben')",
            Violation::Unique,
            Some("seats.nick"),
        ),
        (
            "update counters set n = 100",
            Violation::Check,
            Some("n < 100"),
        ),
        (
            "update counters set n = null",
            Violation::NotNull,
            Some("counters.n"),
        ),
    ] {
        let policy = quick().also_integrity().attempts(2);
        let error: Lost = retry::transaction(&ground.pool, &policy, |mut tx, _| async move {
            sqlx::query(sql).execute(&mut tx).await.map(drop)
        })
        .await
        .expect_err("a violation");
        let Error::Failed {
            cause:
                Some(Cause::Integrity {
                    violation: said,
                    constraint,
                }),
            attempts: 2,
            ..
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!((said, constraint.as_deref()), (violation, name));
    }
}

/// Otherwise than in PostgreSQL, a transaction whose COMMIT is refused is still open.
#[tokio::test]
async fn a_foreign_key_that_is_checked_at_commit_refuses_it() {
    let ground = Ground::wal().await;
    let refused: Lost = retry::transaction(&ground.pool, &quick(), |mut tx, _| async move {
        tx.on_commit(async { panic!("nothing was committed") });
        let sit = sqlx::query("insert into seats values ('ben', 'nobody')");
        sit.execute(&mut tx).await.map(drop)
    })
    .await
    .expect_err("there is no such host");
    let Error::Refused {
        cause: Cause::Integrity { violation, .. },
        ..
    } = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(violation, Violation::ForeignKey);
    assert_eq!(ground.number("select count(*) from seats").await, 0);
    ground.run("update counters set n = 7").await;
}

#[tokio::test]
async fn a_body_that_says_nothing_of_its_error_does_not_pass_for_committed() {
    let ground = Ground::wal().await;
    let error: Lost = retry::transaction(&ground.pool, &quick(), |mut tx, _| async move {
        add(&mut tx, 1).await?;
        let _ = add(&mut tx, 100).await;
        Ok(())
    })
    .await
    .expect_err("half of it would be committed");
    assert!(matches!(&error, Error::Swallowed { .. }), "{error:?}");
    retry::transaction(&ground.pool, &quick(), |mut tx, _| async move {
        add(&mut tx, 1).await?;
        let mut part = tx.savepoint().await?;
        add(&mut part, 100).await.expect_err("too many");
        part.undo().await
    })
    .await
    .expect("the rest is committed");
    assert_eq!(ground.number("select sum(n) from counters").await, 1);
}

#[tokio::test]
async fn what_is_left_behind_is_rolled_back() {
    let ground = Ground::wal().await;
    let begun = Arc::new(Barrier::new(2));
    let stuck = tokio::spawn({
        let (pool, begun) = (ground.pool.clone(), Arc::clone(&begun));
        async move {
            let begun = &begun;
            retry::transaction(&pool, &quick(), |mut tx, _| async move {
                add(&mut tx, 1).await?;
                begun.wait().await;
                std::future::pending::<Result<(), sqlx::Error>>().await
            })
            .await
        }
    });
    begun.wait().await;
    stuck.abort();
    // As soon as its connection is closed, another one may write.
    let policy = quick().attempts(10_000);
    let write = |mut tx, _| async move { add(&mut tx, 10).await };
    let written: Result<(), Lost> = retry::transaction(&ground.pool, &policy, write).await;
    written.expect("nobody holds the file");
    assert_eq!(ground.number("select sum(n) from counters").await, 10);
}

#[tokio::test]
async fn a_transaction_that_only_reads_is_refused() {
    let ground = Ground::wal().await;
    let body = |mut tx, _| async move { read(&mut tx).await };
    let refused: Result<i64, Lost> =
        retry::transaction(&ground.pool, &quick().read_only(), body).await;
    assert!(
        matches!(refused, Err(Error::NotBegun { .. })),
        "{refused:?}"
    );
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(transparent)]
    Guard(#[from] guard::Error),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_workers_one_gets_the_object() {
    let ground = Ground::wal().await;
    let mut workers = Vec::new();
    for _ in 0..20 {
        let pool = ground.pool.clone();
        workers.push(tokio::spawn(async move {
            let policy = quick().attempts(10_000);
            retry::transaction(&pool, &policy, |mut tx, _| async move {
                let objects = Leased::table("objects");
                let lease = objects.claim(&mut tx, 1, Duration::from_mins(1)).await?;
                Ok::<_, Why>(lease.map(|lease| lease.token()))
            })
            .await
        }));
    }
    let mut tokens = Vec::new();
    for worker in workers {
        tokens.extend(worker.await.expect("no panic").expect("an answer"));
    }
    assert_eq!(tokens, [1]);
}

#[tokio::test]
async fn a_slow_holder_cannot_write_over_the_next_one() {
    let ground = Ground::wal().await;
    let objects = Leased::table("objects");
    let mut connection = ground.pool.acquire().await.expect("a connection");
    // Over at once: it has run out when the next one comes.
    let slow = objects.claim(&mut connection, 1, Duration::ZERO).await;
    let slow = slow.expect("an answer").expect("free");
    slow.renew(&mut connection)
        .await
        .expect("nobody else has it");
    let minute = Duration::from_mins(1);
    let next = objects.claim(&mut connection, 1, minute).await;
    let next = next.expect("an answer").expect("run out");
    let third = objects.claim(&mut connection, 1, minute).await;
    assert!(third.expect("an answer").is_none());
    for (lease, wrote) in [(&next, true), (&slow, false)] {
        let policy = quick();
        let write = retry::transaction(&ground.pool, &policy, |mut tx, _| async move {
            lease.hold(&mut tx).await?;
            let write = sqlx::query("update objects set area = $1");
            write.bind(lease.token()).execute(&mut tx).await?;
            lease.release(&mut tx).await?;
            Ok::<_, Why>(())
        });
        assert_eq!(write.await.is_ok(), wrote);
    }
    let area = ground.number("select area from objects").await;
    assert_eq!(area, next.token());
}

#[tokio::test]
async fn work_takes_longer_than_the_lease() {
    let ground = Ground::wal().await;
    let mut connection = ground.pool.acquire().await.expect("a connection");
    let length = Duration::from_millis(300);
    let objects = Leased::table("objects");
    let lease = objects.claim(&mut connection, 1, length);
    let lease = lease.await.expect("an answer").expect("free");
    ground
        .run("create table was as select leased_until from objects")
        .await;
    let renewed = async {
        let later = "select leased_until > (select leased_until from was) from objects";
        while ground.number(later).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let done = lease.during(&ground.pool, renewed).await;
    done.expect("it was renewed");
    ground.run("update objects set fence = fence + 1").await;
    let lost = lease
        .during(&ground.pool, std::future::pending::<()>())
        .await;
    assert!(matches!(lost, Err(guard::Error::Lost(_))), "{lost:?}");
}

#[tokio::test]
async fn a_result_that_is_out_of_date_is_refused() {
    let ground = Ground::wal().await;
    let mut connection = ground.pool.acquire().await.expect("a connection");
    let objects = Versioned::table("objects");
    let read = objects.read(&mut connection, &1).await.expect("there");
    assert_eq!(read, 5);
    let edited = objects.update(&mut connection, &1, read, &[("area", &9)]);
    assert_eq!(edited.await.expect("nobody was faster"), 6);
    let late = objects.update(&mut connection, &1, read, &[("area", &4)]);
    let Err(guard::Error::Stale(stale)) = late.await else {
        panic!("it is out of date");
    };
    assert_eq!((stale.expected, stale.found), (5, 6));
    let gone = objects
        .update(&mut connection, &7, 5, &[("area", &4)])
        .await;
    assert!(
        matches!(gone, Err(guard::Error::Missing { .. })),
        "{gone:?}"
    );
}
