//! Work that one does at a time, and results that are written only while they are true.
//!
//! A worker that takes a row to work on with `SELECT … WHERE NOT locked` and then `UPDATE … SET locked` shares it with
//! whoever came in between. A [`Lease`] is claimed in one statement; it ends by itself when its holder dies, and counts
//! its claims, so that a holder that was merely slow can be told from the one that came after it.
//!
//! A result that was calculated from a row may be out of date when it is written. [`Versioned`] writes it only while
//! the row has the version that was read; otherwise the answer is [`Stale`].
//!
//! Both live in columns of the tables that they guard:
//!
//! ```sql
//! alter table objects
//!     add leased_until timestamptz, add fence bigint not null default 0,  -- Lease
//!     add version bigint not null default 0;                              -- Versioned
//! ```
//!
//! With SQLite (the feature `sqlx`) the end of a lease is a number, in seconds since 1970: `leased_until real`.

mod lease;
mod versioned;

pub use lease::{Lease, Leased};
pub use versioned::Versioned;

use crate::driver::Driver;
use crate::{Session, Source};

/// Why a guarded write did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The row has changed since it was read.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// The row is not there (any more).
    #[error("there is no such row in {table}")]
    Missing {
        /// The table, as it was named.
        table: String,
    },
    /// Somebody else has the lease, or it was given back.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The database said otherwise.
    #[error("the database: {0}")]
    Database(#[source] Source),
    /// There was no connection.
    #[error("no connection: {0}")]
    Connection(#[source] Source),
}

impl Error {
    fn of_database<E: Into<Source>>(error: E) -> Self {
        Self::Database(error.into())
    }
}

/// The number in the first row, if there is one.
async fn number<'s, S: Session>(
    session: &'s mut S,
    sql: &'s str,
    params: <S::Driver as Driver>::Params<'s>,
) -> Result<Option<i64>, Error> {
    let rows = session.rows(sql, params).await;
    let rows = rows.map_err(Error::of_database)?;
    let number = rows.first().map(|row| S::Driver::number(row, 0));
    number.transpose().map_err(Error::of_database)
}

/// A row has changed since it was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{table} has version {found} by now, not {expected}")]
pub struct Stale {
    /// The table, as it was named.
    pub table: String,
    /// The version that was read.
    pub expected: i64,
    /// The version that is there.
    pub found: i64,
}

/// A lease is somebody else's, or nobody's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease with token {token} on a row of {table} is lost")]
pub struct Lost {
    /// The table, as it was named.
    pub table: String,
    /// The token of the lease that was lost.
    pub token: i64,
}

/// A name for SQL: `schema.table` is two of them.
fn quoted(name: &str) -> String {
    let part = |part: &str| format!("\"{}\"", part.replace('"', "\"\""));
    name.split('.').map(part).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_names_whatever_is_in_them() {
        assert_eq!(super::quoted("shop.Orders"), r#""shop"."Orders""#);
        assert_eq!(super::quoted(r#"a" or "b"#), r#""a"" or ""b""#);
    }
}
