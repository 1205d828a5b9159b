//! Transactions over tokio-postgres: the driver's own methods, watched.

use std::future::Future;

use deadpool_postgres::Client;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Statement, ToStatement};

use super::{Abandoned, OPEN, Savepoint, Tx};

/// Parameters of a statement.
type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Tx<Client> {
    fn client(&self) -> &Client {
        self.connection.as_ref().expect(OPEN)
    }

    async fn watched<T>(
        &self,
        statement: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        Self::watch(&self.home.notes, statement).await
    }

    /// The rows that a statement returns. As in tokio-postgres, a text is prepared anew each time; see
    /// [`Tx::prepare_cached`].
    ///
    /// # Errors
    /// Whatever the server or the connection says; so with the others below.
    pub async fn query<S>(&self, statement: &S, params: Params<'_>) -> Result<Vec<Row>, Error>
    where
        S: ?Sized + ToStatement + Sync,
    {
        self.watched(self.client().query(statement, params)).await
    }

    /// The one row that a statement returns.
    ///
    /// # Errors
    /// When it is not exactly one, and as [`Tx::query`].
    pub async fn query_one<S>(&self, statement: &S, params: Params<'_>) -> Result<Row, Error>
    where
        S: ?Sized + ToStatement + Sync,
    {
        self.watched(self.client().query_one(statement, params))
            .await
    }

    /// The row that a statement returns, if it does.
    ///
    /// # Errors
    /// When there are several, and as [`Tx::query`].
    pub async fn query_opt<S>(
        &self,
        statement: &S,
        params: Params<'_>,
    ) -> Result<Option<Row>, Error>
    where
        S: ?Sized + ToStatement + Sync,
    {
        self.watched(self.client().query_opt(statement, params))
            .await
    }

    /// How many rows a statement changed.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn execute<S>(&self, statement: &S, params: Params<'_>) -> Result<u64, Error>
    where
        S: ?Sized + ToStatement + Sync,
    {
        self.watched(self.client().execute(statement, params)).await
    }

    /// Runs statements without parameters, separated by semicolons. To begin, commit or roll back is not its business.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn batch_execute(&self, sql: &str) -> Result<(), Error> {
        self.watched(self.client().batch_execute(sql)).await
    }

    /// Prepares a statement, which the connection then keeps for all transactions after this one.
    ///
    /// # Errors
    /// As [`Tx::query`].
    pub async fn prepare_cached(&self, sql: &str) -> Result<Statement, Error> {
        self.watched(self.client().prepare_cached(sql)).await
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
        E: From<Error>,
    {
        let notes = &self.home.notes;
        let savepoint = Savepoint::new(notes);
        self.batch_execute(&savepoint.begin()).await?;
        let mut abandoned = Abandoned::watch(notes);
        let result = part.await;
        abandoned.over();
        let stays = result.is_ok();
        self.batch_execute(&savepoint.end(stays)).await?;
        savepoint.ended(notes, stays);
        result
    }
}
