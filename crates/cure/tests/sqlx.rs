//! The same cures over sqlx' pools and transactions to PostgreSQL.
#![allow(missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::Ground;
use deadheat_cure::guard::{self, Leased, Versioned};
use deadheat_cure::retry::{self, Cause, Error, Isolation, Policy, Violation};
use deadheat_cure::tasks::{self, Failure, Handler, Job, Options, Task, Worker};
use deadheat_cure::{Tx, schema};
use serde::{Deserialize, Serialize};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, Postgres};
use tokio::sync::Barrier;

const SCHEMA: &str = "
    create table counters (id int primary key, n int not null);
    insert into counters values (1, 0), (2, 0);
    create table seats (nick text constraint one_seat_each unique deferrable initially immediate);
    create table objects (id int primary key, area int, leased_until timestamptz, fence bigint not null default 0,
        version int not null default 5);
    insert into objects values (1);";

type Lost = Error<sqlx::Error>;
type Open = Tx<PoolConnection<Postgres>>;

async fn ground() -> (Ground, PgPool) {
    let ground = Ground::new(SCHEMA).await;
    let pool = PgPoolOptions::new().max_connections(8);
    let pool = pool.connect(&ground.database.url(None)).await;
    (ground, pool.expect("a pool"))
}

fn quick() -> Policy {
    Policy::default().backoff(Duration::ZERO, Duration::ZERO)
}

async fn add(tx: &mut Open, id: i32) -> Result<(), sqlx::Error> {
    let add = sqlx::query("update counters set n = n + 1 where id = $1");
    add.bind(id).execute(tx).await.map(drop)
}

async fn read(tx: &mut Open, id: i32) -> Result<i32, sqlx::Error> {
    let find = sqlx::query_scalar("select n from counters where id = $1");
    find.bind(id).fetch_one(tx).await
}

