//! One run's guide, and the run it becomes.
//!
//! A cursor first follows its script (a replayed prefix, a schedule given by the user), then its policy.

use serde::{Deserialize, Serialize};

use crate::actors::Actors;
use crate::sampler::Draw;
use crate::{Actor, Event, Footprint, causality};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Every actor finished.
    Finished,
    /// No actor can move.
    Stuck,
    /// The run was broken off: by [`Cursor::choose`] returning `None`, or because the driver had enough.
    Cut,
    /// The driver could not carry the run out.
    Failed,
}

/// One run's guide; self-contained, so that several can be followed at the same time.
#[derive(Clone, Debug)]
pub struct Cursor<F> {
    index: u64,
    /// What to do first, with what each step turned out to be last time, where it is known.
    script: Vec<Planned>,
    policy: Policy<F>,
    events: Vec<Event<F>>,
    /// Who could move before each event. Invariant: one longer than `events` while a step is under way.
    enabled: Vec<Actors>,
    pending: Vec<(Actor, F)>,
    diverged: Option<usize>,
    blocked: bool,
}

/// A step of a script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    pub actor: Actor,
    /// [`Event::key`] of the step as it was.
    pub key: Option<u64>,
}

/// What decides when the script is at its end.
#[derive(Clone, Debug)]
pub(crate) enum Policy<F> {
    /// The first enabled actor of a fixed order.
    Order(Vec<Actor>),
    /// The actor that moved last, else the lowest: no preemption is added.
    Keep,
    /// As `Keep`, but those asleep are left alone: what they would lead to is explored elsewhere. The sleep set
    /// is that of the place where the script's last step is made. As long as it can be followed, the guide says who is
    /// next after the script.
    Awake {
        asleep: Vec<(Actor, F)>,
        guide: Vec<Actor>,
    },
    /// At random.
    Draw(Box<Draw>),
}

impl<F: Footprint> Cursor<F> {
    /// A serial run: always the first enabled one of this order (then any that the order does not name).
    pub fn order(actors: Vec<Actor>) -> Self {
        Self::new(0, Vec::new(), Policy::Order(actors))
    }

    /// A run along a schedule. After its end, and where its actor is not enabled (which counts as a divergence),
    /// the actor that moved last goes on, else the lowest.
    pub fn replay(schedule: Vec<Actor>) -> Self {
        let script = schedule
            .into_iter()
            .map(|actor| Planned { actor, key: None })
            .collect();
        Self::new(0, script, Policy::Keep)
    }

    pub(crate) fn new(index: u64, script: Vec<Planned>, policy: Policy<F>) -> Self {
        Self {
            index,
            script,
            policy,
            events: Vec::new(),
            enabled: Vec::new(),
            pending: Vec::new(),
            diverged: None,
            blocked: false,
        }
    }

    /// Number of the run in the explorer's fixed order, from 0: of two races the one with the lower index is
    /// the first, whichever was reported first.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Whom to move; `enabled` are all actors that have a step not yet sent (not waiting, not finished).
    ///
    /// `None`: nobody is enabled, or the run is not worth going on with. Finish it either way.
    pub fn choose(&mut self, enabled: &[Actor]) -> Option<Actor> {
        let enabled: Actors = enabled.iter().copied().collect();
        let chosen = self.scripted(&enabled).or_else(|| self.free(&enabled));
        if chosen.is_some() {
            // Asked twice without a step in between: the later question is the one that counts.
            self.enabled.truncate(self.events.len());
            self.enabled.push(enabled);
        } else if !enabled.is_empty() {
            self.blocked = true;
        }
        chosen
    }

    fn scripted(&mut self, enabled: &Actors) -> Option<Actor> {
        let at = self.events.len();
        let planned = self.script.get(at)?;
        if enabled.contains(planned.actor) {
            return Some(planned.actor);
        }
        self.diverged.get_or_insert(at);
        None
    }

    fn free(&mut self, enabled: &Actors) -> Option<Actor> {
        let at = self.events.len();
        let last = self.events.last().map(|e| e.actor);
        let keep = |awake: &dyn Fn(Actor) -> bool| {
            let last = last.filter(|&a| enabled.contains(a) && awake(a));
            last.or_else(|| enabled.iter().find(|&a| awake(a)))
        };
        match &mut self.policy {
            Policy::Order(order) => order
                .iter()
                .copied()
                .find(|&a| enabled.contains(a))
                .or_else(|| enabled.iter().next()),
            Policy::Keep => keep(&|_| true),
            Policy::Draw(draw) => draw.choose(enabled, at),
            Policy::Awake { asleep, guide } => {
                let awake = |a| asleep.iter().all(|(b, _)| *b != a);
                // A run that has diverged may leave its script before the end of it.
                let past = at.checked_sub(self.script.len());
                let guided = past.and_then(|past| guide.get(past)).copied();
                let guided = guided.filter(|&a| enabled.contains(a) && awake(a));
                if guided.is_none() {
                    guide.clear();
                }
                guided.or_else(|| keep(&awake))
            }
        }
    }

