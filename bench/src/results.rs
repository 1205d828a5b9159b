//! What was measured, as it lies in `bench/results`: a file a part, each with the machine it was measured on.

use std::collections::BTreeMap;
use std::path::Path;

use deadheat_lab::Profile;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Fallible;

/// Where the parts lie, from the root of the repository.
const FOLDER: &str = "bench/results";

/// A part, and where and with what it was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measured<F> {
    pub machine: Machine,
    /// Versions of what takes part, by name.
    pub versions: BTreeMap<String, String>,
    pub figures: F,
}

impl<F: Serialize> Measured<F> {
    /// Writes the part down.
    pub fn keep(&self, part: &str) -> Fallible<()> {
        std::fs::create_dir_all(FOLDER)?;
        let json = serde_json::to_string_pretty(self)?;
        Ok(std::fs::write(
            Path::new(FOLDER).join(part).with_extension("json"),
            json + "\n",
        )?)
    }
}

/// A part as it was last measured; `None` if it never was.
pub fn kept<F: DeserializeOwned>(root: &Path, part: &str) -> Fallible<Option<Measured<F>>> {
    let path = root.join(FOLDER).join(part).with_extension("json");
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path)?;
    let read = serde_json::from_str(&text);
    Ok(Some(
        read.map_err(|error| format!("{}: {error}", path.display()))?,
    ))
}

/// Where it was measured, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory: String,
    pub system: String,
    pub postgres: String,
    pub rust: String,
    pub deadheat: String,
    /// Processes that wanted to run, averaged over the last minute, when the measurement began, and when it ended.
    pub load: [String; 2],
}

/// One of several who take turns: a number a round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Runner {
    pub who: String,
    pub rounds: Vec<f64>,
}

impl Runner {
    /// The middle one of its rounds.
    pub fn median(&self) -> f64 {
        median(&self.rounds)
    }

    /// The least and the most.
    pub fn range(&self) -> (f64, f64) {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in &self.rounds {
            least = least.min(*value);
            most = most.max(*value);
        }
        (least, most)
    }
}

/// Who takes turns at one thing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bout {
    /// What each of them does.
    pub what: String,
    pub runners: Vec<Runner>,
}

/// `labs`: what the project promises about its own speed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Labs {
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

/// `passing`: pgbench through a gate that no lab is attached to.
#[derive(Debug, Serialize, Deserialize)]
pub struct Passing {
    pub lines: Vec<PassingLine>,
    /// Peak memory of `deadheat proxy` in MiB: at rest, and while 100 MB passed.
    pub memory: (f64, f64),
}

/// A way of using pgbench.
#[derive(Debug, Serialize, Deserialize)]
pub struct PassingLine {
    pub script: String,
    pub mode: String,
    pub clients: String,
    /// Transactions a second, by way.
    pub rates: Vec<Runner>,
    /// Median time of a transaction in microseconds, by way.
    pub times: Vec<Runner>,
}

/// `specs`: seconds for PostgreSQL's whole isolation schedule.
#[derive(Debug, Serialize, Deserialize)]
pub struct Specs {
    pub seconds: Vec<Runner>,
}

/// `peers`: the task lab beside shuttle and loom.
#[derive(Debug, Serialize, Deserialize)]
pub struct Peers {
    /// Schedules a second of processor time.
    pub random: Bout,
    pub exhausted: Vec<Exhausted>,
}

/// A search that came to its end.
#[derive(Debug, Serialize, Deserialize)]
pub struct Exhausted {
    pub who: String,
    pub runs: u64,
    pub seconds: f64,
}

/// `tasks`: tasks a second.
#[derive(Debug, Serialize, Deserialize)]
pub struct Tasks {
    /// How many there are to do.
    pub count: u64,
    pub at_once: u64,
    pub bouts: Vec<Bout>,
}

/// `rivals`: the same race, found by others.
#[derive(Debug, Serialize, Deserialize)]
pub struct Rivals {
    pub hunts: Vec<Hunt>,
}

/// One search of one program for the lost update of so many clients, as far as it comes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hunt {
    pub who: String,
    pub clients: u64,
    pub runs: u64,
    pub seconds: f64,
    /// Whether it came to its end by itself.
    pub ended: bool,
    /// The run that showed the first race.
    pub first_race: Option<u64>,
}

/// Scenario (a), in labs and straight to the server; runs a second, a number a round.
#[derive(Debug, Default, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
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
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Scaling {
    pub one: Vec<f64>,
    pub two: Vec<f64>,
    pub factors: Vec<f64>,
    /// Processors that the whole machine keeps busy meanwhile, with one lab and with two.
    pub busy: [Vec<f64>; 2],
    /// Processors there are.
    pub processors: usize,
}

impl Scaling {
    /// The factor that two labs would have if they kept every processor busy and did no more work than one each.
    pub fn at_most(&self) -> f64 {
        self.processors as f64 / median(&self.busy[0])
    }
}

/// The explorer's share of a run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Thinking {
    pub micros_a_run: f64,
    /// A whole run, in one lab.
    pub lab_micros_a_run: f64,
    pub share: f64,
}

/// One call of `deadheat find`.
#[derive(Debug, Serialize, Deserialize)]
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
