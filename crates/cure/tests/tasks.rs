//! Tasks: ordered, done, failed, lost, and looked at when they are dead.
#![allow(missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use common::Ground;
use deadheat_cure::retry::{self, Policy};
use deadheat_cure::schema::migrate;
use deadheat_cure::tasks::{
    self, Claim, Enqueued, Error, Failed, Failure, Handler, Job, Options, Task, Worker, enqueue,
    enqueue_with,
};
use deadheat_cure::{Pool, Tx};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_postgres::NoTls;

const MINUTE: Duration = Duration::from_mins(1);
const SCHEMA: &str = "create table letters (address text);";

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Letter {
    address: String,
}

impl Task for Letter {
    const KIND: &'static str = "letter";
}

fn letter(address: &str) -> Letter {
    Letter {
        address: address.to_owned(),
    }
}

/// A post office: some addresses are not as they should be.
#[derive(Default)]
struct Post {
    tried: AtomicU32,
}

impl Handler<Letter> for Post {
    async fn handle(&self, task: Letter, tx: &Tx, job: &Job) -> Result<(), Failure> {
        self.tried.fetch_add(1, Ordering::Relaxed);
        tx.execute("insert into letters values ($1)", &[&task.address])
            .await?;
        match task.address.as_str() {
            "nobody" => Err(Failure::for_good("nobody lives here")),
            "dragon" => panic!("eaten"),
            "second time" if job.attempt == 1 => Err(Failure::new("not at home")),
            "never" => Err(Failure::new("not at home")),
            _ => Ok(()),
        }
    }
}

async fn ground() -> Ground {
    let ground = Ground::new(SCHEMA).await;
    migrate(&ground.pool).await.expect("the tables are made");
    ground
}

async fn order(pool: &Pool, address: &str, options: &Options) -> Enqueued {
    retry::transaction(pool, &Policy::default(), |tx, _| async move {
        enqueue_with(&tx, &letter(address), options).await
    })
    .await
    .expect("it is enqueued")
}

async fn claim_one(pool: &Pool) -> Option<Claim> {
    let client = pool.get().await.expect("a connection");
    let mut claims = tasks::claim(&client, "default", None, 1, MINUTE)
        .await
        .expect("an answer");
    claims.pop()
}

async fn complete(pool: &Pool, claim: &Claim) -> Result<(), Error> {
    retry::transaction(pool, &Policy::default(), |tx, _| async move {
        tx.execute("insert into letters values ('effect')", &[])
            .await?;
        claim.complete(&tx).await
    })
    .await
    .map_err(|error| error.into_body().expect("the body's"))
}

fn worker(pool: &Pool) -> Worker<Post> {
    Worker::new(pool.clone(), Post::default())
        .handles::<Letter>()
        .backoff(Duration::ZERO, Duration::ZERO)
}

#[tokio::test]
async fn many_services_migrate_at_once() {
    let ground = Ground::new("").await;
    let all = (0..6).map(|_| {
        let pool = ground.pool.clone();
        tokio::spawn(async move { migrate(&pool).await })
    });
    for one in all.collect::<Vec<_>>() {
        one.await.expect("no panic").expect("one after the other");
    }
    ground
        .run("insert into cure.migrations (version) values (1000)")
        .await;
    let newer = migrate(&ground.pool)
        .await
        .expect_err("a newer library was here");
    assert!(newer.to_string().contains("version 1000"), "{newer}");
}

#[tokio::test]
async fn the_statements_by_themselves_are_the_same_migrations() {
    let ground = Ground::new(&deadheat_cure::schema::sql()).await;
    migrate(&ground.pool).await.expect("nothing is left to do");
    assert!(claim_one(&ground.pool).await.is_none());
}

