//! Claims: tasks that are one worker's, until it completes or fails them, or its lease is over and another comes.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_postgres::Row;

use super::Error;
use crate::driver::TokioPostgres;
use crate::retry::{self, Policy};
use crate::{Pool, Session, Transactional};

// A task whose lease is over was begun by somebody who has not been heard of since. If that was its last attempt it dies
// here: it may be what its workers die of.
const CLAIM: &str = "with free as (
    select id from cure.tasks
    where queue = $1 and due <= now() and not dead and ($2::text[] is null or kind = any($2))
    order by due, id limit $3 for update skip locked)
update cure.tasks as task set
    running = task.attempt < task.max_attempts,
    dead = task.attempt >= task.max_attempts,
    attempt = least(task.attempt + 1, task.max_attempts),
    fence = task.fence + 1,
    due = now() + make_interval(secs => $4),
    last_error = case when task.running then 'its worker was not heard of again' else task.last_error end
from free where task.id = free.id
returning task.id, task.kind, task.payload, task.attempt, task.max_attempts, task.fence, task.dead";

const COMPLETE: &str =
    "delete from cure.tasks where id = $1 and fence = $2 and running returning 1";

const RENEW: &str = "update cure.tasks set due = now() + make_interval(secs => $3)
where id = $1 and fence = $2 and running returning 1";

// A task that its own handler is just completing is locked; it is neither renewed nor lost.
const RENEW_ALL: &str = "with mine as (
    select task.id from cure.tasks as task join unnest($1::bigint[], $2::bigint[]) as claim (id, fence)
    on task.id = claim.id and task.fence = claim.fence where task.running),
free as (select id from cure.tasks where id in (select id from mine) order by id for update skip locked),
renewed as (
    update cure.tasks as task set due = now() + make_interval(secs => $3) from free where task.id = free.id)
select id from mine";

const FAIL: &str = "update cure.tasks set
    running = false, dead = $5 or attempt >= max_attempts, due = now() + make_interval(secs => $3), last_error = $4
where id = $1 and fence = $2 and running returning dead";

// It was not the task's fault: the attempt does not count.
const GIVE_BACK: &str = "update cure.tasks set running = false, due = now(), attempt = attempt - 1
where id = $1 and fence = $2 and running returning 1";

/// A task that was claimed.
#[derive(Clone, Debug)]
pub struct Claim {
    id: i64,
    kind: String,
    payload: Value,
    attempt: u32,
    attempts: u32,
    fence: i64,
}

/// What became of a task that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It waits for its next attempt.
    Waits,
    /// It is with the dead.
    Dead,
    /// A task with the same unique key is waiting, and stands for it too.
    Superseded,
}

/// Claims up to `most` tasks of a queue that are due, for `lease`: those that wait, and those whose lease is over.
/// Where `kinds` are named, only these. A [`Worker`](super::Worker) does this by itself; it is for those who must work
/// outside of a transaction.
///
/// # Errors
/// [`Error::Database`].
pub async fn claim(
    mut session: impl Session<Driver = TokioPostgres>,
    queue: &str,
    kinds: Option<&[&str]>,
    most: u32,
    lease: Duration,
) -> Result<Vec<Claim>, Error> {
    let (most, seconds) = (i64::from(most), lease.as_secs_f64());
    let rows = session
        .rows(CLAIM, vec![&queue, &kinds, &most, &seconds])
        .await?;
    let mut claims = Vec::new();
    for row in rows {
        let claim = Claim::of(&row)?;
        if row.try_get(6)? {
            tracing::warn!(
                task = claim.id,
                kind = claim.kind,
                "a task died with its worker"
            );
        } else {
            claims.push(claim);
        }
    }
    Ok(claims)
}

impl Claim {
    fn of(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let number = |column: usize| row.try_get::<_, i32>(column).map(|number| number as u32);
        Ok(Self {
            id: row.try_get(0)?,
            kind: row.try_get(1)?,
            payload: row.try_get(2)?,
            attempt: number(3)?,
            attempts: number(4)?,
            fence: row.try_get(5)?,
        })
    }

    /// The number of the task.
    pub fn task(&self) -> i64 {
        self.id
    }

    /// Its kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// How often it has been begun, this time included.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// How often it may be begun.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The number of this claim: greater than that of every earlier one of the same task.
    pub fn fence(&self) -> i64 {
        self.fence
    }

    pub(crate) fn json(&self) -> &Value {
        &self.payload
    }

