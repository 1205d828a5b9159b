//! For what is too large to exhaust: random schedules, by three samplers in turn.
//!
//! Run number `n` of a seed is the same whatever was found before and however many labs there are: what the
//! samplers learn about lengths is handed on only between batches of a fixed size.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::cursor::Policy;
use crate::rng::Rng;
use crate::sampler::{Draw, Lengths, Sampler};
use crate::{Cursor, End, Ending, Explorer, Footprint, Next, Progress, Run};

/// Runs in a batch, the first one apart: that is a single run, from which the others learn how long runs are.
const BATCH: u64 = 12;

/// What to draw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RandomConfig {
    /// Equal seeds give equal runs.
    pub seed: u64,
    /// Stop after so many runs; without it, the search never ends.
    pub runs: Option<u64>,
    /// Use this sampler alone, instead of all in turn.
    pub sampler: Option<Sampler>,
}

/// See the module's notes; ends only by its cap.
#[derive(Debug)]
pub struct Random<F> {
    config: RandomConfig,
    /// Index of the next run.
    index: u64,
    /// Index after the last of this batch.
    batch_end: u64,
    /// Indexes of runs that were handed out and not reported.
    out: BTreeSet<u64>,
    /// The batch's runs as far as they were reported.
    reported: BTreeMap<u64, Run<F>>,
    lengths: Lengths,
    traces: BTreeSet<u64>,
    runs: u64,
}

impl<F: Footprint> Random<F> {
    /// A search that starts from nothing.
    pub fn new(config: RandomConfig) -> Self {
        Self::after(config, 0, BTreeSet::new())
    }

    /// A search that goes on from runs of another kind: so many of them, with these traces.
    pub(crate) fn after(config: RandomConfig, runs: u64, traces: BTreeSet<u64>) -> Self {
        Self {
            config,
            index: runs,
            batch_end: runs + 1,
            out: BTreeSet::new(),
            reported: BTreeMap::new(),
            lengths: Lengths::default(),
            traces,
            runs,
        }
    }

    fn is_over(&self) -> bool {
        self.config.runs.is_some_and(|cap| self.index >= cap)
    }

    fn cursor(&self, index: u64) -> Cursor<F> {
        let turn = [Sampler::Urw, Sampler::Pct3, Sampler::Pos][(index % 3) as usize];
        let sampler = self.config.sampler.unwrap_or(turn);
        let draw = Draw::new(sampler, Rng::new(self.config.seed, index), &self.lengths);
        Cursor::new(index, Vec::new(), Policy::Draw(Box::new(draw)))
    }

    fn end_batch(&mut self) {
        for run in std::mem::take(&mut self.reported).into_values() {
            self.runs += 1;
            if !matches!(run.end, End::Finished | End::Stuck) {
                continue;
            }
            self.traces.insert(run.trace_id());
            self.lengths.longest = self.lengths.longest.max(run.events.len() as u64);
            self.lengths.last.clear();
            for event in &run.events {
                *self.lengths.last.entry(event.actor).or_default() += 1;
            }
        }
        self.batch_end = self.index + BATCH;
    }
}

impl<F: Footprint> Explorer<F> for Random<F> {
    fn next(&mut self) -> Next<F> {
        if self.is_over() {
            let why =
                || Ending::Stopped(format!("the cap of {} random runs is reached", self.index));
            return if self.out.is_empty() {
                Next::Done(why())
            } else {
                Next::Wait
            };
        }
        if self.index == self.batch_end {
            return Next::Wait;
        }
        let index = self.index;
        self.index += 1;
        self.out.insert(index);
        Next::Run(self.cursor(index))
    }

    /// Runs of cursors that this explorer did not hand out are ignored.
    fn report(&mut self, run: Run<F>) {
        if self.out.remove(&run.index) {
            self.reported.insert(run.index, run);
        }
        if self.out.is_empty() && (self.index == self.batch_end || self.is_over()) {
            self.end_batch();
        }
    }

    fn progress(&self) -> Progress {
        Progress {
            runs: self.runs,
            traces: self.traces.len() as u64,
            ..Progress::default()
        }
    }

    fn finish(&mut self) -> Progress {
        self.end_batch();
        self.progress()
    }
}
