//! The tables of the cures, in a schema named `cure`, and how they come to be.

use crate::driver::{Connect, Connection, Driver, OnPostgres};
use crate::retry::{self, Policy};
use crate::{Session, Source, Tx};

/// A migration: its version, and its statements.
type Migration = (i64, &'static str);

/// All there are, in order. What was released is never changed, only followed by another.
const MIGRATIONS: [Migration; 2] = [
    (1, include_str!("../migrations/1-tasks.sql")),
    (2, include_str!("../migrations/2-actors.sql")),
];

/// Where the versions are kept.
const LEDGER: &str = "create schema if not exists cure;
create table if not exists cure.migrations (
    version int primary key,
    applied_at timestamptz not null default now()
);";

/// The advisory lock that migrations are made under: "cure" in ASCII.
const LOCK: i64 = 0x6375_7265;

/// Brings the tables of the cures up to date: all missing migrations in one transaction, under an advisory lock, so
/// that services may all call it when they start. The version that the tables have then.
///
/// # Errors
/// When the database is newer than this library, or says otherwise; nothing is changed then.
pub async fn migrate<P>(pool: &P) -> Result<i64, MigrateError>
where
    P: Connect<Connection: Connection<Driver: OnPostgres>>,
{
    let policy = Policy::default();
    let migrated = retry::transaction(pool, &policy, |tx, _| up_to_date(tx));
    migrated.await.map_err(|error| match error.into_body() {
        Ok(error) => error,
        Err(error) => MigrateError::Transaction(Box::new(error)),
    })
}

async fn up_to_date<C>(mut tx: Tx<C>) -> Result<i64, MigrateError>
where
    C: Connection<Driver: OnPostgres>,
{
    let failed = |error: <C::Driver as Driver>::Error| MigrateError::Database(error.into());
    tx.run(&format!("select pg_advisory_xact_lock({LOCK})"))
        .await
        .map_err(failed)?;
    tx.run(LEDGER).await.map_err(failed)?;
    let applied = (&mut tx)
        .rows(
            "select coalesce(max(version), 0)::bigint from cure.migrations",
            Default::default(),
        )
        .await
        .map_err(failed)?;
    let applied = applied.first().map(|row| C::Driver::number(row, 0));
    let applied = applied.transpose().map_err(failed)?.unwrap_or(0);
    let newest = newest();
    if applied > newest {
        return Err(MigrateError::Newer {
            found: applied,
            known: newest,
        });
    }
    for (version, sql) in MIGRATIONS.iter().filter(|(version, _)| *version > applied) {
        let note = format!("insert into cure.migrations (version) values ({version})");
        tx.run(sql).await.map_err(failed)?;
        tx.run(&note).await.map_err(failed)?;
    }
    Ok(newest)
}

/// The statements of all migrations, for those who apply them with a tool of their own; [`migrate`] finds nothing to do
/// afterwards.
pub fn sql() -> String {
    let mut all = LEDGER.to_owned();
    for (version, sql) in MIGRATIONS {
        all += &format!("\n{sql}insert into cure.migrations (version) values ({version});\n");
    }
    all
}

fn newest() -> i64 {
    MIGRATIONS
        .iter()
        .map(|(version, _)| *version)
        .max()
        .unwrap_or(0)
}

/// Why the tables could not be brought up to date.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// A newer version of this library has been at work.
    #[error(
        "the tables of the schema cure have version {found}, this library knows {known} at most"
    )]
    Newer {
        /// The version of the tables.
        found: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// A statement failed.
    #[error("a migration of the schema cure failed: {0}")]
    Database(#[source] Source),
    /// The transaction failed otherwise.
    #[error(transparent)]
    Transaction(Box<retry::Error<MigrateError>>),
}