    /// Takes what the step became. Where the step was made before, its key must be the same; if not, the run has
    /// [diverged](Cursor::diverged).
    pub fn stepped(&mut self, event: Event<F>) {
        let at = self.events.len();
        if let Some(planned) = self.script.get(at)
            && (planned.actor != event.actor || planned.key.is_some_and(|key| key != event.key))
        {
            self.diverged.get_or_insert(at);
        }
        if self.enabled.len() == at {
            // A step that was not asked for; taken as the only one there was.
            self.enabled.push(std::iter::once(event.actor).collect());
        }
        if at + 1 >= self.script.len()
            && let Policy::Awake { asleep, .. } = &mut self.policy
        {
            asleep.retain(|(actor, footprint)| stays_asleep(*actor, footprint, &event));
        }
        self.events.push(event);
        if let Policy::Draw(draw) = &mut self.policy {
            draw.stepped(&self.events);
        }
    }

    /// Names a step that a lock outside the reach of attempts keeps from being made (see
    /// [`Footprint::enables`]). Only needed before [`finish`](Cursor::finish), for those still waiting then.
    pub fn pending(&mut self, actor: Actor, footprint: F) {
        self.pending.push((actor, footprint));
    }

    /// Where the run first differed from what was expected, as an index of a step.
    pub fn diverged(&self) -> Option<usize> {
        self.diverged
    }

    /// The run is over.
    pub fn finish(mut self, end: End) -> Run<F> {
        if end != End::Failed && self.events.len() < self.script.len() {
            self.diverged.get_or_insert(self.events.len());
        }
        self.enabled.truncate(self.events.len());
        Run {
            index: self.index,
            events: self.events,
            enabled: self.enabled,
            pending: self.pending,
            diverged: self.diverged,
            blocked: self.blocked,
            end,
        }
    }
}

/// Whether an actor whose next step is known to be explored elsewhere still need not be tried after `event`.
pub(crate) fn stays_asleep<F: Footprint>(actor: Actor, footprint: &F, event: &Event<F>) -> bool {
    !event.wakes.contains(&actor) && commutes(actor, footprint, event.actor, &event.footprint)
}

/// Whether two steps, each of the actor before it, can change places.
pub(crate) fn commutes<F: Footprint>(one: Actor, touches: &F, other: Actor, also: &F) -> bool {
    one != other && !touches.conflicts(also)
}

/// A finished run.
#[derive(Clone, Debug)]
pub struct Run<F> {
    pub(crate) index: u64,
    pub(crate) events: Vec<Event<F>>,
    /// Who could move before each event. Invariant: as long as `events`.
    pub(crate) enabled: Vec<Actors>,
    pub(crate) pending: Vec<(Actor, F)>,
    pub(crate) diverged: Option<usize>,
    /// Whether the cursor, not the driver, broke it off.
    pub(crate) blocked: bool,
    pub(crate) end: End,
}

impl<F: Footprint> Run<F> {
    /// See [`Cursor::index`].
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The steps, in the order they happened.
    pub fn events(&self) -> &[Event<F>] {
        &self.events
    }

    /// Who moved, step by step: replaying it gives the same run.
    pub fn schedule(&self) -> Vec<Actor> {
        self.events.iter().map(|e| e.actor).collect()
    }

    /// Who could move before a step, counted from 0; nobody after the last.
    pub fn enabled(&self, at: usize) -> Vec<Actor> {
        let able = self.enabled.get(at);
        able.map(|able| able.iter().collect()).unwrap_or_default()
    }

    /// How often an actor was left that could have gone on.
    pub fn preemptions(&self) -> u32 {
        (1..self.events.len())
            .map(|at| u32::from(self.preempts(at)))
            .sum()
    }

    pub(crate) fn preempts(&self, at: usize) -> bool {
        at > 0 && {
            let last = self.events[at - 1].actor;
            last != self.events[at].actor && self.enabled[at].contains(last)
        }
    }

    /// How it ended.
    pub fn end(&self) -> End {
        self.end
    }

    /// See [`Cursor::diverged`].
    pub fn diverged(&self) -> Option<usize> {
        self.diverged
    }

    /// See [`trace_id`](crate::trace_id).
    pub fn trace_id(&self) -> u64 {
        causality::trace_id(&self.events)
    }
}
