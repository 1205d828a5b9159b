//! The tables of the cures, in a schema named `cure`, and how they come to be.

use crate::retry::{self, Policy};
use crate::{Pool, Session};

/// A migration: its version, and its statements.
type Migration = (i32, &'static str);

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
pub async fn migrate(pool: &Pool) -> Result<i32, MigrateError> {
    let policy = Policy::default();
    let migrated = retry::transaction(pool, &policy, |tx, _| async move {
        tx.query("select pg_advisory_xact_lock($1)", &[&LOCK])
            .await?;
        tx.batch_execute(LEDGER).await?;
        let applied = tx
            .rows("select coalesce(max(version), 0) from cure.migrations", &[])
            .await?;
        let applied: i32 = applied.first().map_or(Ok(0), |row| row.try_get(0))?;
        let newest = newest();
        if applied > newest {
            return Err(MigrateError::Newer {
                found: applied,
                known: newest,
            });
        }
        for (version, sql) in MIGRATIONS.iter().filter(|(version, _)| *version > applied) {
            tx.batch_execute(sql).await?;
            tx.execute(
                "insert into cure.migrations (version) values ($1)",
                &[version],
            )
            .await?;
        }
        Ok(newest)
    });
    migrated.await.map_err(|error| match error.into_body() {
        Ok(error) => error,
        Err(error) => MigrateError::Transaction(Box::new(error)),
    })
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

fn newest() -> i32 {
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
        found: i32,
        /// The newest version that is known here.
        known: i32,
    },
    /// A statement failed.
    #[error("a migration of the schema cure failed: {0}")]
    Database(#[from] tokio_postgres::Error),
    /// The transaction failed otherwise.
    #[error(transparent)]
    Transaction(Box<retry::Error<MigrateError>>),
}