#[tokio::test]
async fn a_task_is_there_when_its_transaction_commits_or_never() {
    let ground = ground().await;
    let pool = &ground.pool;
    let rolled_back: Result<(), _> =
        retry::transaction(pool, &Policy::default(), |tx, _| async move {
            enqueue(&tx, &letter("ann")).await?;
            Err(Error::Lost { task: 0 })
        })
        .await;
    assert!(rolled_back.is_err());
    assert!(claim_one(pool).await.is_none());
    retry::transaction(pool, &Policy::default(), |tx, _| async move {
        enqueue(&tx, &letter("ben")).await?;
        assert!(claim_one(pool).await.is_none(), "not before the commit");
        Ok::<_, Error>(())
    })
    .await
    .expect("it commits");
    let claim = claim_one(pool).await.expect("it is there");
    assert_eq!(claim.payload::<Letter>().expect("a letter"), letter("ben"));
    assert!(claim_one(pool).await.is_none(), "claimed by somebody");
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_has_no_say() {
    let ground = ground().await;
    let pool = &ground.pool;
    order(pool, "ann", &Options::default()).await;
    let slow = claim_one(pool).await.expect("it is there");
    ground.run("update cure.tasks set due = now()").await;
    let next = claim_one(pool).await.expect("its lease is over");
    assert!(next.fence() > slow.fence());
    assert_eq!(next.attempt(), 2);

    let client = pool.get().await.expect("a connection");
    let lost = |result: Result<(), Error>| matches!(result, Err(Error::Lost { .. }));
    assert!(lost(slow.renew(&client, MINUTE).await));
    assert!(lost(slow.fail(pool, "late", MINUTE).await.map(drop)));
    assert!(lost(slow.give_back(pool).await.map(drop)));
    assert!(lost(complete(pool, &slow).await));
    assert_eq!(
        ground.number("select count(*) from letters").await,
        0,
        "nor effects"
    );

    next.renew(&client, MINUTE).await.expect("it has it");
    complete(pool, &next).await.expect("it has it");
    assert_eq!(ground.number("select count(*) from letters").await, 1);
    assert_eq!(ground.number("select count(*) from cure.tasks").await, 0);
    assert!(lost(complete(pool, &next).await), "once is enough");
}

#[tokio::test]
async fn a_task_that_its_workers_die_of_is_given_up() {
    let ground = ground().await;
    let pool = &ground.pool;
    order(pool, "dragon", &Options::default().attempts(2)).await;
    for _ in 0..2 {
        claim_one(pool).await.expect("there are attempts left");
        ground.run("update cure.tasks set due = now()").await;
    }
    assert!(claim_one(pool).await.is_none());
    let client = pool.get().await.expect("a connection");
    let dead = tasks::dead(&client, "default", 10)
        .await
        .expect("an answer");
    let [dead] = dead.as_slice() else {
        panic!("{dead:?}");
    };
    assert_eq!(
        dead.last_error.as_deref(),
        Some("its worker was not heard of again")
    );
}

#[tokio::test]
async fn one_of_a_kind_waits_and_knows_the_latest() {
    let ground = ground().await;
    let pool = &ground.pool;
    let unique = Options::default().unique("ann");
    let Enqueued::New(first) = order(pool, "ann's old house", &unique).await else {
        panic!("nothing was there");
    };
    assert_eq!(
        order(pool, "ann's new house", &unique).await,
        Enqueued::Merged(first)
    );
    let running = claim_one(pool).await.expect("it is there");
    let payload: Letter = running.payload().expect("a letter");
    assert_eq!(payload, letter("ann's new house"));
    // It has begun, and may have read what is being changed: another one must follow.
    let Enqueued::New(second) = order(pool, "ann's boat", &unique).await else {
        panic!("the first one is running");
    };
    // Back to waiting, it would be one too many.
    let failed = running.fail(pool, "not at home", Duration::ZERO).await;
    assert_eq!(failed.expect("it has it"), Failed::Superseded);
    assert_eq!(claim_one(pool).await.expect("the second").task(), second);
    assert!(claim_one(pool).await.is_none());
}

#[tokio::test]
async fn a_unique_task_cannot_start_before_all_who_ordered_it_have_committed() {
    let ground = ground().await;
    let pool = &ground.pool;
    let unique = &Options::default().unique("ann");
    order(pool, "ann", unique).await;
    retry::transaction(pool, &Policy::default(), |tx, _| async move {
        enqueue_with(&tx, &letter("ann"), unique).await?;
        assert!(
            claim_one(pool).await.is_none(),
            "it would not see what this transaction writes"
        );
        Ok::<_, Error>(())
    })
    .await
    .expect("it commits");
    assert!(claim_one(pool).await.is_some());
}

#[tokio::test]
async fn tasks_wait_for_their_time() {
    let ground = ground().await;
    let pool = &ground.pool;
    order(pool, "later", &Options::default().after(MINUTE)).await;
    let time = std::time::SystemTime::now() + MINUTE;
    order(pool, "then", &Options::default().at(time)).await;
    order(pool, "now", &Options::default()).await;
    let now: Letter = claim_one(pool)
        .await
        .expect("due")
        .payload()
        .expect("a letter");
    assert_eq!(now, letter("now"));
    assert!(claim_one(pool).await.is_none());
    ground
        .run("update cure.tasks set due = due - interval '2 minutes'")
        .await;
    assert!(claim_one(pool).await.is_some());
}

#[tokio::test]
async fn a_worker_does_what_can_be_done() {
    let ground = ground().await;
    let pool = &ground.pool;
    for address in ["ann", "second time", "nobody", "dragon", "never"] {
        order(pool, address, &Options::default().attempts(3)).await;
    }
    order(pool, "ann", &Options::default().queue("elsewhere")).await;
    ground
        .run(
            "insert into cure.tasks (queue, kind, payload, max_attempts, due) values
              ('default', 'parcel', '{}', 1, now()), ('default', 'letter', '[]', 9, now())",
        )
        .await;
    let done = worker(pool).drain().await.expect("it can claim");
    assert_eq!(done, 2);
    assert_eq!(
        ground.number("select count(*) from letters").await,
        2,
        "effects of what was completed"
    );
    let client = pool.get().await.expect("a connection");
    let dead = tasks::dead(&client, "default", 10)
        .await
        .expect("an answer");
    let told: Vec<String> = dead
        .iter()
        .map(|dead| {
            format!(
                "{} {} {}",
                dead.payload,
                dead.attempt,
                dead.last_error.as_deref().unwrap_or("-")
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            r#"{"address":"nobody"} 1 nobody lives here"#,
            r#"{"address":"dragon"} 3 its handler panicked"#,
            r#"{"address":"never"} 3 not at home"#,
            "[] 1 invalid length 0, expected struct Letter with 1 element",
        ]
    );
    assert_eq!(
        ground
            .number("select count(*) from cure.tasks where not dead")
            .await,
        2,
        "not its own"
    );

    let policy = Policy::default();
    let back = retry::transaction(
        pool,
        &policy,
        |tx, _| async move { tasks::revive(&tx, 4).await },
    );
    assert!(back.await.expect("it commits"));
    assert!(tasks::discard(&client, 3).await.expect("an answer"));
    assert!(
        !tasks::discard(&client, 3).await.expect("an answer"),
        "gone"
    );
    assert_eq!(
        tasks::dead(&client, "default", 10)
            .await
            .expect("an answer")
            .len(),
        2
    );
    ground
        .run("update cure.tasks set payload = '{\"address\": \"knight\"}' where attempt = 0")
        .await;
    assert_eq!(worker(pool).drain().await.expect("it can claim"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_woken() {
    let ground = ground().await;
    // So long that only a notification can be the reason.
    let running = worker(&ground.pool)
        .poll(Duration::from_hours(1))
        .listen(ground.config(), NoTls)
        .start();
    ground.until("select exists (select from pg_stat_activity where query = 'listen cure_tasks' and state = 'idle')").await;
    for _ in 0..3 {
        order(&ground.pool, "ann", &Options::default()).await;
    }
    ground.until("select count(*) = 3 from letters").await;
    // Its connection is lost, and made again.
    ground.run("select pg_terminate_backend(pid) from pg_stat_activity where query = 'listen cure_tasks'").await;
    order(&ground.pool, "ann", &Options::default()).await;
    ground.until("select count(*) = 4 from letters").await;
    running.shutdown(MINUTE).await;
    ground
        .until("select not exists (select from pg_stat_activity where query = 'listen cure_tasks')")
        .await;
}

/// A handler that does not end before it is let.
#[derive(Clone)]
struct Slow {
    begun: Arc<Semaphore>,
    go_on: Arc<Semaphore>,
    dropped: Arc<AtomicBool>,
}

struct TellsWhenDropped(Arc<AtomicBool>);

impl Drop for TellsWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Handler<Letter> for Slow {
    async fn handle(&self, task: Letter, tx: &Tx, _: &Job) -> Result<(), Failure> {
        let tells = TellsWhenDropped(Arc::clone(&self.dropped));
        tx.execute("insert into letters values ($1)", &[&task.address])
            .await?;
        self.begun.add_permits(1);
        self.go_on.acquire().await?.forget();
        std::mem::forget(tells);
        Ok(())
    }
}

fn slow(pool: &Pool, lease: Duration) -> (Slow, tasks::Running) {
    let slow = Slow {
        begun: Arc::new(Semaphore::new(0)),
        go_on: Arc::new(Semaphore::new(0)),
        dropped: Arc::default(),
    };
    let worker = Worker::new(pool.clone(), slow.clone())
        .handles::<Letter>()
        .concurrency(1)
        .ahead(1)
        .lease(lease)
        .poll(Duration::from_millis(20))
        .start();
    (slow, worker)
}

async fn begun(slow: &Slow) {
    slow.begun.acquire().await.expect("never closed").forget();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_handler_keeps_its_task() {
    let ground = ground().await;
    order(&ground.pool, "ann", &Options::default()).await;
    let (handler, worker) = slow(&ground.pool, Duration::from_millis(300));
    begun(&handler).await;
    ground
        .run("create table was as select due from cure.tasks")
        .await;
    ground.until("select clock_timestamp() > was.due and task.due > was.due from was, cure.tasks as task").await;
    assert!(claim_one(&ground.pool).await.is_none());
    handler.go_on.add_permits(1);
    ground.until("select count(*) = 0 from cure.tasks").await;
    worker.shutdown(MINUTE).await;
    assert_eq!(ground.number("select count(*) from letters").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_whose_task_was_lost_is_dropped() {
    let ground = ground().await;
    order(&ground.pool, "ann", &Options::default()).await;
    let (handler, worker) = slow(&ground.pool, Duration::from_millis(300));
    begun(&handler).await;
    ground
        .run("update cure.tasks set fence = fence + 1, due = now() + interval '1 hour'")
        .await;
    ground
        .until(
            "select not exists (select from pg_stat_activity where state = 'idle in transaction')",
        )
        .await;
    worker.shutdown(Duration::ZERO).await;
    assert!(handler.dropped.load(Ordering::Relaxed));
    assert_eq!(ground.number("select count(*) from letters").await, 0);
    assert_eq!(
        ground
            .number("select count(*) from cure.tasks where running")
            .await,
        1,
        "the other's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stops_in_good_order() {
    let ground = ground().await;
    for address in ["ann", "ben"] {
        order(&ground.pool, address, &Options::default()).await;
    }
    let (handler, worker) = slow(&ground.pool, MINUTE);
    begun(&handler).await;
    ground
        .until("select count(*) = 2 from cure.tasks where running")
        .await;
    let stops = tokio::spawn(worker.shutdown(MINUTE));
    ground
        .until("select count(*) = 1 from cure.tasks where not running and attempt = 0")
        .await;
    handler.go_on.add_permits(1);
    stops.await.expect("no panic");
    assert_eq!(
        ground.number("select count(*) from letters").await,
        1,
        "it was waited for"
    );

    let (handler, worker) = slow(&ground.pool, MINUTE);
    begun(&handler).await;
    worker.shutdown(Duration::ZERO).await;
    assert!(handler.dropped.load(Ordering::Relaxed), "not for ever");
    assert_eq!(ground.number("select count(*) from letters").await, 1);
    assert_eq!(
        claim_one(&ground.pool).await.expect("given back").attempt(),
        1
    );
}
