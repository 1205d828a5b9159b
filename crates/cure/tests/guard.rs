//! Two workers and an editor over the same objects.
#![allow(missing_docs)]

mod common;

use std::time::Duration;

use common::Ground;
use deadheat_cure::guard::{Error, Leased, Lost, Stale, Versioned};
use deadheat_cure::retry::{self, Policy};

const SCHEMA: &str = "
    create schema drawing;
    create table drawing.objects (
        no int primary key, name text, area int,
        taken_until timestamptz, claims int not null default 0, version int not null default 5);
    insert into drawing.objects (no) values (1), (2);";
const MINUTE: Duration = Duration::from_mins(1);

fn leased() -> Leased {
    Leased::table("drawing.objects")
        .key("no")
        .until_in("taken_until")
        .fence_in("claims")
}

fn versioned() -> Versioned {
    Versioned::table("drawing.objects").key("no")
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Guard(#[from] Error),
    #[error(transparent)]
    Database(#[from] tokio_postgres::Error),
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_workers_one_gets_the_object() {
    let ground = Ground::new(SCHEMA).await;
    let mut workers = Vec::new();
    for _ in 0..20 {
        let pool = ground.pool.clone();
        workers.push(tokio::spawn(async move {
            let client = pool.get().await.expect("a connection");
            let lease = leased().claim(&client, 1, MINUTE).await.expect("an answer");
            lease.map(|lease| lease.token())
        }));
    }
    let mut tokens = Vec::new();
    for worker in workers {
        tokens.extend(worker.await.expect("no panic"));
    }
    assert_eq!(tokens, [1]);
}

#[tokio::test]
async fn the_next_holder_has_the_greater_token() {
    let ground = Ground::new(SCHEMA).await;
    let client = ground.pool.get().await.expect("a connection");
    let claim = async || leased().claim(&client, 1, MINUTE).await.expect("an answer");
    let first = claim().await.expect("nobody has it");
    assert!(claim().await.is_none());
    first.release(&client).await.expect("it is held");
    let second = claim().await.expect("it was released");
    assert!(second.token() > first.token());
    let lost = first.release(&client).await.expect_err("released already");
    assert!(matches!(lost, Error::Lost(Lost { token: 1, .. })), "{lost}");
    assert!(first.renew(&client).await.is_err());
    assert!(
        leased()
            .claim(&client, 3, MINUTE)
            .await
            .expect("an answer")
            .is_none()
    );
}

#[tokio::test]
async fn a_slow_holder_cannot_write_over_the_next_one() {
    let ground = Ground::new(SCHEMA).await;
    let client = ground.pool.get().await.expect("a connection");
    let slow = leased()
        .claim(&client, 1, MINUTE)
        .await
        .expect("an answer")
        .expect("free");
    ground
        .run("update drawing.objects set taken_until = 'yesterday'")
        .await;
    // Nobody has come yet: it is still the only one.
    slow.renew(&client)
        .await
        .expect("nobody else has claimed it");
    ground
        .run("update drawing.objects set taken_until = 'yesterday'")
        .await;
    let next = leased()
        .claim(&client, 1, MINUTE)
        .await
        .expect("an answer")
        .expect("run out");
    for (lease, name) in [(&next, "next"), (&slow, "slow")] {
        let wrote = retry::transaction(&ground.pool, &Policy::default(), |tx, _| async move {
            lease.hold(&tx).await?;
            tx.execute(
                "update drawing.objects set name = $1 where no = 1",
                &[&name],
            )
            .await?;
            Ok::<_, Failure>(())
        })
        .await;
        assert_eq!(wrote.is_ok(), name == "next", "{wrote:?}");
    }
    assert_eq!(
        ground
            .number("select count(*) from drawing.objects where name = 'next'")
            .await,
        1
    );
}

#[tokio::test]
async fn work_takes_longer_than_the_lease() {
    let ground = Ground::new(SCHEMA).await;
    let client = ground.pool.get().await.expect("a connection");
    let length = Duration::from_millis(300);
    let lease = leased()
        .claim(&client, 1, length)
        .await
        .expect("an answer")
        .expect("free");
    // Until the lease has been renewed past its first end.
    let work = ground.until(
        "select clock_timestamp() > (select min(taken_until) from was) and taken_until > clock_timestamp()
         from drawing.objects where no = 1",
    );
    ground
        .run("create table was as select taken_until from drawing.objects where no = 1")
        .await;
    lease
        .during(&ground.pool, work)
        .await
        .expect("it was renewed");
    ground
        .run("update drawing.objects set claims = claims + 1")
        .await;
    let lost = lease
        .during(&ground.pool, std::future::pending::<()>())
        .await;
    assert!(matches!(lost, Err(Error::Lost(_))), "{lost:?}");
}

#[tokio::test]
async fn a_result_that_is_out_of_date_is_refused() {
    let ground = Ground::new(SCHEMA).await;
    let client = ground.pool.get().await.expect("a connection");
    let read = versioned().read(&client, &1).await.expect("it is there");
    assert_eq!(read, 5);
    let edited = versioned()
        .update(&client, &1, read, &[("name", &"square")])
        .await;
    assert_eq!(edited.expect("nobody was faster"), 6);
    let late = versioned()
        .update(&client, &1, read, &[("area", &4), ("name", &"old")])
        .await;
    let Err(Error::Stale(stale)) = late else {
        panic!("{late:?}");
    };
    let table = "drawing.objects".to_owned();
    assert_eq!(
        stale,
        Stale {
            table,
            expected: 5,
            found: 6
        }
    );
    assert_eq!(
        ground
            .number("select count(*) from drawing.objects where name = 'square'")
            .await,
        1
    );
    let gone = versioned().update(&client, &7, 5, &[("area", &4)]).await;
    assert!(matches!(gone, Err(Error::Missing { .. })), "{gone:?}");
}