async fn sit(tx: &mut Open, nick: &str) -> Result<(), sqlx::Error> {
    let sit = sqlx::query("insert into seats values ($1)");
    sit.bind(nick).execute(tx).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_read_the_same_number_both_count() {
    let (ground, pool) = ground().await;
    let both_have_read = Arc::new(Barrier::new(2));
    let mut tasks = Vec::new();
    for _ in 0..2 {
        let (pool, barrier) = (pool.clone(), Arc::clone(&both_have_read));
        tasks.push(tokio::spawn(async move {
            let policy = quick().isolation(Isolation::Serializable);
            let barrier = &barrier;
            retry::transaction(&pool, &policy, |mut tx, attempt| async move {
                let n = read(&mut tx, 1).await?;
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
    let mut attempts = Vec::new();
    for task in tasks {
        attempts.push(task.await.expect("no panic").expect("it commits"));
    }
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 2]);
    assert_eq!(ground.number("select sum(n) from counters").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_wait_for_each_other_both_get_through() {
    let (ground, pool) = ground().await;
    let both_have_one = Arc::new(Barrier::new(2));
    let mut tasks = Vec::new();
    for (first, second) in [(1, 2), (2, 1)] {
        let (pool, barrier) = (pool.clone(), Arc::clone(&both_have_one));
        tasks.push(tokio::spawn(async move {
            let barrier = &barrier;
            retry::transaction(&pool, &quick(), |mut tx, attempt| async move {
                add(&mut tx, first).await?;
                if attempt == 1 {
                    barrier.wait().await;
                }
                add(&mut tx, second).await?;
                Ok::<_, sqlx::Error>(attempt)
            })
            .await
        }));
    }
    let mut attempts = 0;
    for task in tasks {
        attempts += task.await.expect("no panic").expect("it commits");
    }
    // The loser may meet the winner once more, if it is back before the winner has woken.
    assert!(attempts >= 3, "{attempts}");
    assert_eq!(ground.number("select sum(n) from counters").await, 4);
}

#[tokio::test]
async fn a_taken_name_is_not_tried_again_unless_asked_for() {
    let (ground, pool) = ground().await;
    ground.run("insert into seats values ('ben')").await;
    for (policy, expected) in [(quick(), 1), (quick().also_integrity().attempts(4), 4)] {
        let sit = |mut tx, _| async move { sit(&mut tx, "ben").await };
        let error: Lost = retry::transaction(&pool, &policy, sit)
            .await
            .expect_err("the name is taken");
        assert_eq!(error.constraint(), Some("one_seat_each"));
        let Error::Failed {
            cause: Some(Cause::Integrity { violation, .. }),
            attempts,
            ..
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!((violation, attempts), (Violation::Unique, expected));
    }
}

#[tokio::test]
async fn a_part_fails_and_the_rest_is_committed() {
    let (ground, pool) = ground().await;
    ground.run("insert into seats values ('ben')").await;
    retry::transaction(&pool, &quick(), |mut tx, _| async move {
        let mut part = tx.savepoint().await?;
        part.on_commit(async { panic!("this part is undone") });
        add(&mut part, 2).await?;
        sit(&mut part, "ben").await.expect_err("taken");
        part.undo().await?;
        let mut part = tx.savepoint().await?;
        add(&mut part, 1).await?;
        part.keep().await
    })
    .await
    .expect("the rest is committed");
    let both = "select sum(n * case id when 1 then 1 else 100 end) from counters";
    assert_eq!(ground.number(both).await, 1);
    let error: Lost = retry::transaction(&pool, &quick(), |mut tx, _| async move {
        let mut part = tx.savepoint().await?;
        add(&mut part, 2).await
    })
    .await
    .expect_err("neither kept nor undone");
    assert_eq!(error.cause(), Some(&Cause::Abandoned));
    assert_eq!(ground.number(both).await, 1);
}

#[tokio::test]
async fn a_body_that_says_nothing_of_its_error_does_not_pass_for_committed() {
    let (ground, pool) = ground().await;
    ground.run("insert into seats values ('ben')").await;
    let error: Lost = retry::transaction(&pool, &quick(), |mut tx, _| async move {
        add(&mut tx, 1).await?;
        let _ = sit(&mut tx, "ben").await;
        Ok(())
    })
    .await
    .expect_err("the server would roll back and say nothing");
    assert!(matches!(&error, Error::Swallowed { .. }), "{error:?}");
    let error: Lost = retry::transaction(&pool, &quick(), |mut tx, _| async move {
        let slow = sqlx::query("update counters set n = 5 from pg_sleep(0.2)").execute(&mut tx);
        let _ = tokio::time::timeout(Duration::from_millis(20), slow).await;
        Ok(())
    })
    .await
    .expect_err("what became of it is not known");
    assert_eq!(error.cause(), Some(&Cause::Abandoned));
    assert_eq!(ground.number("select sum(n) from counters").await, 0);
}

#[tokio::test]
async fn effects_run_once_after_the_commit_and_none_after_a_refusal() {
    let (ground, pool) = ground().await;
    let (ground, pool, runs) = (&ground, &pool, &Arc::new(AtomicU32::new(0)));
    let policy = quick().isolation(Isolation::RepeatableRead);
    retry::transaction(pool, &policy, |mut tx, attempt| async move {
        let (runs, pool) = (Arc::clone(runs), pool.clone());
        tx.on_commit(async move {
            let n = sqlx::query_scalar("select n from counters where id = 1");
            let n: i32 = n.fetch_one(&pool).await.expect("a row");
            runs.fetch_add(n as u32, Ordering::Relaxed);
        });
        read(&mut tx, 1).await?;
        if attempt == 1 {
            ground
                .run("update counters set n = n + 10 where id = 1")
                .await;
        }
        add(&mut tx, 1).await
    })
    .await
    .expect("it commits");
    assert_eq!(runs.load(Ordering::Relaxed), 11, "seen from another one");
    let refused: Lost = retry::transaction(pool, &quick(), |mut tx, _| async move {
        tx.on_commit(async { panic!("nothing was committed") });
        let deferred = sqlx::query("set constraints one_seat_each deferred");
        deferred.execute(&mut tx).await?;
        sit(&mut tx, "ben").await?;
        sit(&mut tx, "ben").await
    })
    .await
    .expect_err("two of the same");
    assert!(matches!(&refused, Error::Refused { .. }), "{refused:?}");
    assert_eq!(refused.constraint(), Some("one_seat_each"));
}

#[tokio::test]
async fn a_connection_lost_during_the_commit_leaves_it_open() {
    let (ground, pool) = ground().await;
    // A constraint trigger that runs at COMMIT and kills its own session there.
    ground
        .run(
            "create function die() returns trigger language plpgsql as
                'begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(5); return null; end';
             create constraint trigger dies after insert on seats deferrable initially deferred
                for each row execute function die()",
        )
        .await;
    let tries = &AtomicU32::new(0);
    let policy = quick().also_integrity();
    let error: Lost = retry::transaction(&pool, &policy, |mut tx, _| async move {
        tries.fetch_add(1, Ordering::Relaxed);
        sit(&mut tx, "ben").await
    })
    .await
    .expect_err("the connection is gone");
    assert!(matches!(&error, Error::CommitUnknown { .. }), "{error:?}");
    assert_eq!(tries.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_is_left_behind_is_rolled_back() {
    let (ground, pool) = ground().await;
    let idle = "select exists (select from pg_stat_activity where state = 'idle in transaction')";
    let none = idle.replace("exists", "not exists");
    let stuck = tokio::spawn({
        let pool = pool.clone();
        async move {
            retry::transaction(&pool, &quick(), |mut tx, _| async move {
                add(&mut tx, 1).await?;
                std::future::pending::<Result<(), sqlx::Error>>().await
            })
            .await
        }
    });
    ground.until(idle).await;
    stuck.abort();
    ground.until(&none).await;
    let kept: Result<Open, Lost> = retry::transaction(&pool, &quick(), |mut tx, _| async move {
        add(&mut tx, 1).await?;
        Ok(tx)
    })
    .await;
    assert!(matches!(kept, Err(Error::Escaped)), "{kept:?}");
    ground.until(&none).await;
    let pool = &pool;
    let policy = quick();
    let within = retry::transaction(pool, &policy, |_, _| async move {
        let add = |mut tx, _| async move { add(&mut tx, 1).await };
        let inner: Result<(), Lost> = retry::transaction(pool, &quick(), add).await;
        Ok::<_, sqlx::Error>(matches!(inner, Err(Error::Nested)))
    });
    assert!(within.await.expect("the outer one is as good as ever"));
    assert_eq!(ground.number("select sum(n) from counters").await, 0);
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(transparent)]
    Guard(#[from] guard::Error),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

#[tokio::test]
async fn a_slow_holder_cannot_write_over_the_next_one() {
    let (ground, pool) = ground().await;
    let objects = Leased::table("objects");
    let minute = Duration::from_mins(1);
    let mut connection = pool.acquire().await.expect("a connection");
    let slow = objects.claim(&mut connection, 1, minute).await;
    let slow = slow.expect("an answer").expect("free");
    let second = objects.claim(&mut connection, 1, minute).await;
    assert!(second.expect("an answer").is_none());
    ground
        .run("update objects set leased_until = 'yesterday'")
        .await;
    let next = objects.claim(&mut connection, 1, minute).await;
    let next = next.expect("an answer").expect("run out");
    for (lease, wrote) in [(&next, true), (&slow, false)] {
        let policy = quick();
        let write = retry::transaction(&pool, &policy, |mut tx, _| async move {
            lease.hold(&mut tx).await?;
            let write = sqlx::query("update objects set area = $1");
            write.bind(lease.token() as i32).execute(&mut tx).await?;
            lease.release(&mut tx).await?;
            Ok::<_, Why>(())
        });
        assert_eq!(write.await.is_ok(), wrote);
    }
    let area = "select area::bigint from objects";
    assert_eq!(ground.number(area).await, next.token());
}

#[tokio::test]
async fn work_takes_longer_than_the_lease() {
    let (ground, pool) = ground().await;
    let mut connection = pool.acquire().await.expect("a connection");
    let length = Duration::from_millis(300);
    let lease = Leased::table("objects")
        .claim(&mut connection, 1, length)
        .await;
    let lease = lease.expect("an answer").expect("free");
    ground
        .run("create table was as select leased_until from objects")
        .await;
    let renewed = ground.until(
        "select clock_timestamp() > (select min(leased_until) from was) and leased_until > clock_timestamp()
         from objects",
    );
    let done = lease.during(&pool, renewed).await;
    done.expect("it was renewed");
    ground.run("update objects set fence = fence + 1").await;
    let lost = lease.during(&pool, std::future::pending::<()>()).await;
    assert!(matches!(lost, Err(guard::Error::Lost(_))), "{lost:?}");
}

#[tokio::test]
async fn a_result_that_is_out_of_date_is_refused() {
    let (_ground, pool) = ground().await;
    let mut connection = pool.acquire().await.expect("a connection");
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
    let wrong = objects
        .update(&mut connection, &1, 6, &[("none", &4)])
        .await;
    let Err(guard::Error::Database(source)) = wrong else {
        panic!("{wrong:?}");
    };
    let source: &sqlx::Error = source.downcast_ref().expect("the driver's own error");
    let code = source
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    assert_eq!(code.as_deref(), Some("42703"));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Greet {
    name: String,
}

impl Task for Greet {
    const KIND: &'static str = "greet";
}

struct Greeter;

impl Handler<Greet> for Greeter {
    async fn handle(&self, greet: Greet, tx: &Tx, _: &Job) -> Result<(), Failure> {
        tx.execute("insert into seats values ($1)", &[&greet.name])
            .await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_task_is_there_if_the_callers_transaction_commits() {
    let (ground, pool) = ground().await;
    assert_eq!(
        schema::migrate(&pool).await.expect("migrated"),
        schema::migrate(&ground.pool).await.expect("nothing to do"),
    );
    let waiting = "select count(*) from cure.tasks";
    for (name, commits) in [("ann", true), ("ben", false)] {
        let name = name.to_owned();
        let mut tx = pool.begin().await.expect("a transaction of sqlx' own");
        let task = tasks::enqueue(&mut tx, &Greet { name }).await;
        assert!(task.expect("enqueued").task() > 0);
        if commits {
            assert_eq!(ground.number(waiting).await, 0, "not yet");
            tx.commit().await.expect("committed");
        } else {
            tx.rollback().await.expect("rolled back");
        }
        assert_eq!(ground.number(waiting).await, 1);
    }
    let policy = quick();
    let twice = retry::transaction(&pool, &policy, |mut tx, _| async move {
        let options = Options::default().unique("cleo");
        let name = "cleo".to_owned();
        tasks::enqueue_with(&mut tx, &Greet { name }, &options).await?;
        let name = "cleo o'hara".to_owned();
        tasks::enqueue_with(&mut tx, &Greet { name }, &options).await
    });
    let twice = twice.await.expect("enqueued");
    assert!(matches!(twice, tasks::Enqueued::Merged(_)), "{twice:?}");
    let worker = Worker::new(ground.pool.clone(), Greeter).handles::<Greet>();
    assert_eq!(worker.drain().await.expect("worked"), 2);
    let greeted = "select count(*) from seats where nick in ('ann', 'cleo o''hara')";
    assert_eq!(ground.number(greeted).await, 2);
}
