//! How often a transaction is tried, how long it rests in between, and how isolated it is.

use std::time::Duration;

use super::cause::Cause;
use crate::driver::Dialect;

/// How isolated a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Every statement sees what was committed before it.
    ReadCommitted,
    /// All statements see what was committed before the first of them.
    RepeatableRead,
    /// As if transactions ran one after the other.
    Serializable,
}

impl Isolation {
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read committed",
            Self::RepeatableRead => "repeatable read",
            Self::Serializable => "serializable",
        }
    }
}

/// How a transaction is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    isolation: Option<Isolation>,
    attempts: u32,
    base: Duration,
    cap: Duration,
    integrity: bool,
    read_only: bool,
}

impl Default for Policy {
    /// Ten attempts, with pauses of 10 ms on average after the first and half a second at most after the last; the
    /// isolation that the server has as its default.
    fn default() -> Self {
        Self {
            isolation: None,
            attempts: 10,
            base: Duration::from_millis(20),
            cap: Duration::from_secs(1),
            integrity: false,
            read_only: false,
        }
    }
}

impl Policy {
    /// The default, SERIALIZABLE.
    pub fn serializable() -> Self {
        Self::default().isolation(Isolation::Serializable)
    }

    /// Sets the isolation.
    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = Some(isolation);
        self
    }

    /// At most so many attempts, the first one included; at least one is made.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Before attempt n + 1 a pause between nothing and `base` · 2ⁿ⁻¹, but `cap` at most, each length as likely as any
    /// other ("full jitter": those who met once should not meet again). No pause where `base` is zero.
    #[must_use]
    pub fn backoff(mut self, base: Duration, cap: Duration) -> Self {
        self.base = base;
        self.cap = cap;
        self
    }

    /// Tries again after a violated constraint too: for a body that reads first and decides otherwise when the other's
    /// row is there.
    #[must_use]
    pub fn also_integrity(mut self) -> Self {
        self.integrity = true;
        self
    }

    /// The transaction may not write; the server holds it to that. Not with SQLite.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// The statement that begins a transaction, or why there is none.
    pub(crate) fn begin(&self, dialect: Dialect) -> Result<String, &'static str> {
        match dialect {
            Dialect::Postgres => Ok(self.begin_postgres()),
            Dialect::Sqlite if self.read_only => Err(
                "SQLite has no transactions that only read; open the pool read-only, or leave read_only out",
            ),
            // All are serializable.
            Dialect::Sqlite => Ok("begin".to_owned()),
        }
    }

    fn begin_postgres(&self) -> String {
        let mut sql = "begin".to_owned();
        if let Some(isolation) = self.isolation {
            sql = format!("{sql} isolation level {}", isolation.sql());
        }
        if self.read_only {
            sql += " read only";
        }
        sql
    }

    pub(crate) fn most_attempts(&self) -> u32 {
        self.attempts
    }

    pub(crate) fn repeats(&self, cause: &Cause) -> bool {
        match cause {
            Cause::Serialization | Cause::Deadlock => true,
            Cause::Integrity { .. } => self.integrity,
            Cause::Statement(_) | Cause::Abandoned => false,
        }
    }

    /// Rests after an attempt.
    pub(crate) async fn pause(&self, attempt: u32) {
        let pause = jittered(self.base, self.cap, attempt);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

/// Between nothing and `base` · 2ⁿ⁻¹ (`cap` at most) after attempt n.
pub(crate) fn jittered(base: Duration, cap: Duration, attempt: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1).min(31));
    let most = base.saturating_mul(doubled).min(cap);
    most.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_cap_and_no_further() {
        let (base, cap) = (Duration::from_millis(10), Duration::from_millis(80));
        for (attempt, most) in [(1, 10), (2, 20), (3, 40), (4, 80), (5, 80), (u32::MAX, 80)] {
            let pauses: Vec<_> = (0..500).map(|_| jittered(base, cap, attempt)).collect();
            let most = Duration::from_millis(most);
            assert!(pauses.iter().all(|pause| *pause <= most));
            assert!(pauses.iter().any(|pause| *pause < most / 4), "no jitter");
            assert!(
                pauses.iter().any(|pause| *pause > most / 4 * 3),
                "too short"
            );
        }
    }

    #[test]
    fn the_policy_is_said_in_begin() {
        let strict = Policy::serializable();
        let begin = |policy: &Policy, dialect| policy.begin(dialect);
        assert_eq!(
            begin(&Policy::default(), Dialect::Postgres).as_deref(),
            Ok("begin")
        );
        assert_eq!(begin(&strict, Dialect::Sqlite).as_deref(), Ok("begin"));
        let strict = strict.read_only();
        assert_eq!(
            begin(&strict, Dialect::Postgres).as_deref(),
            Ok("begin isolation level serializable read only")
        );
        assert!(begin(&strict, Dialect::Sqlite).is_err());
    }

    #[test]
    fn integrity_is_repeated_only_where_asked_for() {
        let unique = Cause::of_state("23505", Some("seats"));
        assert!(!Policy::default().repeats(&unique));
        assert!(Policy::default().also_integrity().repeats(&unique));
        assert!(Policy::default().repeats(&Cause::of_state("40P01", None)));
        assert!(
            !Policy::default()
                .also_integrity()
                .repeats(&Cause::of_state("22012", None))
        );
    }
}
