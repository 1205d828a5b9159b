//! An open transaction: statements, what they failed with, and what is to happen after the commit.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use crate::effects::Effects;
use crate::retry::{Cause, Error, Policy};
use crate::session::{Params, Session, Transactional};
use crate::{Client, Pool};

/// An open transaction, as [`retry::transaction`](crate::retry::transaction) gives it to its body. It ends with the
/// body: committed, or rolled back. To keep it for longer (in a task that is spawned, in what the body returns) does not
/// work: [`Error::Escaped`].
#[derive(Debug)]
pub struct Tx(Arc<Open>);

/// What body and owner share.
#[derive(Debug)]
struct Open {
    /// There until the transaction has ended.
    client: Option<Client>,
    notes: Mutex<Notes>,
}

/// What the transaction remembers.
#[derive(Debug, Default)]
struct Notes {
    /// What a statement failed with first; rolling back to a savepoint makes up for it.
    failure: Option<Cause>,
    /// How many savepoints are open.
    depth: usize,
    effects: Effects,
}

/// A connection as long as its transaction is open, which it is wherever a statement can be sent.
const OPEN: &str = "a transaction has its connection until commit or rollback, which consume it";

impl Tx {
    pub(crate) async fn begin<E>(pool: &Pool, policy: &Policy) -> Result<Self, Error<E>> {
        let client = pool.get().await.map_err(|source| Error::NotBegun {
            source: source.into(),
        })?;
        // From here on the connection does not return to the pool with a transaction open.
        let tx = Self(Arc::new(Open {
            client: Some(client),
            notes: Mutex::default(),
        }));
        tx.client()
            .batch_execute(&policy.begin())
            .await
            .map_err(|source| Error::NotBegun {
                source: source.into(),
            })?;
        Ok(tx)
    }

    /// The same transaction once more, for the body; the owner keeps the other.
    pub(crate) fn lent(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    fn client(&self) -> &Client {
        self.0.client()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.notes()
    }

    /// Defers `effect` until the transaction is committed: it runs once, after the commit and before
    /// [`retry::transaction`](crate::retry::transaction) returns, in the order of the calls. If the transaction is
    /// rolled back, or tried again, or the savepoint that it belongs to is, it is dropped and never runs.
    ///
    /// It is lost if the process dies right after the commit. What must not be lost is a task, enqueued in the
    /// transaction.
    pub fn on_commit(&self, effect: impl Future<Output = ()> + Send + 'static) {
        self.notes().effects.push(effect);
    }

    /// The rows that a statement returns. As in tokio-postgres, a text is prepared anew each time; see
    /// [`Tx::prepare_cached`].
    ///
    /// # Errors
    /// Whatever the server or the connection says; so with the others below.
    pub async fn query<S>(
        &self,
        statement: &S,
        params: Params<'_>,
    ) -> Result<Vec<Row>, tokio_postgres::Error>
    where
        S: ?Sized + tokio_postgres::ToStatement + Sync,
    {
        self.watch(self.client().query(statement, params)).await
    }

    /// The one row that a statement returns.
    ///
    /// # Errors
    /// When it is not exactly one, and as [`Tx::query`].
    pub async fn query_one<S>(
        &self,
        statement: &S,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, tokio_postgres::Error>
    where
        S: ?Sized + tokio_postgres::ToStatement + Sync,
    {
        self.watch(self.client().query_one(statement, params)).await
    }

    /// The row that a statement returns, if it does.
    ///
    /// # Errors
    /// When there are several, and as [`Tx::query`].
    pub async fn query_opt<S>(
        &self,
        statement: &S,
        params: Params<'_>,
    ) -> Result<Option<Row>, tokio_postgres::Error>
    where
        S: ?Sized + tokio_postgres::ToStatement + Sync,
    {
        self.watch(self.client().query_opt(statement, params)).await
    }

    /// How many rows a statement changed.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn execute<S>(
        &self,
        statement: &S,
        params: Params<'_>,
    ) -> Result<u64, tokio_postgres::Error>
    where
        S: ?Sized + tokio_postgres::ToStatement + Sync,
    {
        self.watch(self.client().execute(statement, params)).await
    }

    /// Runs statements without parameters, separated by semicolons. To begin, commit or roll back is not its business.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn batch_execute(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.watch(self.client().batch_execute(sql)).await
    }

