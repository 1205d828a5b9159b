//! Tasks that are done if, and only if, the transaction that ordered them committed.
//!
//! A task that is started before the commit may run before there is anything to see, or for nothing; one that is
//! started after it is lost with a crash in between. [`enqueue`] writes it in the transaction itself. A [`Worker`]
//! claims what is due (`SKIP LOCKED`; woken by `NOTIFY`, or by its own clock), runs its [`Handler`] in a transaction,
//! and deletes the task in that same transaction: what the task did is there once, or the task still is.
//!
//! What is promised, and how it is kept:
//!
//! | promise | kept by |
//! | --- | --- |
//! | a task is visible if the transaction commits, or never | it is a row, the `NOTIFY` too waits for the commit |
//! | what a handler wrote is written once | the completion is in its transaction |
//! | a worker that was too slow cannot complete, fail or renew what another has claimed | each claim has a number (`fence`), which all three ask for |
//! | a task whose worker died is done by another | a claim is a lease, which the worker renews |
//! | a task that kills its workers ends up with the dead ones | a claim counts as an attempt, not only a failure |
//! | of those with the same unique key one waits, and it starts after the last of them has committed | a second one locks the first until then |
//!
//! What a handler does outside of the database it does at least once.
//!
//! Tasks are enqueued in any transaction, of tokio-postgres, of deadpool, or of sqlx (the feature `sqlx`). Workers have a
//! pool of deadpool.

mod claim;
mod dead;
mod handler;
mod listen;
mod order;
mod runs;
mod worker;

pub use claim::{Claim, Failed, claim};
pub use dead::{Dead, dead, discard, revive};
pub use handler::{Failure, Handler, Job};
pub(crate) use order::order;
pub use order::{Enqueued, Options, Task, enqueue, enqueue_with};
pub use worker::{Running, Worker};

use crate::Source;

/// The channel that is notified when a task was enqueued; the payload is its queue.
pub(crate) const CHANNEL: &str = "cure_tasks";

/// Why something could not be done with a task.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another worker has claimed the task since, or it is gone: this one has no say in it any more.
    #[error("task {task} is no longer this worker's")]
    Lost {
        /// Its number.
        task: i64,
    },
    /// The task cannot be written as JSON.
    #[error("a task cannot be written as JSON: {0}")]
    Payload(#[from] serde_json::Error),
    /// The database said otherwise.
    #[error("the database: {0}")]
    Database(#[source] Source),
    /// There was no connection, or no transaction.
    #[error("no transaction: {0}")]
    Transaction(#[source] Source),
}

impl Error {
    fn of_database<E: Into<Source>>(error: E) -> Self {
        Self::Database(error.into())
    }
}

/// For what tokio-postgres does, the driver of workers.
impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::of_database(error)
    }
}
