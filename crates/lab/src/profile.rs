//! Where the time of a lab's runs went.

use std::time::Duration;

/// Parts of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Putting databases, services and sessions back.
    Reset,
    /// Moving the actors.
    Play,
    /// Reading tables and checking invariants.
    Outcome,
}

/// Time spent in each part, summed over runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// [`Phase::Reset`].
    pub reset: Duration,
    /// [`Phase::Play`].
    pub play: Duration,
    /// [`Phase::Outcome`].
    pub outcome: Duration,
    /// Runs counted.
    pub runs: u64,
}

impl Profile {
    pub(crate) fn add(&mut self, phase: Phase, time: Duration) {
        match phase {
            Phase::Reset => {
                self.runs += 1;
                self.reset += time;
            }
            Phase::Play => self.play += time,
            Phase::Outcome => self.outcome += time,
        }
    }

    /// Adds what another lab spent.
    pub fn merge(&mut self, other: &Self) {
        self.reset += other.reset;
        self.play += other.play;
        self.outcome += other.outcome;
        self.runs += other.runs;
    }
}
