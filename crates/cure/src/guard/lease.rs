//! Leases: rows that are one worker's for a while.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Error, Lost, number, quoted};
use crate::driver::{Connect, Connection, Dialect, Driver, Lent, Params, TokioPostgres, Value};
use crate::{Session, Transactional};

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
    /// A table (or `schema.table`) with the primary key `id`, the end of the lease in `leased_until` (a `timestamptz`, or
    /// a `real` with SQLite, null where there is none) and the number of claims in `fence` (an integer, not null).
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

    /// Claims a row for `length`, by the database's clock, if nobody has it: one statement, so that of two who claim at
    /// once one gets it. `None` where somebody has it, or the row is not there.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn claim<S: Session>(
        &self,
        mut session: S,
        id: impl Value<S::Driver> + Send + 'static,
        length: Duration,
    ) -> Result<Option<Lease<S::Driver>>, Error> {
        let sql = Sql::of(self, S::Driver::DIALECT);
        let seconds = Some(length.as_secs_f64());
        let mut params = Default::default();
        id.add(&mut params);
        let claimed = number(&mut session, &sql.claim, params.real(&seconds)).await?;
        Ok(claimed.map(|token| Lease {
            token,
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
    fn of(table: &Leased, dialect: Dialect) -> Self {
        let (key, until, fence) = (
            quoted(&table.key),
            quoted(&table.until),
            quoted(&table.fence),
        );
        let table = quoted(&table.table);
        let mine = format!("{key} = $1 and {fence} = cast($2 as bigint) and {until} is not null");
        let hold = match dialect {
            // A claim is an update, which this excludes; references to the row are not.
            Dialect::Postgres => {
                format!("select cast(1 as bigint) from {table} where {mine} for no key update")
            }
            // Who writes excludes all others who would.
            Dialect::Sqlite => format!(
                "update {table} set {until} = {until} where {mine} returning cast(1 as bigint)"
            ),
        };
        let now = now(dialect);
        let (first, later) = (after(dialect, 2), after(dialect, 3));
        Self {
            claim: format!(
                "update {table} set {until} = {first}, {fence} = {fence} + 1 \
                 where {key} = $1 and ({until} is null or {until} <= {now}) returning cast({fence} as bigint)"
            ),
            renew: format!(
                "update {table} set {until} = {later} where {mine} returning cast(1 as bigint)"
            ),
            hold,
            release: format!(
                "update {table} set {until} = null where {mine} returning cast(1 as bigint)"
            ),
        }
    }
}

/// The time on the database's clock.
fn now(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "clock_timestamp()",
        // The days of the Julian calendar to seconds since 1970.
        Dialect::Sqlite => "(julianday('now') - 2440587.5) * 86400.0",
    }
}

/// So many seconds later, as a parameter says.
fn after(dialect: Dialect, parameter: u32) -> String {
    let now = now(dialect);
    match dialect {
        Dialect::Postgres => format!("{now} + make_interval(secs => ${parameter})"),
        Dialect::Sqlite => format!("{now} + ${parameter}"),
    }
}

/// A claimed row. It is the holder's until it is released, or has run out and somebody else has claimed it.
pub struct Lease<D: Driver = TokioPostgres> {
    table: String,
    sql: Arc<Sql>,
    id: Box<dyn Value<D> + Send>,
    token: i64,
    length: Duration,
}

impl<D: Driver> Lease<D> {
    /// The number of this claim of the row: greater than that of every earlier one. To be given along with what is
    /// written elsewhere, so that it can refuse what comes from an earlier holder.
    pub fn token(&self) -> i64 {
        self.token
    }

    /// Starts its length anew, from now.
    ///
    /// # Errors
    /// [`Error::Lost`] when somebody else has claimed the row since, or it was released; [`Error::Database`].
    pub async fn renew(&self, mut session: impl Session<Driver = D>) -> Result<(), Error> {
        let seconds = Some(self.length.as_secs_f64());
        let params = self.mine().real(&seconds);
        self.still(number(&mut session, &self.sql.renew, params).await?)
    }

    /// Makes sure that the row is still the holder's, and stays so until the transaction ends: what is written in it
    /// is written by the holder or not at all.
    ///
    /// # Errors
    /// As [`Lease::renew`].
    pub async fn hold(&self, mut tx: impl Transactional<Driver = D>) -> Result<(), Error> {
        self.still(number(&mut tx, &self.sql.hold, self.mine()).await?)
    }

    /// Gives the row back.
    ///
    /// # Errors
    /// As [`Lease::renew`].
    pub async fn release(&self, mut session: impl Session<Driver = D>) -> Result<(), Error> {
        self.still(number(&mut session, &self.sql.release, self.mine()).await?)
    }

    /// Works while the lease is renewed, three times in its length. When it is lost, or could not be renewed for its
    /// whole length, the work is dropped where it waits.
    ///
    /// Work that does not wait (a calculation) belongs into `spawn_blocking`: it would keep the renewals from running.
    ///
    /// # Errors
    /// [`Error::Lost`].
    pub async fn during<P, T>(&self, pool: &P, work: impl Future<Output = T>) -> Result<T, Error>
    where
        P: Connect<Connection: Connection<Driver = D>>,
    {
        tokio::select! {
            done = work => Ok(done),
            error = self.keep(pool) => Err(error),
        }
    }

    /// Renews until it cannot be.
    async fn keep<P>(&self, pool: &P) -> Error
    where
        P: Connect<Connection: Connection<Driver = D>>,
    {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(self.length / 3).await;
            let begun = Instant::now();
            let rest = self.length.saturating_sub(renewed.elapsed());
            let renewal = async {
                let mut connection = pool.connect().await.map_err(Error::Connection)?;
                self.renew(Lent(&mut connection)).await
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

    /// The row and the claim, as parameters.
    fn mine(&self) -> D::Params<'_> {
        let mut params = Default::default();
        self.id.add(&mut params);
        params.int(&self.token)
    }

    fn still(&self, found: Option<i64>) -> Result<(), Error> {
        found.map(drop).ok_or_else(|| self.lost())
    }

    fn lost(&self) -> Error {
        Error::Lost(Lost {
            table: self.table.clone(),
            token: self.token,
        })
    }
}

impl<D: Driver> fmt::Debug for Lease<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("table", &self.table)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}
