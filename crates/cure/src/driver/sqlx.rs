//! sqlx, for PostgreSQL and SQLite.
//!
//! The drivers are sqlx's own types for the two databases. A `PoolConnection` begins its transactions by a statement of
//! ours: sqlx does not know of them, so that nothing but [`Tx`](crate::Tx) ends them.

use futures_util::future::BoxFuture;
use sqlx::error::{BoxDynError, DatabaseError};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgDatabaseError, PgRow, PgSeverity};
use sqlx::sqlite::SqliteRow;
use sqlx::{
    Arguments as _, AssertSqlSafe, Database, Encode, Error, Executor, PgConnection, Postgres, Row,
    Sqlite, SqliteConnection, Type,
};

use super::{
    Connect, Connection, Dialect, Driver, OnPostgres, Params, Rows, Session, Transactional, Value,
};
use crate::Source;
use crate::retry::{Cause, Violation};

/// Parameters as sqlx collects them: encoded when they are added, which may fail.
#[derive(Debug)]
pub struct Arguments<DB: Database>(Result<DB::Arguments, BoxDynError>);

impl<DB: Database> Default for Arguments<DB> {
    fn default() -> Self {
        Self(Ok(DB::Arguments::default()))
    }
}

impl<DB: Database> Arguments<DB> {
    fn push<'t, T>(&mut self, value: T)
    where
        T: Encode<'t, DB> + Type<DB>,
    {
        if let Ok(arguments) = &mut self.0
            && let Err(error) = arguments.add(value)
        {
            self.0 = Err(error);
        }
    }

    fn and<'t, T>(mut self, value: T) -> Self
    where
        T: Encode<'t, DB> + Type<DB>,
    {
        self.push(value);
        self
    }
}

/// What PostgreSQL said.
fn server(error: &Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

fn of_server(said: &PgDatabaseError) -> Cause {
    Cause::of_state(said.code(), said.constraint())
}

/// What a result code of SQLite stands for: the extended code, whose last byte is the primary one.
fn of_code(said: &dyn DatabaseError) -> Option<Cause> {
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    const CONSTRAINT: u32 = 19;
    let code: u32 = said.code()?.parse().ok()?;
    Some(match code & 0xff {
        BUSY | LOCKED => Cause::Serialization,
        CONSTRAINT => Cause::Integrity {
            violation: match code >> 8 {
                6 | 8 => Violation::Unique,
                3 => Violation::ForeignKey,
                1 => Violation::Check,
                5 => Violation::NotNull,
                _ => Violation::Other,
            },
            constraint: violated(said.message()),
        },
        _ => Cause::Statement(code.to_string()),
    })
}

/// What SQLite names after a violation: columns ("seats.nick") or the name of a CHECK; nothing of a foreign key.
fn violated(message: &str) -> Option<String> {
    let (_, name) = message.split_once(" constraint failed: ")?;
    Some(name.to_owned())
}

impl Driver for Postgres {
    type Params<'q> = Arguments<Self>;
    type Row = PgRow;
    type Error = Error;
    const DIALECT: Dialect = Dialect::Postgres;

    fn number(row: &PgRow, column: usize) -> Result<i64, Error> {
        row.try_get(column)
    }

    fn cause(error: &Error) -> Option<Cause> {
        const FAILED_BEFORE: &str = "25P02";
        let said = server(error)?;
        (said.code() != FAILED_BEFORE).then(|| of_server(said))
    }

    /// FATAL and PANIC end the session, which may be after the commit.
    fn refusal(error: &Error) -> Option<Cause> {
        let said = server(error)?;
        (said.severity() == PgSeverity::Error).then(|| of_server(said))
    }
}

impl OnPostgres for Postgres {}

impl Driver for Sqlite {
    type Params<'q> = Arguments<Self>;
    type Row = SqliteRow;
    type Error = Error;
    const DIALECT: Dialect = Dialect::Sqlite;

    fn number(row: &SqliteRow, column: usize) -> Result<i64, Error> {
        row.try_get(column)
    }

    fn cause(error: &Error) -> Option<Cause> {
        of_code(error.as_database_error()?)
    }

    /// A busy database, or a foreign key that is checked at the end. What the disk says leaves it open.
    fn refusal(error: &Error) -> Option<Cause> {
        Self::cause(error).filter(|cause| !matches!(cause, Cause::Statement(_)))
    }
}

/// The same for both databases, which no bound can say.
macro_rules! database {
    ($database:ty, $connection:ty) => {
        impl<'q> Params<'q> for Arguments<$database> {
            fn int(self, value: &'q i64) -> Self {
                self.and(value)
            }

            fn real(self, value: &'q Option<f64>) -> Self {
                self.and(value)
            }

            fn text(self, value: &'q Option<String>) -> Self {
                self.and(value)
            }
        }

        impl<T> Value<$database> for T
        where
            T: for<'t> Encode<'t, $database> + Type<$database> + Sync,
        {
            fn add(&self, params: &mut Arguments<$database>) {
                params.push(self);
            }
        }

        impl Connect for sqlx::Pool<$database> {
            type Connection = PoolConnection<$database>;

            async fn connect(&self) -> Result<Self::Connection, Source> {
                self.acquire().await.map_err(Into::into)
            }
        }

        impl Connection for PoolConnection<$database> {
            type Driver = $database;

            async fn batch(&mut self, sql: &str) -> Result<(), Error> {
                let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
                (**self).execute(sql).await.map(drop)
            }

            fn rows<'s>(
                &'s mut self,
                sql: &'s str,
                params: <$database as Driver>::Params<'s>,
            ) -> BoxFuture<'s, Rows<$database>> {
                Box::pin(async move { Session::rows(&mut &mut **self, sql, params).await })
            }

            fn close(self) {
                drop(self.detach());
            }
        }

        impl Session for &mut $connection {
            type Driver = $database;

            fn rows<'s>(
                &'s mut self,
                sql: &'s str,
                params: <$database as Driver>::Params<'s>,
            ) -> BoxFuture<'s, Rows<$database>> {
                Box::pin(async move {
                    let arguments = params.0.map_err(Error::Encode)?;
                    let query = sqlx::query_with(AssertSqlSafe(sql.to_owned()), arguments);
                    (**self).fetch_all(query).await
                })
            }
        }

        impl Session for &mut PoolConnection<$database> {
            type Driver = $database;

            fn rows<'s>(
                &'s mut self,
                sql: &'s str,
                params: <$database as Driver>::Params<'s>,
            ) -> BoxFuture<'s, Rows<$database>> {
                Box::pin(async move { Connection::rows(*self, sql, params).await })
            }
        }

        impl Session for &mut sqlx::Transaction<'_, $database> {
            type Driver = $database;

            fn rows<'s>(
                &'s mut self,
                sql: &'s str,
                params: <$database as Driver>::Params<'s>,
            ) -> BoxFuture<'s, Rows<$database>> {
                Box::pin(async move { Session::rows(&mut &mut ***self, sql, params).await })
            }
        }

        impl Transactional for &mut sqlx::Transaction<'_, $database> {}
    };
}

database!(Postgres, PgConnection);
database!(Sqlite, SqliteConnection);
