//! Where statements can be sent: a connection, or a transaction.
//!
//! [`Session`] is either, [`Transactional`] only the latter: what must not happen outside a transaction asks for it.

use std::future::Future;

use deadpool_postgres::{ClientWrapper, GenericClient};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

/// Parameters of a statement.
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection or a transaction of PostgreSQL.
pub trait Session: Sync {
    /// The rows of a statement, which the connection keeps prepared.
    ///
    /// # Errors
    /// Whatever the server or the connection says.
    fn rows(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> impl Future<Output = Result<Vec<Row>, Error>> + Send;
}

/// A session with an open transaction: what is done in it is seen by others when it commits, or never.
pub trait Transactional: Session {}

impl Session for deadpool_postgres::Client {
    async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        ClientWrapper::rows(self, sql, params).await
    }
}

impl Session for ClientWrapper {
    async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        let statement = self.prepare_cached(sql).await?;
        self.query(&statement, params).await
    }
}

impl Session for deadpool_postgres::Transaction<'_> {
    async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        let statement = GenericClient::prepare_cached(self, sql).await?;
        self.query(&statement, params).await
    }
}

impl Transactional for deadpool_postgres::Transaction<'_> {}

impl Session for tokio_postgres::Client {
    async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        self.query(sql, params).await
    }
}

impl Session for tokio_postgres::Transaction<'_> {
    async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        self.query(sql, params).await
    }
}

impl Transactional for tokio_postgres::Transaction<'_> {}
