//! Leases: rows that are one worker's for a while.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::types::ToSql;

use super::{Error, Lost, quoted};
use crate::{Pool, Session, Transactional};

/// A table whose rows can be leased.
///
/// ```no_run
/// # use std::time::Duration;
/// # use deadheat_cure::{Pool, retry, guard::{self, Leased}};
/// # #[derive(Debug, thiserror::Error)] #[error("…")] enum Failure {
/// #     Guard(#[from] guard::Error), Database(#[from] tokio_postgres::Error) }
/// # async fn calculate(id: i32) -> i64 { 1 }
/// # async fn example(pool: &Pool, id: i32) -> Result<(), Box<dyn std::error::Error>> {
/// let objects = Leased::table("objects");
/// let client = pool.get().await?;
/// if let Some(lease) = objects.claim(&client, id, Duration::from_secs(30)).await? {
///     drop(client);
///     let area = lease.during(pool, calculate(id)).await?;   // renewed meanwhile
///     let lease = &lease;
///     retry::transaction(pool, &retry::Policy::default(), |tx, _| async move {
///         lease.hold(&tx).await?;                              // fenced until the commit
///         tx.execute("update objects set area = $1 where id = $2", &[&area, &id]).await?;
///         lease.release(&tx).await?;
///         Ok::<_, Failure>(())
///     })
///     .await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Leased {
    table: String,
    key: String,
    until: String,
    fence: String,
}

impl Leased {
    /// A table (or `schema.table`) with the primary key `id`, the end of the lease in `leased_until` (a `timestamptz`,
    /// null where there is none) and the number of claims in `fence` (an integer, not null).
    pub fn table(name: &str) -> Self {
        Self {
            table: name.to_owned(),
            key: "id".to_owned(),
            until: "leased_until".to_owned(),
            fence: "fence".to_owned(),
        }
    }

    /// Another primary key.
    #[must_use]
    pub fn key(mut self, column: &str) -> Self {
        column.clone_into(&mut self.key);
        self
    }

    /// Another column for the end of the lease.
    #[must_use]
    pub fn until_in(mut self, column: &str) -> Self {
        column.clone_into(&mut self.until);
        self
    }

    /// Another column for the number of claims.
    #[must_use]
    pub fn fence_in(mut self, column: &str) -> Self {
        column.clone_into(&mut self.fence);
        self
    }

    /// Claims a row for `length`, by the server's clock, if nobody has it: one statement, so that of two who claim at
    /// once one gets it. `None` where somebody has it, or the row is not there.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn claim(
        &self,
        session: &impl Session,
        id: impl ToSql + Send + Sync + 'static,
        length: Duration,
    ) -> Result<Option<Lease>, Error> {
        let sql = Sql::of(self);
        let seconds = length.as_secs_f64();
        let claimed = session.rows(&sql.claim, &[&id, &seconds]).await?;
        let Some(row) = claimed.first() else {
            return Ok(None);
        };
        Ok(Some(Lease {
            token: row.try_get(0)?,
            table: self.table.clone(),
            sql: Arc::new(sql),
            id: Box::new(id),
            length,
        }))
    }
}

/// The statements.
#[derive(Debug)]
struct Sql {
    claim: String,
    renew: String,
    hold: String,
    release: String,
}

impl Sql {
    fn of(table: &Leased) -> Self {
        let (key, until, fence) = (
            quoted(&table.key),
            quoted(&table.until),
            quoted(&table.fence),
        );
        let table = quoted(&table.table);
        let end = "clock_timestamp() + make_interval(secs => $2)";
        let mine = format!("{key} = $1 and {fence} = $2::bigint and {until} is not null");
        Self {
            claim: format!(
                "update {table} set {until} = {end}, {fence} = {fence} + 1 \
                 where {key} = $1 and ({until} is null or {until} <= clock_timestamp()) returning {fence}::bigint"
            ),
            renew: format!(
                "update {table} set {until} = clock_timestamp() + make_interval(secs => $3) where {mine} returning 1"
            ),
            // A claim is an update, which this excludes; references to the row are not.
            hold: format!("select 1 from {table} where {mine} for no key update"),
            release: format!("update {table} set {until} = null where {mine} returning 1"),
        }
    }
}

/// A claimed row. It is the holder's until it is released, or has run out and somebody else has claimed it.
pub struct Lease {
    table: String,
    sql: Arc<Sql>,
    id: Box<dyn ToSql + Send + Sync>,
    token: i64,
    length: Duration,
}

impl Lease {
    /// The number of this claim of the row: greater than that of every earlier one. To be given along with what is
    /// written elsewhere, so that it can refuse what comes from an earlier holder.
    pub fn token(&self) -> i64 {
        self.token
    }

    /// Starts its length anew, from now.
    ///
    /// # Errors
    /// [`Error::Lost`] when somebody else has claimed the row since, or it was released; [`Error::Database`].
    pub async fn renew(&self, session: &impl Session) -> Result<(), Error> {
        let seconds = self.length.as_secs_f64();
        let id = self.id.as_ref();
        self.still(session.rows(&self.sql.renew, &[id, &self.token, &seconds]))
            .await
    }

    /// Makes sure that the row is still the holder's, and stays so until the transaction ends: what is written in it
    /// is written by the holder or not at all.
    ///
    /// # Errors
    /// As [`Lease::renew`].
    pub async fn hold(&self, tx: &impl Transactional) -> Result<(), Error> {
        let id = self.id.as_ref();
        self.still(tx.rows(&self.sql.hold, &[id, &self.token]))
            .await
    }

    /// Gives the row back.
    ///
    /// # Errors
    /// As [`Lease::renew`].
    pub async fn release(&self, session: &impl Session) -> Result<(), Error> {
        let id = self.id.as_ref();
        self.still(session.rows(&self.sql.release, &[id, &self.token]))
            .await
    }

    /// Works while the lease is renewed, three times in its length. When it is lost, or could not be renewed for its
    /// whole length, the work is dropped where it waits.
    ///
    /// Work that does not wait (a calculation) belongs into `spawn_blocking`: it would keep the renewals from running.
    ///
    /// # Errors
    /// [`Error::Lost`].
    pub async fn during<T>(&self, pool: &Pool, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            done = work => Ok(done),
            error = self.keep(pool) => Err(error),
        }
    }

    /// Renews until it cannot be.
    async fn keep(&self, pool: &Pool) -> Error {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(self.length / 3).await;
            let begun = Instant::now();
            let rest = self.length.saturating_sub(renewed.elapsed());
            let renewal = async {
                let client = pool.get().await;
                let client = client.map_err(|error| Error::Connection(error.into()))?;
                self.renew(&client).await
            };
            match tokio::time::timeout(rest, renewal).await {
                Ok(Ok(())) => renewed = begun,
                Ok(Err(error @ Error::Lost(_))) => return error,
                Ok(Err(error)) => {
                    tracing::warn!(%error, table = self.table, "a lease could not be renewed");
                }
                Err(_) => {}
            }
            if renewed.elapsed() >= self.length {
                return self.lost();
            }
        }
    }

    async fn still(
        &self,
        rows: impl Future<Output = Result<Vec<tokio_postgres::Row>, tokio_postgres::Error>>,
    ) -> Result<(), Error> {
        if rows.await?.is_empty() {
            return Err(self.lost());
        }
        Ok(())
    }

    fn lost(&self) -> Error {
        Error::Lost(Lost {
            table: self.table.clone(),
            token: self.token,
        })
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("table", &self.table)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}
