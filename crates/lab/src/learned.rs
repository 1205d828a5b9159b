//! What labs learned about their actors while they ran alone.
//!
//! In a serial run attribution is beyond doubt: only one actor runs. What each of them sent there is remembered,
//! and decides later when a statement could be of two actors (one that runs, one that woke up on a mutex or got
//! the pool's last connection), or of nobody (a thread of the service that asks the database now and then).
//! All labs of a search know the same: which of them made which serial run is chance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use deadheat_explore::Actor;

/// Fingerprint that stands before an actor's first statement.
const START: u64 = 0;

/// What actors and background threads are known to send.
#[derive(Debug, Default)]
pub(crate) struct Learned(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// For each actor: after a statement of this fingerprint, these came.
    follows: BTreeMap<Actor, BTreeMap<u64, BTreeSet<u64>>>,
    /// For each actor: statements with their parameters.
    exact: BTreeMap<Actor, BTreeSet<u64>>,
    /// Fingerprints of statements that came when nobody ran.
    background: BTreeSet<u64>,
    /// For each actor: statements whose parameters differed between two runs of one schedule.
    volatile: BTreeSet<(Actor, u64)>,
}

/// How well a statement fits an actor, better ones greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// The actor was never seen to send it.
    Unknown,
    /// The actor sends it, but not here.
    Elsewhere,
    /// The actor sends it here, with other values.
    Here,
    /// The actor sends it here with these values.
    Exactly,
}

impl Learned {
    /// Remembers that `actor` sent a statement after the one before.
    pub fn sent(&self, actor: Actor, before: Option<u64>, fingerprint: u64, exact: u64) {
        let mut known = self.known();
        let follows = known.follows.entry(actor).or_default();
        let after = follows.entry(before.unwrap_or(START)).or_default();
        after.insert(fingerprint);
        known.exact.entry(actor).or_default().insert(exact);
    }

    /// How well the statement fits `actor`, whose last one is `before`.
    pub fn fit(&self, actor: Actor, before: Option<u64>, fingerprint: u64, exact: u64) -> Fit {
        let known = self.known();
        let Some(follows) = known.follows.get(&actor) else {
            return Fit::Unknown;
        };
        let here = follows
            .get(&before.unwrap_or(START))
            .is_some_and(|next| next.contains(&fingerprint));
        if here {
            let exactly = known
                .exact
                .get(&actor)
                .is_some_and(|known| known.contains(&exact));
            return if exactly { Fit::Exactly } else { Fit::Here };
        }
        if follows.values().any(|next| next.contains(&fingerprint)) {
            Fit::Elsewhere
        } else {
            Fit::Unknown
        }
    }

    /// Remembers a statement that came when nobody ran.
    pub fn came_by_itself(&self, fingerprint: u64) {
        self.known().background.insert(fingerprint);
    }

    /// Whether such a statement is only known to come by itself.
    pub fn is_background(&self, fingerprint: u64) -> bool {
        let known = self.known();
        let mut follows = known.follows.values();
        known.background.contains(&fingerprint)
            && !follows.any(|follows| follows.values().any(|next| next.contains(&fingerprint)))
    }

    /// Remembers that the parameters of this statement of `actor` are not the same each time.
    pub fn varies(&self, actor: Actor, fingerprint: u64) {
        self.known().volatile.insert((actor, fingerprint));
    }

    /// Whether the parameters of this statement of `actor` are known to differ from run to run.
    pub fn is_volatile(&self, actor: Actor, fingerprint: u64) -> bool {
        self.known().volatile.contains(&(actor, fingerprint))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Whatever panicked, what was learned before is still true.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEN: Actor = Actor(0);
    const TOM: Actor = Actor(1);

    #[test]
    fn a_statement_goes_to_the_actor_who_sends_it_here() {
        let learned = Learned::default();
        learned.sent(BEN, None, 1, 11);
        learned.sent(BEN, Some(1), 2, 12);
        learned.sent(TOM, None, 1, 21);
        assert_eq!(learned.fit(BEN, Some(2), 1, 21), Fit::Elsewhere);
        assert_eq!(learned.fit(TOM, None, 1, 21), Fit::Exactly);
        assert_eq!(learned.fit(BEN, None, 1, 99), Fit::Here);
    }

    #[test]
    fn a_ping_is_background_until_an_actor_sends_it_too() {
        let learned = Learned::default();
        learned.came_by_itself(7);
        assert!(learned.is_background(7));
        learned.sent(BEN, None, 7, 7);
        assert!(!learned.is_background(7));
    }
}