    /// Prepares a statement, which the connection then keeps for all transactions after this one.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn prepare_cached(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        self.watch(self.client().prepare_cached(sql)).await
    }

    /// Runs `part` behind a savepoint: if it returns an error, what it did is undone, with its deferred effects, and
    /// the transaction goes on. This is how a violated constraint is answered without giving up everything. Nothing of
    /// `part` may have begun, as is the case with an async block.
    ///
    /// A serialization failure or a deadlock cannot be answered within the transaction: it stays what the transaction
    /// failed with.
    ///
    /// # Errors
    /// What `part` returned, or that of the savepoint itself.
    pub async fn savepoint<T, E>(&self, part: impl Future<Output = Result<T, E>>) -> Result<T, E>
    where
        E: From<tokio_postgres::Error>,
    {
        let (name, effects) = {
            let mut notes = self.notes();
            notes.depth += 1;
            (format!("cure_{}", notes.depth), notes.effects.len())
        };
        self.batch_execute(&format!("savepoint {name}")).await?;
        let abandoned = Abandoned::watch(self);
        let result = part.await;
        abandoned.over();
        if result.is_ok() {
            self.batch_execute(&format!("release {name}")).await?;
        } else {
            self.batch_execute(&format!("rollback to {name}; release {name}"))
                .await?;
            self.notes().undo(effects);
        }
        self.notes().depth -= 1;
        result
    }

    /// Runs a statement and remembers how it failed.
    async fn watch<T>(
        &self,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, tokio_postgres::Error> {
        let abandoned = Abandoned::watch(self);
        let result = statement.await;
        abandoned.over();
        if let Err(error) = &result
            && let Some(said) = error.as_db_error()
            && said.code() != &SqlState::IN_FAILED_SQL_TRANSACTION
        {
            self.fails(Cause::of(said));
        }
        result
    }

    fn fails(&self, cause: Cause) {
        self.notes().failure.get_or_insert(cause);
    }

    /// Commits. The effects are the caller's to run.
    pub(crate) async fn commit(self, attempts: u32) -> Result<Effects, Error<Infallible>> {
        let failure = self.notes().failure.take();
        if let Some(cause) = failure {
            self.roll_back().await;
            return Err(Error::Swallowed { cause, attempts });
        }
        let mut open = Arc::into_inner(self.0).ok_or(Error::Escaped)?;
        let Err(error) = open.client().batch_execute("commit").await else {
            open.client = None;
            return Ok(std::mem::take(&mut open.notes().effects));
        };
        match error.as_db_error() {
            // The server is there to say it: nothing was committed, and nothing is open any more.
            Some(said) if refuses(said.parsed_severity()) => {
                let cause = Cause::of(said);
                open.client = None;
                Err(Error::Refused {
                    cause,
                    attempts,
                    source: error.into(),
                })
            }
            _ => Err(Error::CommitUnknown {
                source: error.into(),
            }),
        }
    }

    /// Rolls back; what a statement had failed with.
    pub(crate) async fn roll_back(self) -> Option<Cause> {
        let failure = self.notes().failure.take();
        if let Some(mut open) = Arc::into_inner(self.0)
            && open.client().batch_execute("rollback").await.is_ok()
        {
            open.client = None;
        }
        failure
    }
}

impl Open {
    fn client(&self) -> &Client {
        self.client.as_ref().expect(OPEN)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    /// What was rolled back to a savepoint is as if it had not been.
    fn undo(&mut self, effects: usize) {
        self.effects.truncate(effects);
        if let Some(Cause::Integrity { .. } | Cause::Statement(_)) = self.failure {
            self.failure = None;
        }
    }
}

/// Whether an answer of this severity to COMMIT means that nothing was committed. FATAL and PANIC end the session,
/// which may be after the commit.
fn refuses(severity: Option<Severity>) -> bool {
    severity == Some(Severity::Error)
}

impl Drop for Open {
    /// A transaction that was neither committed nor rolled back (its future was dropped, its body panicked) must not
    /// return to the pool: its connection is closed, which rolls back.
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Client::take(client));
        }
    }
}

impl Session for Tx {
    async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, tokio_postgres::Error> {
        let statement = self.prepare_cached(sql).await?;
        self.query(&statement, params).await
    }
}

impl Transactional for Tx {}

/// Notes that something was abandoned, unless it is over.
struct Abandoned<'a>(Option<&'a Tx>);

impl<'a> Abandoned<'a> {
    fn watch(tx: &'a Tx) -> Self {
        Self(Some(tx))
    }

    fn over(mut self) {
        self.0 = None;
    }
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if let Some(tx) = self.0 {
            tx.fails(Cause::Abandoned);
        }
    }
}
