//! Transactions that lose, are tried again, and those that must not be.
#![allow(missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::Ground;
use deadheat_cure::Tx;
use deadheat_cure::retry::{self, Cause, Error, Isolation, Policy, Violation};
use tokio::sync::{Barrier, mpsc};

const SCHEMA: &str = "
    create table counters (id int primary key, n int not null);
    insert into counters values (1, 0), (2, 0);
    create table seats (nick text constraint one_seat_each unique deferrable initially immediate);";

type Lost = Error<tokio_postgres::Error>;

fn quick() -> Policy {
    Policy::default().backoff(Duration::ZERO, Duration::ZERO)
}

async fn add(tx: &Tx, id: i32) -> Result<(), tokio_postgres::Error> {
    tx.execute("update counters set n = n + 1 where id = $1", &[&id])
        .await?;
    Ok(())
}

async fn read(tx: &Tx, id: i32) -> Result<i32, tokio_postgres::Error> {
    let find = "select n from counters where id = $1";
    Ok(tx.query_one(find, &[&id]).await?.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_read_the_same_number_both_count() {
    let ground = Ground::new(SCHEMA).await;
    let both_have_read = Arc::new(Barrier::new(2));
    let mut tasks = Vec::new();
    for _ in 0..2 {
        let (pool, barrier) = (ground.pool.clone(), Arc::clone(&both_have_read));
        // On other threads: the future of a transaction can be sent.
        tasks.push(tokio::spawn(async move {
            let policy = quick().isolation(Isolation::Serializable);
            let barrier = &barrier;
            retry::transaction(&pool, &policy, |tx, attempt| async move {
                let n = read(&tx, 1).await?;
                if attempt == 1 {
                    barrier.wait().await;
                }
                let next = n + 1;
                tx.execute("update counters set n = $1 where id = 1", &[&next])
                    .await?;
                Ok::<_, tokio_postgres::Error>(attempt)
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
    assert_eq!(
        ground
            .number("select n::bigint from counters where id = 1")
            .await,
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_wait_for_each_other_both_get_through() {
    let ground = Ground::new(SCHEMA).await;
    let both_have_one = Arc::new(Barrier::new(2));
    let mut tasks = Vec::new();
    for (first, second) in [(1, 2), (2, 1)] {
        let (pool, barrier) = (ground.pool.clone(), Arc::clone(&both_have_one));
        tasks.push(tokio::spawn(async move {
            let barrier = &barrier;
            retry::transaction(&pool, &quick(), |tx, attempt| async move {
                add(&tx, first).await?;
                if attempt == 1 {
                    barrier.wait().await;
                }
                add(&tx, second).await?;
                Ok::<_, tokio_postgres::Error>(attempt)
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
async fn the_loser_gives_up_after_the_attempts_it_was_given() {
    let ground = Ground::new(SCHEMA).await;
    let (tries, ground) = (&AtomicU32::new(0), &ground);
    let policy = quick().isolation(Isolation::RepeatableRead).attempts(3);
    let error: Lost = retry::transaction(&ground.pool, &policy, |tx, _| async move {
        tries.fetch_add(1, Ordering::Relaxed);
        read(&tx, 1).await?;
        ground
            .run("update counters set n = n + 1 where id = 1")
            .await;
        add(&tx, 1).await
    })
    .await
    .expect_err("somebody else is always first");
    assert_eq!(tries.load(Ordering::Relaxed), 3);
    assert!(error.is_conflict());
    assert!(matches!(
        error,
        Error::Failed {
            attempts: 3,
            cause: Some(Cause::Serialization),
            ..
        }
    ));
}

#[tokio::test]
async fn a_taken_name_is_not_tried_again_unless_asked_for() {
    let ground = Ground::new(SCHEMA).await;
    ground.run("insert into seats values ('ben')").await;
    for (policy, expected) in [(quick(), 1), (quick().also_integrity().attempts(4), 4)] {
        let error: Lost = retry::transaction(&ground.pool, &policy, |tx, _| async move {
            tx.execute("insert into seats values ('ben')", &[]).await?;
            Ok(())
        })
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
async fn a_constraint_that_is_checked_at_commit_refuses_it() {
    let ground = Ground::new(SCHEMA).await;
    let error: Lost = retry::transaction(&ground.pool, &quick(), |tx, _| async move {
        tx.batch_execute("set constraints one_seat_each deferred")
            .await?;
        tx.on_commit(async { panic!("nothing was committed") });
        tx.batch_execute("insert into seats values ('ben'), ('ben')")
            .await
    })
    .await
    .expect_err("two of the same");
    assert!(
        matches!(&error, Error::Refused { attempts: 1, .. }),
        "{error:?}"
    );
    assert_eq!(error.constraint(), Some("one_seat_each"));
    assert_eq!(ground.number("select count(*) from seats").await, 0);
}

#[tokio::test]
async fn effects_run_once_after_the_commit() {
    let ground = &Ground::new(SCHEMA).await;
    let runs = &Arc::new(AtomicU32::new(0));
    let (tell, mut told) = mpsc::unbounded_channel();
    let tell = &tell;
    let policy = quick().isolation(Isolation::RepeatableRead);
    retry::transaction(&ground.pool, &policy, |tx, attempt| async move {
        let (runs, pool, tell) = (Arc::clone(runs), ground.pool.clone(), tell.clone());
        tx.on_commit(async move {
            runs.fetch_add(1, Ordering::Relaxed);
            let client = pool.get().await.expect("a connection");
            let row = client.query_one("select n from counters where id = 1", &[]);
            let n: i32 = row.await.expect("a row").get(0);
            tell.send((attempt, n)).expect("it is waited for");
        });
        read(&tx, 1).await?;
        if attempt == 1 {
            ground
                .run("update counters set n = n + 10 where id = 1")
                .await;
        }
        add(&tx, 1).await
    })
    .await
    .expect("it commits");
    assert_eq!(
        told.recv().await,
        Some((2, 11)),
        "seen from another connection"
    );
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_part_fails_and_the_rest_is_committed() {
    let ground = Ground::new(SCHEMA).await;
    ground.run("insert into seats values ('ben')").await;
    let taken = retry::transaction(&ground.pool, &quick(), |tx, _| async move {
        add(&tx, 1).await?;
        let part: Result<(), tokio_postgres::Error> = tx
            .savepoint(async {
                tx.on_commit(async { panic!("this part is undone") });
                add(&tx, 2).await?;
                tx.execute("insert into seats values ('ben')", &[]).await?;
                Ok(())
            })
            .await;
        add(&tx, 1).await?;
        Ok::<_, tokio_postgres::Error>(part.is_err())
    })
    .await
    .expect("the rest is committed");
    assert!(taken);
    assert_eq!(
        ground
            .number("select n::bigint from counters where id = 1")
            .await,
        2
    );
    assert_eq!(
        ground
            .number("select n::bigint from counters where id = 2")
            .await,
        0
    );
}

#[tokio::test]
async fn a_body_that_says_nothing_of_its_error_does_not_pass_for_committed() {
    let ground = Ground::new(SCHEMA).await;
    ground.run("insert into seats values ('ben')").await;
    let error: Lost = retry::transaction(&ground.pool, &quick(), |tx, _| async move {
        add(&tx, 1).await?;
        let _ = tx.execute("insert into seats values ('ben')", &[]).await;
        Ok(())
    })
    .await
    .expect_err("the server would roll back and say nothing");
    assert!(matches!(&error, Error::Swallowed { .. }), "{error:?}");
    assert_eq!(error.constraint(), Some("one_seat_each"));
}

#[tokio::test]
async fn a_statement_given_up_half_way_is_not_committed() {
    let ground = Ground::new(SCHEMA).await;
    let error: Lost = retry::transaction(&ground.pool, &quick(), |tx, _| async move {
        let slow = tx.batch_execute("update counters set n = 5; select pg_sleep(0.2)");
        let _ = tokio::time::timeout(Duration::from_millis(20), slow).await;
        Ok(())
    })
    .await
    .expect_err("what became of it is not known");
    assert!(
        matches!(
            &error,
            Error::Swallowed {
                cause: Cause::Abandoned,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(ground.number("select sum(n) from counters").await, 0);
}

#[tokio::test]
async fn a_transaction_within_another_is_refused() {
    let ground = Ground::new(SCHEMA).await;
    let pool = &ground.pool;
    retry::transaction(pool, &quick(), |_, _| async move {
        let inner: Result<(), Lost> =
            retry::transaction(pool, &quick(), |tx, _| async move { add(&tx, 1).await }).await;
        assert!(matches!(inner, Err(Error::Nested)));
        Ok::<_, tokio_postgres::Error>(())
    })
    .await
    .expect("the outer one is as good as ever");
    assert_eq!(ground.number("select sum(n) from counters").await, 0);
}

#[tokio::test]
async fn a_connection_lost_before_the_commit_is_known_to_have_done_nothing() {
    let ground = &Ground::new(SCHEMA).await;
    let error: Lost = retry::transaction(&ground.pool, &quick(), |tx, _| async move {
        add(&tx, 1).await?;
        let pid: i32 = tx.query_one("select pg_backend_pid()", &[]).await?.get(0);
        ground
            .run(&format!("select pg_terminate_backend({pid})"))
            .await;
        add(&tx, 1).await
    })
    .await
    .expect_err("the connection is gone");
    assert!(
        matches!(&error, Error::Failed { attempts: 1, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_connection_lost_during_the_commit_leaves_it_open() {
    let ground = Ground::new(SCHEMA).await;
    // A constraint trigger that runs at COMMIT and kills its own session there.
    ground
        .run(
            "create function die() returns trigger language plpgsql as
                'begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(5); return null; end';
             create constraint trigger dies after insert on seats deferrable initially deferred
                for each row execute function die()",
        )
        .await;
    let (tries, ground) = (&AtomicU32::new(0), &ground);
    let error: Lost = retry::transaction(
        &ground.pool,
        &quick().also_integrity(),
        |tx, _| async move {
            tries.fetch_add(1, Ordering::Relaxed);
            tx.execute("insert into seats values ('ben')", &[]).await?;
            Ok(())
        },
    )
    .await
    .expect_err("the connection is gone");
    assert!(matches!(&error, Error::CommitUnknown { .. }), "{error:?}");
    assert_eq!(
        tries.load(Ordering::Relaxed),
        1,
        "never tried again blindly"
    );
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing_open() {
    let ground = Ground::new(SCHEMA).await;
    let pool = ground.pool.clone();
    let stuck = tokio::spawn(async move {
        retry::transaction(&pool, &quick(), |tx, _| async move {
            add(&tx, 1).await?;
            std::future::pending::<Result<(), tokio_postgres::Error>>().await
        })
        .await
    });
    ground
        .until("select exists (select from pg_stat_activity where state = 'idle in transaction')")
        .await;
    stuck.abort();
    ground
        .until(
            "select not exists (select from pg_stat_activity where state = 'idle in transaction')",
        )
        .await;
    assert_eq!(ground.number("select sum(n) from counters").await, 0);
}

#[tokio::test]
async fn a_transaction_kept_beyond_its_body_is_not_committed() {
    let ground = Ground::new(SCHEMA).await;
    let kept: Result<Tx, Lost> = retry::transaction(&ground.pool, &quick(), |tx, _| async move {
        add(&tx, 1).await?;
        Ok(tx)
    })
    .await;
    assert!(matches!(kept, Err(Error::Escaped)), "{kept:?}");
    ground
        .until(
            "select not exists (select from pg_stat_activity where state = 'idle in transaction')",
        )
        .await;
    assert_eq!(ground.number("select sum(n) from counters").await, 0);
}
