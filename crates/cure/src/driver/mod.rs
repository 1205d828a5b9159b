//! What the cures ask of a driver: connections, statements, and what an error means.
//!
//! A [`Session`] is where statements can be sent, [`Transactional`] one with an open transaction: what must not happen
//! outside of one asks for it. Both are implemented by references, `&client` with tokio-postgres and `&mut connection`
//! with sqlx, whose statements need the connection to themselves.

#[cfg(feature = "sqlx")]
mod sqlx;
mod tokio;

use std::fmt::Debug;
use std::future::Future;

use futures_util::future::BoxFuture;

pub use tokio::TokioPostgres;

#[cfg(feature = "sqlx")]
pub use self::sqlx::Arguments;
use crate::Source;
use crate::retry::Cause;

/// Which SQL a database understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// That of PostgreSQL.
    Postgres,
    /// That of SQLite.
    Sqlite,
}

/// A driver: what its statements are sent with, and what they are answered with.
pub trait Driver: Sized + Send + Sync + 'static {
    /// Parameters of a statement.
    type Params<'q>: Params<'q>;
    /// A row of an answer.
    type Row: Send + Sync;
    /// What a statement fails with.
    type Error: std::error::Error + Send + Sync + 'static;
    /// The SQL of its database.
    const DIALECT: Dialect;

    /// The number in a column of type `bigint`, from 0.
    ///
    /// # Errors
    /// When it is not one.
    fn number(row: &Self::Row, column: usize) -> Result<i64, Self::Error>;

    /// What the database failed a statement with; nothing where it was not the database, or where it only says that the
    /// transaction had failed before.
    fn cause(error: &Self::Error) -> Option<Cause>;

    /// Why the database refused a COMMIT; nothing where this error leaves open whether it was done.
    fn refusal(error: &Self::Error) -> Option<Cause>;
}

/// A driver of PostgreSQL, where the tables of the schema `cure` can be.
pub trait OnPostgres: Driver {}

/// Parameters of a statement, in order.
pub trait Params<'q>: Default + Send {
    /// One more, a `bigint`.
    #[must_use]
    fn int(self, value: &'q i64) -> Self;
    /// One more, a `double precision`.
    #[must_use]
    fn real(self, value: &'q Option<f64>) -> Self;
    /// One more, a `text`.
    #[must_use]
    fn text(self, value: &'q Option<String>) -> Self;
}

/// What a driver can send as a parameter: all that the driver itself takes as one.
pub trait Value<D: Driver>: Sync {
    /// Adds it to the parameters of a statement.
    fn add<'q>(&'q self, params: &mut D::Params<'q>);
}

/// The rows of a statement.
pub type Rows<D> = Result<Vec<<D as Driver>::Row>, <D as Driver>::Error>;

/// A connection or a transaction, lent.
pub trait Session: Send {
    /// Whose it is.
    type Driver: Driver;

    /// The rows of a statement, which the connection keeps prepared.
    ///
    /// # Errors
    /// Whatever the database or the connection says.
    fn rows<'s>(
        &'s mut self,
        sql: &'s str,
        params: <Self::Driver as Driver>::Params<'s>,
    ) -> BoxFuture<'s, Rows<Self::Driver>>;
}

/// A session with an open transaction: what is done in it is seen by others when it commits, or never.
pub trait Transactional: Session {}

/// A connection of a pool.
pub trait Connection: Debug + Send + Sized + 'static {
    /// Whose it is.
    type Driver: Driver;

    /// Runs statements without parameters.
    ///
    /// # Errors
    /// Whatever the database or the connection says.
    fn batch(
        &mut self,
        sql: &str,
    ) -> impl Future<Output = Result<(), <Self::Driver as Driver>::Error>> + Send;

    /// As [`Session::rows`].
    ///
    /// # Errors
    /// Whatever the database or the connection says.
    fn rows<'s>(
        &'s mut self,
        sql: &'s str,
        params: <Self::Driver as Driver>::Params<'s>,
    ) -> BoxFuture<'s, Rows<Self::Driver>>;

    /// Closes it, which rolls back; the pool does not get it back.
    fn close(self);
}

/// A pool of connections: deadpool's to PostgreSQL, and with the feature `sqlx` its pools to PostgreSQL and SQLite.
pub trait Connect: Sync {
    /// What it gives.
    type Connection: Connection;

    /// One of its connections, which returns to it when it is dropped.
    ///
    /// # Errors
    /// When there is none to be had.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, Source>> + Send;
}

/// A connection of a pool as a session.
pub(crate) struct Lent<'c, C>(pub &'c mut C);

impl<C: Connection> Session for Lent<'_, C> {
    type Driver = C::Driver;

    fn rows<'s>(
        &'s mut self,
        sql: &'s str,
        params: <C::Driver as Driver>::Params<'s>,
    ) -> BoxFuture<'s, Rows<C::Driver>> {
        self.0.rows(sql, params)
    }
}
