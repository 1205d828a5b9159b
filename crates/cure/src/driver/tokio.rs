//! tokio-postgres, with a pool of deadpool.

use deadpool_postgres::{Client, ClientWrapper, Pool};
use futures_util::future::BoxFuture;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use super::{
    Connect, Connection, Dialect, Driver, OnPostgres, Params, Rows, Session, Transactional, Value,
};
use crate::retry::Cause;
use crate::{Source, Tx};

/// The driver tokio-postgres.
#[derive(Clone, Copy, Debug)]
pub enum TokioPostgres {}

type Parameters<'q> = Vec<&'q (dyn ToSql + Sync)>;

/// The same, by the name that the traits have for it.
type Given<'q> = <TokioPostgres as Driver>::Params<'q>;

impl Driver for TokioPostgres {
    type Params<'q> = Parameters<'q>;
    type Row = Row;
    type Error = Error;
    const DIALECT: Dialect = Dialect::Postgres;

    fn number(row: &Row, column: usize) -> Result<i64, Error> {
        row.try_get(column)
    }

    fn cause(error: &Error) -> Option<Cause> {
        let said = error.as_db_error()?;
        let earlier = said.code() == &SqlState::IN_FAILED_SQL_TRANSACTION;
        (!earlier).then(|| Cause::of_state(said.code().code(), said.constraint()))
    }

    /// FATAL and PANIC end the session, which may be after the commit.
    fn refusal(error: &Error) -> Option<Cause> {
        let said = error.as_db_error()?;
        let refused = said.parsed_severity() == Some(Severity::Error);
        refused.then(|| Cause::of_state(said.code().code(), said.constraint()))
    }
}

impl OnPostgres for TokioPostgres {}

impl<'q> Params<'q> for Parameters<'q> {
    fn int(mut self, value: &'q i64) -> Self {
        self.push(value);
        self
    }

    fn real(mut self, value: &'q Option<f64>) -> Self {
        self.push(value);
        self
    }

    fn text(mut self, value: &'q Option<String>) -> Self {
        self.push(value);
        self
    }
}

impl<T: ToSql + Sync> Value<TokioPostgres> for T {
    fn add<'q>(&'q self, params: &mut Parameters<'q>) {
        params.push(self);
    }
}

impl Connect for Pool {
    type Connection = Client;

    async fn connect(&self) -> Result<Client, Source> {
        self.get().await.map_err(Into::into)
    }
}

impl Connection for Client {
    type Driver = TokioPostgres;

    async fn batch(&mut self, sql: &str) -> Result<(), Error> {
        self.batch_execute(sql).await
    }

    fn rows<'s>(
        &'s mut self,
        sql: &'s str,
        params: Given<'s>,
    ) -> BoxFuture<'s, Rows<TokioPostgres>> {
        Box::pin(async move { Session::rows(&mut &*self, sql, params).await })
    }

    fn close(self) {
        drop(Client::take(self));
    }
}

/// Sessions whose pool keeps prepared statements.
macro_rules! kept {
    ($($session:ty),*) => {$(
        impl Session for &$session {
            type Driver = TokioPostgres;

            fn rows<'s>(
                &'s mut self,
                sql: &'s str,
                params: Given<'s>,
            ) -> BoxFuture<'s, Rows<TokioPostgres>> {
                Box::pin(async move {
                    let statement = self.prepare_cached(sql).await?;
                    self.query(&statement, &params).await
                })
            }
        }
    )*};
}

/// Sessions without a pool: the statement is prepared anew.
macro_rules! bare {
    ($($session:ty),*) => {$(
        impl Session for &$session {
            type Driver = TokioPostgres;

            fn rows<'s>(
                &'s mut self,
                sql: &'s str,
                params: Given<'s>,
            ) -> BoxFuture<'s, Rows<TokioPostgres>> {
                Box::pin(async move {
                    self.query(sql, &params).await
                })
            }
        }
    )*};
}

kept!(Client, ClientWrapper, deadpool_postgres::Transaction<'_>);
bare!(tokio_postgres::Client, tokio_postgres::Transaction<'_>);

impl Session for &Tx {
    type Driver = TokioPostgres;

    fn rows<'s>(
        &'s mut self,
        sql: &'s str,
        params: Given<'s>,
    ) -> BoxFuture<'s, Rows<TokioPostgres>> {
        Box::pin(async move {
            let statement = self.prepare_cached(sql).await?;
            self.query(&statement, &params).await
        })
    }
}

impl Transactional for &deadpool_postgres::Transaction<'_> {}
impl Transactional for &tokio_postgres::Transaction<'_> {}
impl Transactional for &Tx {}
