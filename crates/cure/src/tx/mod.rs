//! An open transaction: statements, what they failed with, and what is to happen after the commit.
//!
//! Its connection is lent to the body and comes back when the body drops it; `Home` is where it comes back to. What a
//! driver's statements look like is in `tokio` and `sqlx`.

mod notes;
#[cfg(feature = "sqlx")]
mod sqlx;
mod tokio;

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;

use self::notes::{Abandoned, Notes, Savepoint};
#[cfg(feature = "sqlx")]
pub use self::sqlx::Part;
use crate::Client;
use crate::driver::{Connect, Connection, Dialect, Driver, Rows, Session, Transactional};
use crate::effects::Effects;
use crate::retry::{Cause, Error, Policy};

/// An open transaction, as [`retry::transaction`](crate::retry::transaction) gives it to its body. It ends with the
/// body: committed, or rolled back. To keep it for longer (in a task that is spawned, in what the body returns) does not
/// work: [`Error::Escaped`].
///
/// With tokio-postgres it has the driver's own methods (`tx.query(…)`); with sqlx, `&mut tx` is an executor:
/// `sqlx::query("…").execute(&mut tx)`.
#[derive(Debug)]
pub struct Tx<C: Connection = Client> {
    /// There unless it is lent to the body.
    connection: Option<C>,
    home: Arc<Home<C>>,
}

/// Where the connection is while nobody has it.
#[derive(Debug)]
struct Home<C: Connection> {
    connection: Mutex<Option<C>>,
    notes: Notes,
}

/// What a statement of this connection fails with.
type Failure<C> = <<C as Connection>::Driver as Driver>::Error;

/// The body's transaction has its connection until it is dropped; the owner asks whether it is back before using it.
const OPEN: &str = "a transaction has its connection until it is lent, and is used by others only after its return";

impl<C: Connection> Home<C> {
    fn connection(&self) -> MutexGuard<'_, Option<C>> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Connection> Drop for Home<C> {
    /// A transaction that was neither committed nor rolled back (its future was dropped, its body panicked) must not
    /// return to the pool: its connection is closed, which rolls back.
    fn drop(&mut self) {
        let left = self.connection().take();
        if let Some(connection) = left {
            connection.close();
        }
    }
}

impl<C: Connection> Drop for Tx<C> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            *self.home.connection() = Some(connection);
        }
    }
}

impl<C: Connection> Tx<C> {
    pub(crate) async fn begin<P, E>(pool: &P, policy: &Policy) -> Result<Self, Error<E>>
    where
        P: Connect<Connection = C>,
    {
        let not_begun = |source| Error::NotBegun { source };
        let begin = policy.begin(C::Driver::DIALECT);
        let begin = begin.map_err(|why| not_begun(why.into()))?;
        let connection = pool.connect().await.map_err(not_begun)?;
        // From here on the connection does not return to the pool with a transaction open.
        let mut tx = Self {
            connection: Some(connection),
            home: Arc::new(Home {
                connection: Mutex::default(),
                notes: Notes::default(),
            }),
        };
        let begun = tx.connection().batch(&begin).await;
        begun.map_err(|error| not_begun(error.into()))?;
        Ok(tx)
    }

    /// Lends it: the connection comes back with [`Tx::returned`], when what is lent was dropped.
    pub(crate) fn lend(&mut self) -> Self {
        Self {
            connection: self.connection.take(),
            home: Arc::clone(&self.home),
        }
    }

    /// Whether the connection is here again.
    fn returned(&mut self) -> bool {
        if self.connection.is_none() {
            self.connection = self.home.connection().take();
        }
        self.connection.is_some()
    }

    fn connection(&mut self) -> &mut C {
        self.connection.as_mut().expect(OPEN)
    }

    /// Defers `effect` until the transaction is committed: it runs once, after the commit and before
    /// [`retry::transaction`](crate::retry::transaction) returns, in the order of the calls. If the transaction is
    /// rolled back, or tried again, or the savepoint that it belongs to is, it is dropped and never runs.
    ///
    /// It is lost if the process dies right after the commit. What must not be lost is a task, enqueued in the
    /// transaction.
    pub fn on_commit(&self, effect: impl Future<Output = ()> + Send + 'static) {
        self.home.notes.defer(effect);
    }

    /// Runs a statement and remembers how it failed.
    async fn watch<T>(
        notes: &Notes,
        statement: impl Future<Output = Result<T, Failure<C>>>,
    ) -> Result<T, Failure<C>> {
        let mut abandoned = Abandoned::watch(notes);
        let result = statement.await;
        abandoned.over();
        Self::note(notes, result.as_ref().err());
        result
    }

    fn note(notes: &Notes, error: Option<&Failure<C>>) {
        if let Some(cause) = error.and_then(C::Driver::cause) {
            notes.fails(cause);
        }
    }

    /// Runs statements without parameters, watched.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<(), Failure<C>> {
        let home = Arc::clone(&self.home);
        Self::watch(&home.notes, self.connection().batch(sql)).await
    }

    /// Commits. The effects are the caller's to run.
    pub(crate) async fn commit(mut self, attempts: u32) -> Result<Effects, Error<Infallible>> {
        let failure = self.home.notes.take_failure();
        if let Some(cause) = failure {
            self.roll_back().await;
            return Err(Error::Swallowed { cause, attempts });
        }
        if !self.returned() {
            return Err(Error::Escaped);
        }
        let Err(error) = self.connection().batch("commit").await else {
            self.over();
            return Ok(self.home.notes.take_effects());
        };
        match C::Driver::refusal(&error) {
            Some(cause) => {
                self.refused().await;
                Err(Error::Refused {
                    cause,
                    attempts,
                    source: error.into(),
                })
            }
            None => Err(Error::CommitUnknown {
                source: error.into(),
            }),
        }
    }

    /// After a refused COMMIT: PostgreSQL has ended the transaction, SQLite has not.
    async fn refused(&mut self) {
        match C::Driver::DIALECT {
            Dialect::Postgres => self.over(),
            Dialect::Sqlite => {
                if self.connection().batch("rollback").await.is_ok() {
                    self.over();
                }
            }
        }
    }

    /// Rolls back; what a statement had failed with.
    pub(crate) async fn roll_back(mut self) -> Option<Cause> {
        let failure = self.home.notes.take_failure();
        if self.returned() && self.connection().batch("rollback").await.is_ok() {
            self.over();
        }
        failure
    }

    /// The transaction has ended: the pool may have the connection.
    fn over(&mut self) {
        self.connection = None;
    }
}

impl<C: Connection> Session for &mut Tx<C> {
    type Driver = C::Driver;

    fn rows<'s>(
        &'s mut self,
        sql: &'s str,
        params: <C::Driver as Driver>::Params<'s>,
    ) -> BoxFuture<'s, Rows<C::Driver>> {
        let home = Arc::clone(&self.home);
        let rows = self.connection().rows(sql, params);
        Box::pin(async move { Tx::<C>::watch(&home.notes, rows).await })
    }
}

impl<C: Connection> Transactional for &mut Tx<C> {}
