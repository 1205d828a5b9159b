//! Every trace, as long as that pays; then at random.
//!
//! Footprints that depend on what ran before make an [`Exhaustive`] search begin runs that turn out to lead only to what
//! it knows. It cuts them, but each costs the steps up to there, and in the worst case their number grows faster than
//! that of the traces. Past a cap, schedules are drawn at random instead ([`Random`]): that finds new traces
//! where many are left, and cannot say that none is. Such a search never ends as exhausted.
//!
//! *The cap*, where none is given: a thousand runs that were cut, and four for every trace. Then four
//! runs in five show nothing, more than samplers usually waste on a large space. Of the programs the searches are
//! tested on, published ones and generated, the reader of `lastzero` against ten writers alone comes there (nine cut runs
//! for a trace); the others stay below one. A thousand such runs take seconds; searches that small are brought to their end.

use crate::{
    Config, Ending, Exhaustive, Explorer, Footprint, Next, Progress, Random, RandomConfig, Run,
};

/// Cut runs before which nothing is given up.
const LEAST_BLOCKED: u64 = 1_000;

/// Cut runs for each trace before which nothing is given up.
const BLOCKED_PER_TRACE: u64 = 4;

/// See the module's notes.
#[derive(Debug)]
pub struct Thorough<F> {
    exhaustive: Exhaustive<F>,
    /// Once the other gave up.
    random: Option<Random<F>>,
    /// For when it does.
    at_random: RandomConfig,
}

impl<F: Footprint> Thorough<F> {
    /// A search that starts from nothing. The seed is for what is drawn after giving up; the cap on runs is on both
    /// parts together.
    pub fn new(config: Config, seed: u64) -> Self {
        let at_random = RandomConfig {
            seed,
            runs: config.runs,
            sampler: None,
        };
        let config = match config.blocked_runs {
            Some(_) => config,
            None => Config {
                blocked_runs: Some(LEAST_BLOCKED),
                blocked_runs_per_trace: BLOCKED_PER_TRACE,
                ..config
            },
        };
        Self {
            exhaustive: Exhaustive::new(config),
            random: None,
            at_random,
        }
    }

    /// What both parts come to, once the first gave up.
    fn redundant(&self) -> Ending {
        Ending::Redundant {
            blocked_runs: self.exhaustive.progress().blocked_runs,
        }
    }
}

impl<F: Footprint> Explorer<F> for Thorough<F> {
    fn next(&mut self) -> Next<F> {
        if self.random.is_none() {
            match self.exhaustive.next() {
                Next::Done(Ending::Redundant { .. }) => {
                    let (runs, traces) = self.exhaustive.hand_over();
                    self.random = Some(Random::after(self.at_random.clone(), runs, traces));
                }
                other => return other,
            }
        }
        match self.random.as_mut().map(Explorer::next) {
            Some(Next::Done(_)) | None => Next::Done(self.redundant()),
            Some(other) => other,
        }
    }

    fn report(&mut self, run: Run<F>) {
        match &mut self.random {
            Some(random) => random.report(run),
            None => self.exhaustive.report(run),
        }
    }

    fn progress(&self) -> Progress {
        let before = self.exhaustive.progress();
        match &self.random {
            None => before,
            Some(random) => Progress {
                blocked_runs: before.blocked_runs,
                gave_up: true,
                ..random.progress()
            },
        }
    }

    fn finish(&mut self) -> Progress {
        match &mut self.random {
            None => self.exhaustive.finish(),
            Some(random) => {
                random.finish();
                self.progress()
            }
        }
    }
}
