//! What happened before what: vector clocks over the steps of one run, the races among them, the trace's identity.

use crate::rng::mix;
use crate::{Actor, Event, Footprint};

/// Two steps of a run, one right after the other as far as causes go, that could have been the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Race {
    /// Index of the earlier step.
    pub first: usize,
    /// Index of the later step; the run's length and more for steps still pending at its end.
    pub second: usize,
    /// Who made the later step.
    pub actor: Actor,
    /// Whether they could: `false` where the earlier step is what enabled the later one.
    pub reversible: bool,
}

/// The order of causes among the steps of one run.
#[derive(Debug)]
pub(crate) struct Causality {
    /// Entries a clock has: one for each actor that moved or was about to.
    width: usize,
    /// One clock for each step, `width` entries apart. Entry `a` counts the steps of actor `a` that happened
    /// before, the step itself included.
    clocks: Vec<u32>,
    /// Who made each step.
    actors: Vec<Actor>,
    /// Which of its actor's steps each is, counted from 1.
    ticks: Vec<u32>,
    /// In order of the later step.
    races: Vec<Race>,
}

impl Causality {
    /// Works out the clocks and races of a run; `pending` are steps that a lock kept from being made at all.
    pub(crate) fn new<F: Footprint>(events: &[Event<F>], pending: &[(Actor, F)]) -> Self {
        let all = events.iter().map(|e| e.actor);
        let width = all
            .chain(pending.iter().map(|p| p.0))
            .map(|a| usize::from(a.0) + 1)
            .max();
        let mut this = Self {
            width: width.unwrap_or(0),
            clocks: Vec::new(),
            actors: Vec::with_capacity(events.len()),
            ticks: Vec::with_capacity(events.len()),
            races: Vec::new(),
        };
        this.clocks.reserve(this.width * events.len());
        // What each actor's next step follows by program order or by having been woken.
        let mut own = vec![0; this.width * this.width];
        for (j, event) in events.iter().enumerate() {
            let a = usize::from(event.actor.0);
            let (from, to) = (a * this.width, (a + 1) * this.width);
            let mut clock = this.look_back(
                events,
                j,
                event.actor,
                &event.footprint,
                &event.wakes,
                &own[from..to],
            );
            clock[a] = own[from + a] + 1;
            this.actors.push(event.actor);
            this.ticks.push(clock[a]);
            own[from..to].copy_from_slice(&clock);
            for woken in &event.wakes {
                let w = usize::from(woken.0);
                if w < this.width {
                    join(&mut own[w * this.width..(w + 1) * this.width], &clock);
                }
            }
            this.clocks.extend_from_slice(&clock);
        }
        for (k, (actor, footprint)) in pending.iter().enumerate() {
            let a = usize::from(actor.0);
            let follows = &own[a * this.width..(a + 1) * this.width];
            this.look_back(events, events.len() + k, *actor, footprint, &[], follows);
        }
        this
    }

    /// The clock (without its own tick) of step `j`, noting the races it is the later part of.
    fn look_back<F: Footprint>(
        &mut self,
        events: &[Event<F>],
        j: usize,
        actor: Actor,
        footprint: &F,
        wakes: &[Actor],
        follows: &[u32],
    ) -> Vec<u32> {
        let mut clock = follows.to_vec();
        // Without what is known only by way of a step that enabled this one: the acquire behind a release is
        // still to be found.
        let mut reversible = follows.to_vec();
        for i in (0..j.min(events.len())).rev() {
            let earlier = &events[i];
            if earlier.actor == actor || self.ticks[i] <= reversible[usize::from(earlier.actor.0)] {
                continue;
            }
            let woken = wakes.contains(&earlier.actor);
            if !woken && !earlier.footprint.conflicts(footprint) {
                continue;
            }
            let is_race = woken || !earlier.footprint.enables(footprint);
            self.races.push(Race {
                first: i,
                second: j,
                actor,
                reversible: is_race,
            });
            join(
                &mut clock,
                &self.clocks[i * self.width..(i + 1) * self.width],
            );
            if is_race {
                join(
                    &mut reversible,
                    &self.clocks[i * self.width..(i + 1) * self.width],
                );
            }
        }
        clock
    }

    /// The races, in order of their later step.
    pub(crate) fn races(&self) -> &[Race] {
        &self.races
    }

    /// Who moves first in the shortest run that has the race the other way round: the actors whose first step
    /// after `race.first` depends on none of the steps that are kept (all that did not happen after
    /// `race.first`, up to the end of the run). The later step itself is not trusted to stay what it was, so it
    /// comes last: its actor counts only when nothing else is kept.
    pub(crate) fn initials(&self, race: Race) -> Vec<Actor> {
        let start = self.count_before(race.first);
        let mut met = vec![false; self.width];
        met[usize::from(self.actors[race.first].0)] = true;
        let mut initials = Vec::new();
        for d in race.first + 1..self.actors.len() {
            let a = usize::from(self.actors[d].0);
            if std::mem::replace(&mut met[a], true) || d == race.second {
                continue;
            }
            let clock = self.clock(d);
            if (0..self.width).all(|b| b == a || clock[b] <= start[b]) {
                initials.push(self.actors[d]);
            }
        }
        if initials.is_empty() {
            initials.push(race.actor);
        }
        initials
    }

    /// Whether the later step is what its actor does next after the place of the earlier one.
    pub(crate) fn is_next(&self, race: Race) -> bool {
        let until = race.second.min(self.actors.len());
        !self.actors[race.first..until].contains(&race.actor)
    }

    /// The steps that the reversal of a race keeps, before the later one of them.
    pub(crate) fn kept(&self, race: Race) -> impl Iterator<Item = usize> {
        let first = usize::from(self.actors[race.first].0);
        let after = move |d: &usize| self.clock(*d)[first] >= self.ticks[race.first];
        (race.first + 1..self.actors.len()).filter(move |d| *d != race.second && !after(d))
    }

    fn clock(&self, step: usize) -> &[u32] {
        &self.clocks[step * self.width..(step + 1) * self.width]
    }

    fn count_before(&self, step: usize) -> Vec<u32> {
        let mut count = vec![0; self.width];
        for actor in &self.actors[..step] {
            count[usize::from(actor.0)] += 1;
        }
        count
    }

    /// See [`trace_id`].
    pub(crate) fn id(&self) -> u64 {
        // Steps of different actors are summed up, so that their order in the run does not count.
        let mut sum = 0_u64;
        for (step, actor) in self.actors.iter().enumerate() {
            let mut hash = mix(u64::from(actor.0) + 1);
            // Zeros are left out: how wide the clocks are says nothing.
            for (b, &entry) in self
                .clock(step)
                .iter()
                .enumerate()
                .filter(|(_, entry)| **entry > 0)
            {
                hash = mix(hash ^ (b as u64) << 32 ^ u64::from(entry));
            }
            sum = sum.wrapping_add(hash);
        }
        mix(sum)
    }
}

/// Identity of a run's trace: equal for runs that differ only in the order of steps that do not conflict.
///
/// It is a hash of the clock vectors of all steps. In programs that do the same again when they see the same, who
/// moved after what determines the rest, so footprints and keys are not hashed.
pub fn trace_id<F: Footprint>(events: &[Event<F>]) -> u64 {
    Causality::new(events, &[]).id()
}

fn join(into: &mut [u32], other: &[u32]) {
    for (a, b) in into.iter_mut().zip(other) {
        *a = (*a).max(*b);
    }
}
