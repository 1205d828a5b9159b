//! Commands that rely on a promise of the cures each, and the same without the cure (`racy`).
//!
//! `promises WHAT [racy]` does one thing to the database that `DATABASE_URL` names. The scenarios of
//! `tests/promises.rs` run several of them at once, in all orders that make a difference. No pause is made and every lease is over as soon
//! as it is claimed, so that what happens depends on the order of statements alone.

mod over_sqlx;

use std::env;
use std::time::Duration;

use deadheat_cure::actor::{self, Durable, Receive, Turn};
use deadheat_cure::guard::{self, Leased, Versioned};
use deadheat_cure::retry::{self, Policy};
use deadheat_cure::schema::migrate;
use deadheat_cure::tasks::{self, Claim, Failure, Handler, Job, Options, Task, Worker};
use deadheat_cure::{Client, Pool, Source, Tx};
use deadpool_postgres::Manager;
use serde::{Deserialize, Serialize};
use tokio_postgres::NoTls;

/// Long past when it is looked at.
const OVER: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_hours(1);

fn policy() -> Policy {
    Policy::default().backoff(Duration::ZERO, Duration::ZERO)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Source> {
    let database: tokio_postgres::Config = env::var("DATABASE_URL")?.parse()?;
    let pool = Pool::builder(Manager::new(database, NoTls))
        .max_size(2)
        .build()?;
    let mut words = env::args().skip(1);
    let what = words.next().unwrap_or_default();
    let racy = words.next().is_some_and(|word| word == "racy");
    match what.as_str() {
        "migrate" => migrate(&pool).await.map(drop).map_err(Source::from),
        "count" => count(&pool, racy).await,
        "mail" => mail(&pool, racy).await,
        "calculate" => calculate(&pool, racy).await,
        "fence" => fence(&pool, racy).await,
        "edit" => edit(&pool, racy).await,
        "work" => work(&pool, racy).await,
        "give-up" => give_up(&pool, racy).await,
        "publish" => publish(&pool, racy).await,
        "open" => open(&pool, racy).await,
        "drain" => drain(&pool).await,
        "pay" => pay(&pool, racy).await,
        "sqlx-count" => over_sqlx::count(racy).await,
        "sqlx-fence" => over_sqlx::fence(racy).await,
        "sqlx-edit" => over_sqlx::edit(racy).await,
        "sqlx-open" => over_sqlx::open(racy).await,
        _ => Err(format!("there is no {what:?}").into()),
    }
}

/// Adds one to a counter, by reading and writing it. Racy: does not try again.
async fn count(pool: &Pool, racy: bool) -> Result<(), Source> {
    let policy = policy().isolation(retry::Isolation::Serializable);
    let policy = policy.attempts(if racy { 1 } else { 10 });
    let counted = retry::transaction(pool, &policy, |tx, _| async move { add_one(&tx).await });
    Ok(counted.await?)
}

async fn add_one(tx: &Tx) -> Result<(), tokio_postgres::Error> {
    let row = tx
        .query_one("select n from counter where id = 1", &[])
        .await?;
    let next = row.get::<_, i32>(0) + 1;
    tx.execute("update counter set n = $1 where id = 1", &[&next])
        .await?;
    Ok(())
}

/// Adds one and writes a letter about it, outside of the transaction. Racy: at once, not after the commit.
async fn mail(pool: &Pool, racy: bool) -> Result<(), Source> {
    let policy = policy().isolation(retry::Isolation::RepeatableRead);
    retry::transaction(pool, &policy, |tx, _| async move {
        let letter = write_letter(pool.clone());
        if racy {
            letter.await;
        } else {
            tx.on_commit(letter);
        }
        add_one(&tx).await
    })
    .await?;
    Ok(())
}

async fn write_letter(pool: Pool) {
    let written = async {
        let client = pool.get().await?;
        client
            .execute("insert into letters default values", &[])
            .await?;
        Ok::<_, Source>(())
    };
    if let Err(error) = written.await {
        eprintln!("no letter: {error}");
    }
}

/// Does an object's calculation, if nobody else does. Racy: looks first, and takes it then.
async fn calculate(pool: &Pool, racy: bool) -> Result<(), Source> {
    let client = pool.get().await?;
    let mine = if racy {
        let find = "select 1 from objects where id = 1 and leased_until is null";
        let free = !client.query(find, &[]).await?.is_empty();
        if free {
            let take = "update objects set leased_until = 'infinity' where id = 1";
            client.execute(take, &[]).await?;
        }
        free
    } else {
        Leased::table("objects")
            .claim(&client, 1, HOUR)
            .await?
            .is_some()
    };
    if mine {
        client
            .execute("insert into results (token) values (1)", &[])
            .await?;
    }
    Ok(())
}

/// Claims an object for no time at all, and writes a result all the same, if it still may. Racy: does not ask.
async fn fence(pool: &Pool, racy: bool) -> Result<(), Source> {
    let client = pool.get().await?;
    let claimed = Leased::table("objects").claim(&client, 1, OVER).await?;
    drop(client);
    let Some(lease) = &claimed else {
        return Ok(());
    };
    let policy = policy();
    let written = retry::transaction(pool, &policy, |tx, _| async move {
        if !racy {
            lease.hold(&tx).await.map_err(Source::from)?;
        }
        let token = &lease.token();
        let write = "update objects set n = $1::bigint where id = 1";
        tx.execute(write, &[token]).await?;
        let note = "insert into results (token) values ($1)";
        tx.execute(note, &[token]).await?;
        Ok::<_, Source>(())
    });
    unless_lost(written.await)
}

/// Reads a number with its version, and writes it with one added. Racy: whatever has happened since.
async fn edit(pool: &Pool, racy: bool) -> Result<(), Source> {
    let client = pool.get().await?;
    let row = client
        .query_one("select n, version from objects where id = 1", &[])
        .await?;
    let (n, version): (i32, i64) = (row.get(0), row.get(1));
    drop(client);
    let next = &(n + 1);
    let policy = policy();
    let edited = retry::transaction(pool, &policy, |tx, _| async move {
        if racy {
            tx.execute(
                "update objects set n = $1, version = version + 1 where id = 1",
                &[next],
            )
            .await?;
        } else {
            Versioned::table("objects")
                .update(&tx, &1, version, &[("n", next)])
                .await?;
        }
        tx.execute("insert into results (token) values (1)", &[])
            .await?;
        Ok::<_, Source>(())
    });
    unless_lost(edited.await)
}

/// That somebody else was faster is not an error of these commands.
fn unless_lost(result: Result<(), retry::Error<Source>>) -> Result<(), Source> {
    let error = match result.map_err(retry::Error::into_body) {
        Ok(()) => return Ok(()),
        Err(Ok(error)) => error,
        Err(Err(error)) => return Err(error.to_string().into()),
    };
    let guard = matches!(
        error.downcast_ref(),
        Some(guard::Error::Lost(_) | guard::Error::Stale(_))
    );
    if guard || matches!(error.downcast_ref(), Some(tasks::Error::Lost { .. })) {
        return Ok(());
    }
    Err(error)
}

async fn claim_for_no_time(pool: &Pool) -> Result<Option<Claim>, Source> {
    let client = pool.get().await?;
    let mut claims = tasks::claim(&client, "default", None, 1, OVER).await?;
    Ok(claims.pop())
}

/// Claims a task, writes its result and completes it. Racy: by its number alone.
async fn work(pool: &Pool, racy: bool) -> Result<(), Source> {
    let Some(claim) = &claim_for_no_time(pool).await? else {
        return Ok(());
    };
    let client = pool.get().await?;
    client
        .execute("insert into began (token) values ($1)", &[&claim.fence()])
        .await?;
    drop(client);
    let policy = policy();
    let worked = retry::transaction(pool, &policy, |tx, _| async move {
        tx.execute("insert into results (token) values ($1)", &[&claim.fence()])
            .await?;
        if racy {
            tx.execute("delete from cure.tasks where id = $1", &[&claim.task()])
                .await?;
        } else {
            claim.complete(&tx).await?;
        }
        Ok::<_, Source>(())
    });
    unless_lost(worked.await)
}

/// Claims a task and says that it failed. Racy: by its number alone.
async fn give_up(pool: &Pool, racy: bool) -> Result<(), Source> {
    let Some(claim) = claim_for_no_time(pool).await? else {
        return Ok(());
    };
    if racy {
        let client = pool.get().await?;
        let fail =
            "update cure.tasks set running = false, due = now(), last_error = 'no' where id = $1";
        client.execute(fail, &[&claim.task()]).await?;
        return Ok(());
    }
    match claim.fail(pool, "no", Duration::ZERO).await {
        Err(error) if !matches!(error, tasks::Error::Lost { .. }) => Err(error.into()),
        _ => Ok(()),
    }
}

#[derive(Serialize, Deserialize)]
struct Publish {}

impl Task for Publish {
    const KIND: &'static str = "publish";
}

/// Publishes the demands that it sees.
struct Market;

impl Handler<Publish> for Market {
    async fn handle(&self, _: Publish, tx: &Tx, _: &Job) -> Result<(), Failure> {
        tx.execute(
            "update demands set state = 'published' where state = 'open'",
            &[],
        )
        .await?;
        Ok(())
    }
}

/// Opens a demand and orders its publication, one for all that are open. Racy: leaves it at one that waits already.
async fn publish(pool: &Pool, racy: bool) -> Result<(), Source> {
    let options = &Options::default().unique("publish");
    retry::transaction(pool, &policy(), |tx, _| async move {
        tx.execute("insert into demands (state) values ('open')", &[])
            .await?;
        if racy {
            tx.execute(
                "insert into cure.tasks (queue, kind, payload, unique_key, max_attempts, due)
                 values ('default', 'publish', '{}', 'publish', 10, now()) on conflict do nothing",
                &[],
            )
            .await?;
        } else {
            tasks::enqueue_with(&tx, &Publish {}, options).await?;
        }
        Ok::<_, Source>(())
    })
    .await
    .map_err(|error| error.to_string().into())
}

/// Opens a demand and orders its publication. Racy: in a transaction of its own, before.
async fn open(pool: &Pool, racy: bool) -> Result<(), Source> {
    if racy {
        retry::transaction(pool, &policy(), |tx, _| async move {
            tasks::enqueue(&tx, &Publish {}).await
        })
        .await?;
    }
    retry::transaction(pool, &policy(), |tx, _| async move {
        tx.execute("insert into demands (state) values ('open')", &[])
            .await?;
        if !racy {
            tasks::enqueue(&tx, &Publish {}).await?;
        }
        Ok::<_, Source>(())
    })
    .await
    .map_err(|error| error.to_string().into())
}

/// A worker that does what is due, one after the other.
async fn drain(pool: &Pool) -> Result<(), Source> {
    let worker = Worker::new(pool.clone(), Market).handles::<Publish>();
    worker.concurrency(1).policy(policy()).drain().await?;
    Ok(())
}

#[derive(Default, Serialize, Deserialize)]
struct Account {
    balance: i64,
}

impl Durable for Account {
    const KIND: &'static str = "account";
}

#[derive(Serialize, Deserialize)]
struct Credit {
    amount: i64,
}

impl Task for Credit {
    const KIND: &'static str = "credit";
}

struct Pay {
    amount: i64,
}

impl Receive<Credit> for Account {
    type Reply = ();
    type Error = Source;

    async fn receive(&mut self, credit: &Credit, _: &Turn<'_>) -> Result<(), Source> {
        self.balance += credit.amount;
        Ok(())
    }
}

impl Receive<Pay> for Account {
    type Reply = bool;
    type Error = Source;

    async fn receive(&mut self, pay: &Pay, turn: &Turn<'_>) -> Result<bool, Source> {
        let enough = self.balance >= pay.amount;
        if enough {
            self.balance -= pay.amount;
            turn.send::<Account, _>("shop", &Credit { amount: pay.amount })
                .await?;
        }
        Ok(enough)
    }
}

/// Pays 60 of 100. Racy: reads the state without locking it.
async fn pay(pool: &Pool, racy: bool) -> Result<(), Source> {
    if !racy {
        let paid = actor::turn::<Account, _>(pool, &policy(), "ann", &Pay { amount: 60 }).await;
        return paid.map(drop).map_err(|error| error.to_string().into());
    }
    let client: Client = pool.get().await?;
    let rows = client
        .query("select state from cure.actors where id = 'ann'", &[])
        .await?;
    let row = rows.first().ok_or("no account")?;
    let mut account = Account::deserialize(row.get::<_, serde_json::Value>(0))?;
    drop(client);
    if account.balance < 60 {
        return Ok(());
    }
    account.balance -= 60;
    let state = &serde_json::to_value(&account)?;
    retry::transaction(pool, &policy(), |tx, _| async move {
        actor::send::<Account, _>(&tx, "shop", &Credit { amount: 60 }).await?;
        tx.execute(
            "update cure.actors set state = $1 where id = 'ann'",
            &[state],
        )
        .await?;
        Ok::<_, Source>(())
    })
    .await
    .map_err(|error| error.to_string().into())
}
