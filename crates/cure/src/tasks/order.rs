//! Ordering a task: in a transaction, of a queue, for a time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CHANNEL, Error};
use crate::Transactional;
use crate::driver::{Driver, OnPostgres, Params};

/// Something to be done later; what it is about is written as JSON.
pub trait Task: Serialize + DeserializeOwned + Send {
    /// Its name in the database: it stays when the type is renamed.
    const KIND: &'static str;

    /// The same, where it depends on the type's parameters.
    fn kind() -> String {
        Self::KIND.to_owned()
    }
}

/// How a task is ordered.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    queue: String,
    at: Option<SystemTime>,
    after: Duration,
    unique: Option<String>,
    attempts: u32,
}

impl Default for Options {
    /// At once, in the queue `default`, ten attempts.
    fn default() -> Self {
        Self {
            queue: "default".to_owned(),
            at: None,
            after: Duration::ZERO,
            unique: None,
            attempts: 10,
        }
    }
}

impl Options {
    /// Another queue. A worker serves one.
    #[must_use]
    pub fn queue(mut self, queue: &str) -> Self {
        queue.clone_into(&mut self.queue);
        self
    }

    /// Not before that time. Workers look for such tasks when they poll.
    #[must_use]
    pub fn at(mut self, time: SystemTime) -> Self {
        self.at = Some(time);
        self
    }

    /// Not before so much time has passed, since the transaction began.
    #[must_use]
    pub fn after(mut self, time: Duration) -> Self {
        self.after = time;
        self
    }

    /// If a task with this key is waiting in the queue, it stands for this one too: it gets the payload of this one, and
    /// the earlier of the two times. It cannot start before this transaction has ended. One that has begun does not
    /// count, because it may have read what this transaction changes.
    #[must_use]
    pub fn unique(mut self, key: &str) -> Self {
        self.unique = Some(key.to_owned());
        self
    }

    /// It is begun so many times at most, once at least; then it is with the dead.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.clamp(1, i32::MAX as u32);
        self
    }
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// A new task, with this number.
    New(i64),
    /// The task of this number was waiting with the same unique key, and stands for both.
    Merged(i64),
}

impl Enqueued {
    /// The number of the task.
    pub fn task(self) -> i64 {
        match self {
            Self::New(task) | Self::Merged(task) => task,
        }
    }
}

// The update is what makes an order with the same key wait: the waiting task is locked until this transaction ends, and
// is skipped by claims until then. DO NOTHING would let it start, and end, before what it is about can be seen.
const ENQUEUE: &str = "with ordered as (
    insert into cure.tasks as waiting (queue, kind, payload, unique_key, max_attempts, due)
    values ($1, $2, $3::text::jsonb, $4, $5::bigint, coalesce(to_timestamp($6), now()) + make_interval(secs => $7))
    on conflict (queue, unique_key) where not running and not dead do update
    set payload = excluded.payload, due = least(waiting.due, excluded.due), merged = waiting.merged + 1
    returning id, merged)
select id, merged::bigint, pg_notify($8, $1) from ordered";

/// Orders a task as part of a transaction, at once and in the queue `default`: it is there when the transaction
/// commits, and never if it does not.
///
/// ```no_run
/// # use deadheat_cure::{Pool, retry::{self, Policy}, tasks::{self, Task}};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// struct Validate { demand: i64 }
///
/// impl Task for Validate {
///     const KIND: &'static str = "validate";
/// }
///
/// # #[derive(Debug, thiserror::Error)] #[error("…")] enum Failure {
/// #     Tasks(#[from] tasks::Error), Database(#[from] tokio_postgres::Error) }
/// # async fn example(pool: &Pool, demand: i64) -> Result<(), retry::Error<Failure>> {
/// retry::transaction(pool, &Policy::default(), |tx, _| async move {
///     tx.execute("update demands set state = 'open' where id = $1", &[&demand]).await?;
///     tasks::enqueue(&tx, &Validate { demand }).await?;
///     Ok(())
/// })
/// .await
/// # }
/// ```
///
/// # Errors
/// [`Error::Payload`], [`Error::Database`].
pub async fn enqueue<T: Task>(
    tx: impl Transactional<Driver: OnPostgres>,
    task: &T,
) -> Result<Enqueued, Error> {
    enqueue_with(tx, task, &Options::default()).await
}

/// The same, with a say in when, where and how often.
///
/// # Errors
/// As [`enqueue`].
pub async fn enqueue_with<T: Task>(
    tx: impl Transactional<Driver: OnPostgres>,
    task: &T,
    options: &Options,
) -> Result<Enqueued, Error> {
    order(tx, T::kind(), serde_json::to_string(task)?, options).await
}

/// Orders what is JSON already.
pub(crate) async fn order<S>(
    mut tx: S,
    kind: String,
    payload: String,
    options: &Options,
) -> Result<Enqueued, Error>
where
    S: Transactional<Driver: OnPostgres>,
{
    let queue = Some(options.queue.clone());
    let (kind, payload, channel) = (Some(kind), Some(payload), Some(CHANNEL.to_owned()));
    let attempts = i64::from(options.attempts);
    let (at, after) = (options.at.map(seconds), Some(options.after.as_secs_f64()));
    let params = <S::Driver as Driver>::Params::default()
        .text(&queue)
        .text(&kind)
        .text(&payload)
        .text(&options.unique)
        .int(&attempts)
        .real(&at)
        .real(&after)
        .text(&channel);
    let rows = tx.rows(ENQUEUE, params).await;
    let rows = rows.map_err(Error::of_database)?;
    let row = rows
        .first()
        .expect("an insert or an update returns its row");
    let number = |column| S::Driver::number(row, column).map_err(Error::of_database);
    let (task, merged) = (number(0)?, number(1)?);
    Ok(if merged > 0 {
        Enqueued::Merged(task)
    } else {
        Enqueued::New(task)
    })
}

/// Seconds since 1970, negative before.
fn seconds(time: SystemTime) -> f64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}
