//! A part of the scenario: some of its actors, and of their requests.
//!
//! A lab has all actors of its scenario. A run that is made of a part of them numbers them anew, from 0: whoever chooses
//! the schedule, and whoever reads the record, sees a scenario that has no others.

use std::collections::BTreeSet;

use deadheat_explore::{Actor, Event};
use deadheat_sql::Footprint;

use crate::record::{End, Record};

/// Some of the actors, and of their requests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// Those who take part, in the order of the scenario.
    pub actors: Vec<Kept>,
}

/// An actor who takes part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    /// Who it is in the scenario.
    pub actor: Actor,
    /// The requests of its sequence that it does not make, counted from 0.
    pub without: BTreeSet<usize>,
}

impl Part {
    /// All of so many actors, with all their requests.
    pub fn all(actors: usize) -> Self {
        let whole = |n: u16| Kept {
            actor: Actor(n),
            without: BTreeSet::new(),
        };
        Self {
            actors: (0..actors as u16).map(whole).collect(),
        }
    }

    /// Number in this part of an actor of the scenario.
    pub fn place(&self, actor: Actor) -> Option<Actor> {
        let at = self.actors.iter().position(|kept| kept.actor == actor)?;
        Some(Actor(at as u16))
    }

    /// The actor of the scenario that has this number here.
    pub(crate) fn actor(&self, place: Actor) -> Actor {
        self.actors[usize::from(place.0)].actor
    }

    /// The requests that an actor of the scenario does not make.
    pub(crate) fn without(&self, actor: Actor) -> BTreeSet<usize> {
        let kept = self.actors.iter().find(|kept| kept.actor == actor);
        kept.map(|kept| kept.without.clone()).unwrap_or_default()
    }

    fn places(&self, actors: &[Actor]) -> Vec<Actor> {
        actors.iter().filter_map(|one| self.place(*one)).collect()
    }

    pub(crate) fn enabled(&self, actors: &[Actor]) -> Vec<Actor> {
        self.places(actors)
    }

    /// The event with the numbers of this part. Who is not in it never moves, waits or wakes.
    pub(crate) fn event(&self, event: Event<Footprint>) -> Event<Footprint> {
        Event {
            actor: self.place(event.actor).unwrap_or(event.actor),
            wakes: self.places(&event.wakes),
            waits_for: self.places(&event.waits_for),
            ..event
        }
    }

    /// The record with the actors of this part alone.
    pub(crate) fn record(&self, mut record: Record) -> Record {
        for step in &mut record.steps {
            step.actor = self.place(step.actor).unwrap_or(step.actor);
            step.blocked_by = self.places(&step.blocked_by);
            step.wakes = self.places(&step.wakes);
        }
        if let End::Stuck(waiting) = &mut record.end {
            waiting.retain_mut(|(actor, _)| match self.place(*actor) {
                Some(place) => {
                    *actor = place;
                    true
                }
                None => false,
            });
        }
        for open in &mut record.left_open {
            open.actor = self.place(open.actor).unwrap_or(open.actor);
        }
        let pick = |kept: &Kept| usize::from(kept.actor.0);
        record.faults.retain_mut(|fault| {
            let of = fault.of.map(|of| self.place(of));
            let (Some(actor), false) = (self.place(fault.actor), of == Some(None)) else {
                return false;
            };
            (fault.actor, fault.of) = (actor, of.flatten());
            true
        });
        record.actors = self
            .actors
            .iter()
            .map(|kept| record.actors[pick(kept)].clone())
            .collect();
        record.replies = self
            .actors
            .iter()
            .map(|kept| std::mem::take(&mut record.replies[pick(kept)]))
            .collect();
        record
    }
}
