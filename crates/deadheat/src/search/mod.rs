//! A search: labs make the runs that the explorer asks for, the oracle judges them.
//!
//! `serial` shows the oracle what the serial orders do; `hunt` is the loop; `labs` are the threads that run.

mod check;
mod hunt;
mod labs;
mod look;
mod serial;
mod shrink;

use std::collections::BTreeMap;
use std::time::Duration;

use deadheat_explore::{Actor, Ending, Progress};
use deadheat_lab::record::Record;
use deadheat_lab::{Difference, Trouble};
use deadheat_report::Stopped;
use deadheat_verdict::{Finding, History, Written};

pub use check::Check;
pub use hunt::Hunt;
pub use labs::Labs;

/// What limits a search.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Random schedules instead of all.
    pub random: bool,
    /// At most so many preemptions in a schedule.
    pub preemptions: Option<u32>,
    /// At most so many runs.
    pub runs: Option<u64>,
    /// At most this long.
    pub time: Option<Duration>,
    /// Where random choices begin.
    pub seed: u64,
    /// Look for further races after the first.
    pub keep_going: bool,
}

impl Budget {
    /// No limits: for what ends by itself.
    pub fn none() -> Self {
        Self {
            random: false,
            preemptions: None,
            runs: None,
            time: None,
            seed: 0,
            keep_going: false,
        }
    }
}

/// A race that was found, and found again when its schedule was run again.
#[derive(Clone, Debug)]
pub struct Race {
    /// Number of the run that found it, counted from 1.
    pub run: u64,
    /// Preemptions of its schedule.
    pub preemptions: u32,
    /// The run.
    pub record: Record,
    /// What is wrong with it.
    pub finding: Finding,
    /// What is written, as far as it was known in this run: reads of other tables were no steps.
    pub written: Written,
    /// What was left out of the scenario, in words, as it happens without.
    pub left_out: Vec<String>,
    /// Requests of their sequences that actors do not make in it, by name, counted from 1.
    pub without_requests: BTreeMap<String, Vec<usize>>,
    /// How the tables changed in it, where that was looked at.
    pub history: Option<History>,
}

/// How a search ended.
#[derive(Debug)]
pub enum End {
    /// The explorer had nothing more to try.
    Over(Ending),
    /// A race was found.
    Found,
    /// A limit was reached, or the user stopped it.
    Stopped(Stopped),
    /// Two runs of one schedule differed.
    Unrepeatable(Difference),
    /// The serial orders break these invariants already: a bug, but not a race.
    BrokenSerially(BTreeMap<String, Vec<Actor>>),
}

/// What a search came to.
#[derive(Debug)]
pub struct Searched {
    /// How it ended.
    pub end: End,
    /// The races, in the order of their runs.
    pub races: Vec<Race>,
    /// How far the explorer came.
    pub progress: Progress,
    /// Runs of serial orders, to learn what they do.
    pub serial_runs: u64,
    /// Distinct canonical outcomes seen.
    pub outcomes: usize,
    /// Runs whose outcome could not be judged; why, in words.
    pub inconclusive: Vec<String>,
    /// Time spent on the runs of the search, serial orders included.
    pub time: Duration,
    /// What was spent on making the races smaller.
    pub shrinking: Shrinking,
}

/// What was spent on making races smaller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shrinking {
    /// Runs made.
    pub runs: u64,
    /// Whether something was left untried.
    pub cut_short: bool,
}

impl Searched {
    /// A search that broke off before it began: not even the warm-up runs repeat.
    pub fn unrepeatable(difference: Difference) -> Self {
        Self {
            end: End::Unrepeatable(difference),
            races: Vec::new(),
            progress: Progress::default(),
            serial_runs: 0,
            outcomes: 0,
            inconclusive: Vec::new(),
            time: Duration::ZERO,
            shrinking: Shrinking::default(),
        }
    }
}

/// Why a search broke off.
#[derive(Debug)]
pub enum Stop {
    /// Two runs of one schedule differed.
    Unrepeatable(Difference),
    /// A lab cannot run.
    Trouble(Trouble),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Unrepeatable(difference) => Self::Unrepeatable(*difference),
            trouble => Self::Trouble(trouble),
        }
    }
}

/// Hears how far a search is.
pub trait Watcher {
    /// Called after every run.
    fn progress(&mut self, progress: &Progress, serial_runs: u64, races: usize);
    /// Called with every run that came to its end.
    fn ran(&mut self, _record: &Record) {}
    /// Called with every race, once it was found again.
    fn found(&mut self, _race: &Race) {}
    /// Whether the user wants it to end.
    fn stopped(&self) -> bool;
}
