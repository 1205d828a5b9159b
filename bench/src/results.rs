//! What was measured, as it is written to `results.json`.

use deadheat_lab::Profile;
use serde::Serialize;

/// Everything.
#[derive(Debug, Serialize)]
pub struct Results {
    pub machine: Machine,
    pub direct: Direct,
    /// Median of a reset of three written tables, in milliseconds.
    pub reset: f64,
    pub scaling: Scaling,
    pub thinking: Thinking,
    pub searches: Vec<Search>,
    /// The table as it was printed.
    pub samplers: String,
    /// The same.
    pub reduction: String,
}

/// Where it was measured, and with what.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory: String,
    pub system: String,
    pub postgres: String,
    pub rust: String,
    pub deadheat: String,
    /// Processes that wanted to run, averaged over the last minute, when the measurement ended.
    pub load: String,
}

/// Scenario (a), in labs and straight to the server; runs a second, a number a round.
#[derive(Debug, Default, Serialize)]
pub struct Direct {
    pub schedules: usize,
    /// Of these, schedules in which a statement waits.
    pub waiting: usize,
    pub labs: Vec<f64>,
    /// By as many plain clients as there are labs.
    pub plain: Vec<f64>,
    /// By one plain client, one run after the other.
    pub alone: Vec<f64>,
    pub ratios: Vec<f64>,
    pub ratios_alone: Vec<f64>,
    pub ratios_without_waits: Vec<f64>,
    pub phases: Phases,
}

/// Where the time of a run went, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Phases {
    pub putting_back: f64,
    pub moving: f64,
    pub reading: f64,
}

impl From<Profile> for Phases {
    fn from(profile: Profile) -> Self {
        let runs = profile.runs.max(1) as f64;
        let each = |time: std::time::Duration| time.as_secs_f64() * 1000.0 / runs;
        Self {
            putting_back: each(profile.reset),
            moving: each(profile.play),
            reading: each(profile.outcome),
        }
    }
}

/// Scenario (b) with one lab and with two; runs a second, a number a round.
#[derive(Debug, Default, Serialize)]
pub struct Scaling {
    pub one: Vec<f64>,
    pub two: Vec<f64>,
    pub factors: Vec<f64>,
}

/// The explorer's share of a run.
#[derive(Debug, Serialize)]
pub struct Thinking {
    pub micros_a_run: f64,
    /// A whole run, in one lab.
    pub lab_micros_a_run: f64,
    pub share: f64,
}

/// One call of `deadheat find`.
#[derive(Debug, Serialize)]
pub struct Search {
    pub scenario: String,
    /// Number of classes, where it is known.
    pub classes: Option<u64>,
    /// Runs it may take at most, serial orders apart.
    pub at_most: Option<u64>,
    pub verdict: String,
    pub exhausted: bool,
    /// Runs of the search itself.
    pub runs: u64,
    pub serial_runs: u64,
    pub traces: u64,
    pub blocked_runs: u64,
    /// Number of the run that showed the first race.
    pub first_race: Option<u64>,
    pub seconds: f64,
    pub runs_per_second: f64,
    pub phases: Phases,
}

/// The middle one of the values.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
