//! The outcome of a search as one object: what `--json` prints, and what the other forms are made from.

use std::collections::BTreeMap;

use deadheat_lab::record::{Reply, Table};
use deadheat_verdict::{Anomaly, Difference, Kind, Saved};
use serde::{Deserialize, Serialize};

/// The result of `find` on one scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// File name of the scenario.
    pub scenario: String,
    /// What it comes to.
    pub verdict: Verdict,
    /// Whether every trace was explored.
    pub exhausted: bool,
    /// Runs made, the serial ones included.
    pub runs: u64,
    /// Of these, runs of serial orders, made to learn what they do.
    #[serde(default)]
    pub serial_runs: u64,
    /// Further runs, made to leave out of the races what they happen without.
    #[serde(default, skip_serializing_if = "is_none")]
    pub shrink_runs: u64,
    /// Distinct traces among them.
    pub traces: u64,
    /// Distinct outcomes among them, up to renaming.
    #[serde(default)]
    pub outcomes: u64,
    /// Runs that turned out to be redundant and were cut.
    pub blocked_runs: u64,
    /// The most preemptions of a schedule, if there was a bound.
    pub preemption_bound: Option<u32>,
    /// Wall-clock time of the search.
    pub seconds: f64,
    /// Runs a second over that time.
    pub runs_per_second: f64,
    /// Labs that worked side by side.
    pub labs: u32,
    /// The seed.
    pub seed: u64,
    /// What was found.
    pub races: Vec<RaceEntry>,
    /// What ended a search that is not exhausted and has found nothing, or was to go on behind what it found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// The schedule that gave different runs, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unrepeatable: Option<Unrepeatable>,
    /// Invariants that serial orders break, and `stuck` if nobody can move in one: bugs that need no race. Name and order.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub broken_serially: BTreeMap<String, Vec<String>>,
    /// Statements that came while no actor was moving.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub background: Vec<String>,
    /// What else a reader should know: time-outs that fired, gaps that could not be held, runs that are inconclusive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Where the time went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Phases>,
}

/// Where a lab's time went, in milliseconds a run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Phases {
    /// Runs that these are the means of: all that were made.
    pub runs: u64,
    /// Putting databases, services and sessions back.
    pub putting_back: f64,
    /// Moving the actors, which is where the server works.
    pub moving: f64,
    /// Reading tables and checking invariants.
    pub reading: f64,
    /// Between runs: starting up, choosing schedules, judging and saving what came of them.
    pub between: f64,
}

impl Phases {
    /// The parts, by name.
    pub fn parts(&self) -> [(&'static str, f64); 4] {
        [
            ("putting back", self.putting_back),
            ("moving the actors", self.moving),
            ("reading the outcome", self.reading),
            ("between runs", self.between),
        ]
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// What a search comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A race was found.
    Race,
    /// The actors break an invariant even one after the other: a bug that needs no race.
    Bug,
    /// Every trace was explored, and none is a race.
    Clean,
    /// None was found before a budget or a bound ended the search.
    NoRaceFound,
    /// The same schedule gave different runs.
    Unrepeatable,
}

impl Verdict {
    /// In a word or two, as people read it.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::NoRaceFound => "no race found",
            Self::Race => "race",
            Self::Bug => "bug",
            Self::Unrepeatable => "unrepeatable",
        }
    }

    /// The exit code of `find`.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Clean | Self::NoRaceFound => 0,
            Self::Race | Self::Bug => 1,
            Self::Unrepeatable => 3,
        }
    }
}

/// What ended a search early.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stopped {
    /// This many runs were allowed.
    Runs(u64),
    /// This many seconds were allowed.
    Time(f64),
    /// All schedules with at most this many preemptions were tried.
    Preemptions(u32),
    /// It was a random search, which never ends by itself.
    Random,
    /// Too many runs were redundant, and the search went on at random.
    Redundant(u64),
    /// Ctrl-C or a signal.
    Interrupted,
    /// Anything else, in words.
    Other(String),
}

/// Two runs of one schedule that differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unrepeatable {
    /// The schedule up to the difference, by name.
    pub schedule: Vec<String>,
    /// Index of the step that differs.
    pub step: usize,
    /// Whose step it is.
    pub actor: String,
    /// The step of the first run, or what it did, in words.
    pub first: String,
    /// That of the second.
    pub second: String,
}

/// A race in the result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RaceEntry {
    /// Where it is saved.
    pub file: String,
    /// What it is called.
    pub kind: Kind,
    /// What the literature calls it.
    pub anomaly: Option<Anomaly>,
    /// The run that found it, from 1.
    pub found_at_run: u64,
    /// Preemptions of its schedule.
    pub preemptions: u32,
    /// Checks that failed.
    pub checks: Vec<String>,
    /// Who moves, in order.
    pub schedule: Vec<String>,
    /// What they did.
    pub steps: Vec<StepEntry>,
    /// The explanation.
    pub why: String,
    /// What of the scenario it happens without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// How it ended.
    pub outcome: OutcomeEntry,
}

/// A step in the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEntry {
    /// Who moved.
    pub actor: String,
    /// What it did.
    pub label: String,
    /// Where it was parked.
    pub gate: String,
    /// For whom it had to wait.
    pub blocked_by: Vec<String>,
    /// Whether it is one of the few that explain the race; the others may be folded.
    #[serde(default)]
    pub matters: bool,
}

/// An outcome in the result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OutcomeEntry {
    /// What each actor was told.
    pub replies: BTreeMap<String, Vec<Reply>>,
    /// What differs from the nearest serial outcome.
    pub differs: Vec<Difference>,
}

/// How a run ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ended {
    /// What each actor was told.
    pub replies: BTreeMap<String, Vec<Reply>>,
    /// Rows of the tables that the run has changed.
    pub tables: BTreeMap<String, Table>,
}

impl RaceEntry {
    /// The entry of a saved race.
    pub fn new(saved: &Saved, file: &str, found_at_run: u64, preemptions: u32) -> Self {
        let steps = saved
            .steps
            .iter()
            .enumerate()
            .map(|(n, step)| StepEntry {
                actor: step.actor.clone(),
                label: step.label.clone(),
                gate: step.gate.clone(),
                blocked_by: step.blocked_by.clone(),
                matters: saved.matters.contains(&n),
            })
            .collect();
        Self {
            file: file.to_owned(),
            kind: saved.kind,
            anomaly: saved.anomaly,
            found_at_run,
            preemptions,
            checks: saved.checks.clone(),
            schedule: saved.schedule.clone(),
            steps,
            why: saved.why.join(" "),
            left_out: saved.left_out.clone(),
            outcome: OutcomeEntry {
                replies: saved.replies(),
                differs: saved.differs.clone(),
            },
        }
    }
}

impl Report {
    /// The object as `--json` prints it, with a line end.
    ///
    /// # Errors
    /// Only if a number is not finite (`seconds`, `runs_per_second`).
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}
