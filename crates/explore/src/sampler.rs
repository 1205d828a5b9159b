//! Three ways to draw a schedule at random, each good where others are not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::actors::Actors;
use crate::rng::Rng;
use crate::{Actor, Event, Footprint};

/// How schedules are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampler {
    /// Each actor in proportion to the steps it probably has left, so that all interleavings are about as likely
    /// (Zhao, Wolff, Mathur, Roychoudhury: Selectively uniform concurrency testing, ASPLOS 2025).
    Urw,
    /// Random priorities of actors with up to two changes on the way, none, one and two in a third of the runs each: a run
    /// finds a bug of depth 1, 2 or 3 with a probability of at least 1/(3n), 1/(3n·k) or 1/(3n·k²) (Burckhardt, Kothari,
    /// Musuvathi, Nagarakatte, ASPLOS 2010, with the depth drawn too). Always two, as published, spoil what needs none:
    /// one actor's single step behind all of a long one.
    Pct3,
    /// Random priorities of steps, redrawn after conflicts: close to uniform over partial orders (Yuan, Yang, Gu:
    /// Partial order aware concurrency sampling, CAV 2018).
    Pos,
}

/// What earlier runs tell about how long runs are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lengths {
    /// Steps of each actor in the last run that was worked up.
    pub last: BTreeMap<Actor, u64>,
    /// Steps of the longest run.
    pub longest: u64,
}

/// A sampler at work on one run.
#[derive(Clone, Debug)]
pub(crate) struct Draw {
    sampler: Sampler,
    rng: Rng,
    /// Steps each actor probably has left.
    left: BTreeMap<Actor, u64>,
    /// Of the actors met so far. Invariant: no two are equal in practice (64 random bits).
    priorities: BTreeMap<Actor, u64>,
    /// Index of each actor's last event.
    latest: BTreeMap<Actor, usize>,
    /// Where the running actor loses its priority. Invariant: none is behind.
    changes: Vec<u64>,
    /// The priority it gets then: lower than any that is drawn in practice, and lower each time.
    lowest: u64,
}

/// Changes of priority in [`Sampler::Pct3`] at most.
const CHANGES: u64 = 2;

impl Draw {
    pub(crate) fn new(sampler: Sampler, mut rng: Rng, lengths: &Lengths) -> Self {
        let changes = match sampler {
            Sampler::Pct3 if lengths.longest > 0 => {
                let changes = rng.below(CHANGES + 1);
                (0..changes).map(|_| rng.below(lengths.longest)).collect()
            }
            _ => Vec::new(),
        };
        let left = lengths.last.clone();
        Self {
            sampler,
            rng,
            left,
            priorities: BTreeMap::new(),
            latest: BTreeMap::new(),
            changes,
            lowest: CHANGES,
        }
    }

    /// Whom to move as step number `at`.
    pub(crate) fn choose(&mut self, enabled: &Actors, at: usize) -> Option<Actor> {
        match self.sampler {
            Sampler::Urw => self.weighted(enabled),
            Sampler::Pct3 => {
                let all = self.changes.len();
                self.changes.retain(|change| *change != at as u64);
                for _ in self.changes.len()..all {
                    if let Some(running) = self.highest(enabled) {
                        self.priorities.insert(running, self.lowest);
                        self.lowest -= 1;
                    }
                }
                self.highest(enabled)
            }
            Sampler::Pos => self.highest(enabled),
        }
    }

    fn weighted(&mut self, enabled: &Actors) -> Option<Actor> {
        let weight = |actor: Actor| self.left.get(&actor).copied().unwrap_or(0).max(1);
        let total = enabled.iter().map(weight).sum();
        if total == 0 {
            return None;
        }
        let mut drawn = self.rng.below(total);
        enabled.iter().find(|&actor| {
            let weight = weight(actor);
            let hit = drawn < weight;
            drawn = drawn.saturating_sub(weight);
            hit
        })
    }

    fn highest(&mut self, enabled: &Actors) -> Option<Actor> {
        for actor in enabled.iter() {
            self.priorities
                .entry(actor)
                .or_insert_with(|| self.rng.next());
        }
        enabled
            .iter()
            .max_by_key(|actor| self.priorities.get(actor).copied())
    }

    /// Takes note of the last of the events.
    pub(crate) fn stepped<F: Footprint>(&mut self, events: &[Event<F>]) {
        let Some((event, earlier)) = events.split_last() else {
            return;
        };
        let left = self.left.entry(event.actor).or_default();
        *left = left.saturating_sub(1);
        if self.sampler == Sampler::Pos {
            for (actor, priority) in &mut self.priorities {
                // What the others' next steps will touch is not known; what their last ones did is a good guess.
                let guess = self.latest.get(actor).map(|&at| &earlier[at].footprint);
                if *actor == event.actor
                    || guess.is_none_or(|guess| guess.conflicts(&event.footprint))
                {
                    *priority = self.rng.next();
                }
            }
        }
        self.latest.insert(event.actor, earlier.len());
    }
}
