//! Which schedule next.
//!
//! The explorer is pure: it does no I/O, knows no SQL and reads no clock. It hands out [`Cursor`]s, one a run;
//! whoever runs programs (the lab, or a model in a test) asks the cursor whom to move, tells it what the step
//! turned out to be, and reports the finished [`Run`] back.
//!
//! ```text
//!              next() ── Run(cursor) ──► choose(enabled) ─► move that actor ─► stepped(event) ─┐
//!  Explorer                                   ▲                                                │
//!              report(run) ◄── finish(end) ───┴────────────────────────────────────────────────┘
//! ```
//!
//! Every algorithm is one file and implements [`Explorer`]: [`Exhaustive`] (one run for each trace, or all that
//! a number of preemptions can reach), [`Random`] (samplers for what is too large), [`Thorough`] (the first, and the
//! second once the first hardly finds anything new). [`Cursor::order`] and [`Cursor::replay`] need no explorer. None of them depends on how many cursors are out at once, nor on the
//! order in which runs are reported.

mod actors;
mod agenda;
mod causality;
mod cursor;
mod drift;
mod exhaustive;
mod optimal;
mod outlook;
mod plan;
mod random;
mod rng;
mod sampler;
mod shrink;
mod thorough;
mod tree;
mod wakeup;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use causality::trace_id;
pub use cursor::{Cursor, End, Run};
pub use exhaustive::{Config, Exhaustive};
pub use random::{Random, RandomConfig};
pub use sampler::Sampler;
pub use shrink::{FewerSwitches, fewer_switches};
pub use thorough::Thorough;

/// One of the things that run at the same time, by its position in the scenario.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Actor(pub u16);

/// What a step read and wrote. The explorer asks of two of them whether they commute, and whether they are the same.
pub trait Footprint: Clone + PartialEq + Send {
    /// Whether the two steps do not commute. Must be symmetric; if in doubt, `true`.
    fn conflicts(&self, other: &Self) -> bool;

    /// Whether `later` can only ever run after a step such as this one: the release of a lock that keeps others
    /// from being enabled at all, the message a receiver is waiting for. Such a pair is ordered but is no race;
    /// an acquire is then paired with the acquire before it. Statements that block inside a database are
    /// attempts ([`After::Waiting`]) instead, for which this stays `false`.
    fn enables(&self, later: &Self) -> bool {
        let _ = later;
        false
    }
}

/// Where a step left its actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum After {
    /// Parked again, or not at its end.
    Ready,
    /// The step is an attempt that waits for others (a lock, a mutex); some later step wakes it.
    Waiting,
    /// It was the actor's last step.
    Finished,
}

/// One step as it turned out.
#[derive(Clone, Debug)]
pub struct Event<F> {
    /// Who moved.
    pub actor: Actor,
    /// What the step read and wrote (with the remainders of the attempts it woke).
    pub footprint: F,
    /// Identity of the step (statement fingerprint and reply), for noticing replays that differ.
    pub key: u64,
    /// Actors that waited and went on because of this step.
    pub wakes: Vec<Actor>,
    /// If the step is an attempt that waits: for whom.
    pub waits_for: Vec<Actor>,
    /// Where the actor is now.
    pub after: After,
}

/// A search over schedules.
///
/// Drive it until it is done: ask [`next`](Explorer::next), run what it hands out, [`report`](Explorer::report).
pub trait Explorer<F: Footprint> {
    /// The next run to make, if one can be named before others are reported.
    fn next(&mut self) -> Next<F>;

    /// Takes back a finished run. Any order of arrival gives the same search.
    fn report(&mut self, run: Run<F>);

    /// How far the search is, as far as it was worked up.
    fn progress(&self) -> Progress;

    /// How far it is with everything that was reported; for when nothing further is asked of it.
    fn finish(&mut self) -> Progress;
}

/// What an [`Explorer`] wants.
#[derive(Debug)]
pub enum Next<F> {
    /// Make this run and report it.
    Run(Cursor<F>),
    /// Runs under way have to be reported first.
    Wait,
    /// The search is over.
    Done(Ending),
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Every trace was explored.
    Exhausted,
    /// Every trace that some schedule of at most this many preemptions reaches was explored; there may be others.
    Bounded {
        /// The bound.
        preemptions: u32,
    },
    /// So many runs led only to what was known that trying every trace was given up. [`Thorough`] then went on at
    /// random, as far as its cap on runs allowed.
    Redundant {
        /// Runs that were cut.
        blocked_runs: u64,
    },
    /// It gave up before it had seen everything; why, in words.
    Stopped(String),
}

/// How far a search is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Runs reported and worked up.
    pub runs: u64,
    /// Distinct traces among the runs that came to an end (finished or stuck).
    pub traces: u64,
    /// Runs that were cut because everything they could go on to was known.
    pub blocked_runs: u64,
    /// Estimate of the runs still to make, from the tree as far as it is known and from how fast it grows (the notes of
    /// `outlook.rs` say how, and how good it was). Tends to be too low early on; `None` when there is nothing to estimate
    /// from.
    pub runs_left: Option<u64>,
    /// The most preemptions of the schedules being tried, so far.
    pub preemptions: u32,
    /// Whether schedules are drawn at random, though every trace was to be seen (see [`Thorough`]).
    pub gave_up: bool,
}
