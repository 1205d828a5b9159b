//! A cure to be tried: what the code would do differently, done by the lab while the code stays as it is.
//!
//! Statements are changed at the gate, before the lab sees them, so that steps and footprints are those of the cured
//! code. The databases' own part (a unique index, the default isolation level) is done in every copy.

use std::collections::BTreeSet;
use std::sync::Arc;

use deadheat_explore::Actor;
use deadheat_gate::{Release, Reword, TxStatus};
use deadheat_scenario::Scenario;
use deadheat_sql::Isolation;

use crate::base::Base;
use crate::blueprint::{Blueprint, Ground};
use crate::conn::Phase;
use crate::error::Trouble;
use crate::stage::Stage;

/// What is to be different. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cure {
    /// All transactions run at this level at least.
    pub level: Option<Isolation>,
    /// Queries that lock the rows they read, by fingerprint.
    pub locking: BTreeSet<u64>,
    /// An advisory lock that transactions take.
    pub advisory: Option<Advisory>,
    /// Actors whose requests have all their statements in one transaction.
    pub enclosed: BTreeSet<Actor>,
    /// Run in every copy of a database, by name.
    pub schema: Vec<(String, String)>,
    /// How often a request is sent again that failed because of a serialization failure or a deadlock.
    pub retries: u32,
}

/// What an advisory lock is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advisory {
    /// One for all, with this key, before the first statement of a transaction.
    All(i64),
    /// One for each row of these tables, before the first statement of a transaction that names the row.
    Rows(BTreeSet<String>),
}

impl Advisory {
    /// The call that takes the lock of a row, as a record names it (`id=1`).
    pub fn of_row(table: &str, row: &str) -> String {
        let value = row.split_once('=').map_or(row, |(_, value)| value);
        let hashed = |text: &str| i32::try_from(deadheat_sql::fingerprint_of(text) >> 33);
        // A hash of 31 bits is always one.
        let key = value.parse().or_else(|_| hashed(row)).unwrap_or_default();
        let table = hashed(table).unwrap_or_default();
        format!("pg_advisory_xact_lock({table}, {key})")
    }
}

/// Whether a row is named by one column, which can be the key of a lock.
pub fn has_one_key(row: &str) -> bool {
    row.matches('=').count() == 1 && !row.contains(',')
}

impl Cure {
    /// Whether it gives statements other words.
    pub(crate) fn rewords(&self) -> bool {
        self.level.is_some() || !self.locking.is_empty()
    }
}

impl Reword for Cure {
    fn reword(&self, sql: &str) -> Option<String> {
        let raised = self
            .level
            .and_then(|level| deadheat_sql::raised(sql, level));
        if self.locking.is_empty() {
            return raised;
        }
        let locking = deadheat_sql::locking(raised.as_deref().unwrap_or(sql), &self.locking);
        locking.or(raised)
    }
}

/// SQLSTATEs after which a request is worth sending again.
pub(crate) const RETRYABLE: &[&str] = &["40001", "40P01"];

pub(crate) fn is_retryable(code: &str) -> bool {
    RETRYABLE.contains(&code)
}

impl Stage {
    /// Has the cure's lock taken before the statement of `actor` that the session is about to run, if its transaction
    /// has not got it yet. `begins`: a transaction begins ahead of the statement.
    pub(crate) fn lock_first(&mut self, actor: Actor, session: u32, how: &Release, begins: bool) {
        let Some(locks) = self.locks_due(actor, session) else {
            return;
        };
        let Some(conn) = self.conns.get_mut(&session) else {
            return;
        };
        let Phase::Executing(work) = &mut conn.phase else {
            return;
        };
        let own = work.parsed.iter().any(|(parsed, _)| parsed.begins());
        let inside = conn.status == TxStatus::Open || how.gap || begins;
        let due: Vec<String> = locks
            .into_iter()
            .filter(|lock| !conn.locked.contains(lock))
            .collect();
        if work.ends() || due.is_empty() || !(inside || own) {
            return;
        }
        let copies = work.parsed.iter().any(|(parsed, _)| parsed.copies());
        if own || copies || work.batch.flush {
            self.notes.not_locked(&work.batch.statements[0].sql);
            return;
        }
        // Behind the others: the answers are told apart by their places.
        let sql = format!("select {}", due.join(", "));
        let parsed = self.bases[conn.database].analyst.parse(&sql);
        work.parsed.push((parsed, Vec::new()));
        if conn.status == TxStatus::Open || begins {
            conn.locked.extend(due);
        }
        conn.handle.precede(sql.into());
    }

    /// The calls that take the locks which the statement needs; `None` where it needs none.
    fn locks_due(&mut self, actor: Actor, session: u32) -> Option<Vec<String>> {
        let cure = Arc::clone(&self.cure);
        let tables = match cure.advisory.as_ref()? {
            Advisory::All(key) => return Some(vec![format!("pg_advisory_xact_lock({key})")]),
            Advisory::Rows(tables) => tables,
        };
        let footprint = self.waiting_footprint(actor, session, &[]);
        let mut locks = BTreeSet::new();
        for (table, row, _) in footprint.accesses() {
            if !tables.contains(&table) {
                continue;
            }
            match row.filter(|row| has_one_key(row)) {
                Some(row) => {
                    locks.insert(Advisory::of_row(&table, &row));
                }
                None => {
                    if let Phase::Executing(work) = &self.conns.get(&session)?.phase {
                        self.notes.not_locked(&work.batch.statements[0].sql);
                    }
                    return None;
                }
            }
        }
        Some(locks.into_iter().collect())
    }
}

impl Blueprint {
    /// Another scenario on the same databases, as [`Blueprint::with`], with a cure at work.
    pub fn cured(&self, scenario: Arc<Scenario>, cure: Cure) -> Self {
        let mut cured = self.with(scenario);
        cured.cure = Arc::new(cure);
        cured
    }

    /// A fresh copy of a database, with what the cure does to it.
    pub(crate) async fn copy(&self, ground: &Ground, label: &str) -> Result<Base, Trouble> {
        let database = ground.fork().await?;
        if let Some(level) = self.cure.level {
            let setting = "default_transaction_isolation";
            database.set(setting, level.name()).await?;
        }
        for (_, sql) in self
            .cure
            .schema
            .iter()
            .filter(|(name, _)| *name == ground.name)
        {
            database.run_sql("the cure", sql).await?;
        }
        let mut base = Base::new(label, ground.plan.server.is_none(), database);
        base.raised = self.cure.level;
        Ok(base)
    }
}
