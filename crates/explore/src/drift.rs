//! Whether what a step touches follows from what its actor was told before.
//!
//! A statement with a condition, one that waits or not, a receive from a mailbox that others empty as well: what they
//! touch depends on who was there first, though their actor saw the same until then. Where no step is like that, a
//! step can be foreseen from another run, and races can be reversed step by step (see
//! [`wakeup`](crate::wakeup)). Where one is, it cannot.

use std::collections::BTreeMap;

use crate::rng::mix;
use crate::{Actor, After, Footprint, Run};

/// What each actor's steps touched so far, by the actor's own steps before.
#[derive(Debug)]
pub(crate) struct Drift<F> {
    known: BTreeMap<(Actor, u64), F>,
}

impl<F: Footprint> Drift<F> {
    pub(crate) fn new() -> Self {
        Self {
            known: BTreeMap::new(),
        }
    }

    /// Takes note of a run. Returns whether a step touched something else than one that its actor made after
    /// the same steps and replies, or whether anybody waited: that depends on others by its nature.
    pub(crate) fn shows_in(&mut self, run: &Run<F>) -> bool {
        let mut told: BTreeMap<Actor, u64> = BTreeMap::new();
        for event in &run.events {
            if event.after == After::Waiting
                || !event.wakes.is_empty()
                || !event.waits_for.is_empty()
            {
                return true;
            }
            let told = told.entry(event.actor).or_default();
            if self.differs(event.actor, *told, &event.footprint) {
                return true;
            }
            *told = mix(*told ^ event.key);
        }
        let mut pending = run.pending.iter();
        pending.any(|(actor, footprint)| {
            self.differs(*actor, told.get(actor).copied().unwrap_or(0), footprint)
        })
    }

    fn differs(&mut self, actor: Actor, told: u64, footprint: &F) -> bool {
        let known = self.known.entry((actor, told));
        known.or_insert_with(|| footprint.clone()) != footprint
    }
}