    /// What it is about.
    ///
    /// # Errors
    /// When it is not what `T` is written as.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.payload)
    }

    /// Completes the task as part of the transaction that has its effects.
    ///
    /// # Errors
    /// [`Error::Lost`]: the transaction must be given up then. [`Error::Database`].
    pub async fn complete(
        &self,
        mut tx: impl Transactional<Driver = TokioPostgres>,
    ) -> Result<(), Error> {
        let rows = tx.rows(COMPLETE, vec![&self.id, &self.fence]).await?;
        self.still(&rows)
    }

    /// Starts its lease anew, from now.
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::Database`].
    pub async fn renew(
        &self,
        mut session: impl Session<Driver = TokioPostgres>,
        lease: Duration,
    ) -> Result<(), Error> {
        let seconds = lease.as_secs_f64();
        let rows = session
            .rows(RENEW, vec![&self.id, &self.fence, &seconds])
            .await?;
        self.still(&rows)
    }

    /// Says that it failed, and why: it is due again after `pause`, or with the dead if it had its last attempt.
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::Database`], [`Error::Transaction`].
    pub async fn fail(&self, pool: &Pool, why: &str, pause: Duration) -> Result<Failed, Error> {
        self.end(pool, why, pause, false).await
    }

    /// Says that it failed for good: it is with the dead.
    ///
    /// # Errors
    /// As [`Claim::fail`].
    pub async fn bury(&self, pool: &Pool, why: &str) -> Result<Failed, Error> {
        self.end(pool, why, Duration::ZERO, true).await
    }

    async fn end(
        &self,
        pool: &Pool,
        why: &str,
        pause: Duration,
        dead: bool,
    ) -> Result<Failed, Error> {
        let seconds = pause.as_secs_f64();
        let fail = |tx: crate::Tx, _| async move {
            let rows = (&tx)
                .rows(FAIL, vec![&self.id, &self.fence, &seconds, &why, &dead])
                .await?;
            self.still(&rows)?;
            let dead = rows.first().map_or(Ok(false), |row| row.try_get(0))?;
            Ok::<_, Error>(if dead { Failed::Dead } else { Failed::Waits })
        };
        self.or_superseded(
            pool,
            retry::transaction(pool, &Policy::default(), fail).await,
        )
        .await
    }

    /// Gives it back unfinished, for others to claim at once; the attempt does not count.
    ///
    /// # Errors
    /// As [`Claim::fail`].
    pub async fn give_back(&self, pool: &Pool) -> Result<Failed, Error> {
        let give_back = |tx: crate::Tx, _| async move {
            let rows = (&tx).rows(GIVE_BACK, vec![&self.id, &self.fence]).await?;
            self.still(&rows)?;
            Ok::<_, Error>(Failed::Waits)
        };
        self.or_superseded(
            pool,
            retry::transaction(pool, &Policy::default(), give_back).await,
        )
        .await
    }

    /// A task that goes back to waiting gives way to one with its key that waits already.
    async fn or_superseded(
        &self,
        pool: &Pool,
        result: Result<Failed, retry::Error<Error>>,
    ) -> Result<Failed, Error> {
        match result {
            Ok(failed) => Ok(failed),
            Err(error) if error.constraint() == Some("tasks_unique_key") => {
                let drop = |tx: crate::Tx, _| async move { self.complete(&tx).await };
                retry::transaction(pool, &Policy::default(), drop)
                    .await
                    .map_err(of_transaction)?;
                Ok(Failed::Superseded)
            }
            Err(error) => Err(of_transaction(error)),
        }
    }

    fn still(&self, rows: &[Row]) -> Result<(), Error> {
        if rows.is_empty() {
            return Err(Error::Lost { task: self.id });
        }
        Ok(())
    }
}

/// The error of the body, or that of the transaction.
fn of_transaction(error: retry::Error<Error>) -> Error {
    error
        .into_body()
        .unwrap_or_else(|error| Error::Transaction(error.into()))
}

/// Renews several claims; the numbers of the tasks that are still theirs.
pub(crate) async fn renew_all(
    mut session: impl Session<Driver = TokioPostgres>,
    claims: &[(i64, i64)],
    lease: Duration,
) -> Result<Vec<i64>, tokio_postgres::Error> {
    let (tasks, fences): (Vec<i64>, Vec<i64>) = claims.iter().copied().unzip();
    let rows = session
        .rows(RENEW_ALL, vec![&tasks, &fences, &lease.as_secs_f64()])
        .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}
