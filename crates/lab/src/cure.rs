//! A cure to be tried: what the code would do differently, done by the lab while the code stays as it is.
//!
//! Statements are changed at the gate, before the lab sees them, so that steps and footprints are those of the cured
//! code. The databases' own part (a unique index, the default isolation level) is done in every copy.

use std::collections::BTreeSet;
use std::sync::Arc;

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
    /// The key of an advisory lock that every transaction takes before its first statement.
    pub advisory: Option<i64>,
    /// Run in every copy of a database, by name.
    pub schema: Vec<(String, String)>,
    /// How often a request is sent again that failed because of a serialization failure or a deadlock.
    pub retries: u32,
}

impl Cure {
    /// Whether it gives statements other words.
    pub(crate) fn rewords(&self) -> bool {
        self.level.is_some() || !self.locking.is_empty()
    }

    /// What takes the advisory lock.
    pub fn lock(&self) -> Option<String> {
        let key = self.advisory?;
        Some(format!("select pg_advisory_xact_lock({key})"))
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
pub(crate) fn is_retryable(code: &str) -> bool {
    matches!(code, "40001" | "40P01")
}

impl Stage {
    /// Has the cure's lock taken before the statement that the session is about to run, if its transaction has not got
    /// it yet.
    pub(crate) fn lock_first(&mut self, session: u32, how: &Release) {
        let Some(sql) = self.cure.lock() else {
            return;
        };
        let Some(conn) = self.conns.get_mut(&session) else {
            return;
        };
        let Phase::Executing(work) = &mut conn.phase else {
            return;
        };
        if work.ends() || conn.status != TxStatus::Open {
            conn.locked = false;
        }
        let begins = work.parsed.iter().any(|(parsed, _)| parsed.begins());
        let inside = conn.status == TxStatus::Open || how.gap;
        if work.ends() || conn.locked || !(inside || begins) {
            return;
        }
        let copies = work.parsed.iter().any(|(parsed, _)| parsed.copies());
        if begins || copies || work.batch.flush {
            self.notes.not_locked(&work.batch.statements[0].sql);
            return;
        }
        // Behind the others: the answers are told apart by their places.
        let parsed = self.bases[conn.database].analyst.parse(&sql);
        work.parsed.push((parsed, Vec::new()));
        conn.locked = conn.status == TxStatus::Open;
        conn.handle.precede(sql.into());
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
