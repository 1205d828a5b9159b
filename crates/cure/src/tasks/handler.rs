//! What a task is done by.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

use super::{Claim, Error, Task};
use crate::{Source, Tx};

/// Does tasks of one type. The type that handles is what handlers share: a client of another service, settings.
pub trait Handler<T: Task>: Send + Sync + 'static {
    /// Does the task. What is written through `tx` is committed together with the completion of the task; if it loses
    /// against another transaction, the handler is called again, as with
    /// [`retry::transaction`](crate::retry::transaction).
    ///
    /// # Errors
    /// What is returned as an error is written to the task, which is tried again later; see [`Failure`].
    fn handle(
        &self,
        task: T,
        tx: &Tx,
        job: &Job,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Which task it is, and which time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The number of the task.
    pub task: i64,
    /// How often it has been begun, this time included.
    pub attempt: u32,
    /// How often it may be begun.
    pub attempts: u32,
}

impl Job {
    pub(crate) fn of(claim: &Claim) -> Self {
        Self {
            task: claim.task(),
            attempt: claim.attempt(),
            attempts: claim.attempts(),
        }
    }
}

/// Why a task failed. Any error becomes one with `?`.
#[derive(Debug)]
pub struct Failure {
    pub(crate) source: Source,
    pub(crate) kind: Kind,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Try again later.
    Later,
    /// Never again.
    ForGood,
    /// The task is another worker's.
    Lost,
}

impl Failure {
    /// A failure for this reason, which may be a text.
    pub fn new(why: impl Into<Source>) -> Self {
        Self {
            source: why.into(),
            kind: Kind::Later,
        }
    }

    /// No attempt will ever be better: the task goes to the dead at once.
    pub fn for_good(why: impl Into<Source>) -> Self {
        Self {
            source: why.into(),
            kind: Kind::ForGood,
        }
    }

    /// The claim of the task does not hold.
    pub(crate) fn of_claim(error: Error) -> Self {
        let kind = match error {
            Error::Lost { .. } => Kind::Lost,
            _ => Kind::Later,
        };
        Self {
            source: error.into(),
            kind,
        }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        let mut next = self.source.source();
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}

/// A handler whose type of task is forgotten.
pub(crate) type Call<H> =
    for<'a> fn(
        &'a H,
        &'a Value,
        &'a Tx,
        &'a Job,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// Calls the handler of `T`. What cannot be read will not be readable later either.
pub(crate) fn call<'a, H, T>(
    handler: &'a H,
    payload: &'a Value,
    tx: &'a Tx,
    job: &'a Job,
) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>
where
    H: Handler<T>,
    T: Task + 'static,
{
    Box::pin(async move {
        let task = T::deserialize(payload).map_err(Failure::for_good)?;
        handler.handle(task, tx, job).await
    })
}
