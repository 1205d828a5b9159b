//! Which schedule next.
//!
//! The explorer is pure: it does no I/O, knows no SQL and reads no clock. It hands out [`Cursor`]s, one a run;
//! whoever runs programs (the lab, or a model in a test) asks the cursor whom to move, tells it what the step
//! turned out to be, and reports the finished [`Run`] back.

use serde::{Deserialize, Serialize};

/// One of the things that run at the same time, by its position in the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actor(pub u16);

/// What a step read and wrote; the only thing the explorer asks of it is whether two of them commute.
pub trait Footprint: Clone + Send {
    /// Whether the two steps do not commute. Must be symmetric; if in doubt, `true`.
    fn conflicts(&self, other: &Self) -> bool;
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
