//! A race as a file: what happened, why, and how to make it happen again.
//!
//! The file is there to be kept beside the code: a line for each step, keys always in the same order, so that two
//! versions of it can be compared by eye.

use deadheat_lab::record::{Record, Reply, Step, StepKind};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

use crate::anomaly::{Anomaly, Kind};
use crate::differ::Difference;
use crate::finding::{Finding, SerialOrder};
use crate::history::History;
use crate::layout::lay_out;
use crate::words;

/// The version of the file that this program writes and reads.
pub const FORMAT: u32 = 2;

/// The tables that the actors write: reads of others were no steps of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Written {
    /// Their names, as in [`Record::tables`].
    pub tables: BTreeSet<String>,
    /// Any other table may have been written as well.
    pub everything: bool,
}

/// A saved race. Everything needed to run it again is in it, beside its scenario.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Saved {
    /// [`FORMAT`].
    pub format: u32,
    /// The scenario's file name, relative to this file where possible.
    pub scenario: String,
    /// Hash of the scenario's text, to notice that it has changed.
    pub scenario_fingerprint: String,
    /// What it is called.
    pub kind: Kind,
    /// What the literature calls it.
    pub anomaly: Option<Anomaly>,
    /// The checks that failed.
    pub checks: Vec<String>,
    /// The explanation, a sentence each.
    pub why: Vec<String>,
    /// The names of the actors that take part.
    pub actors: Vec<String>,
    /// Requests of their sequences that they do not make, by actor, counted from 1.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub without_requests: BTreeMap<String, Vec<usize>>,
    /// What shrinking left out, in words.
    pub left_out: Vec<String>,
    /// What is written by any of them.
    pub written: Written,
    /// Who moves, in order.
    pub schedule: Vec<String>,
    /// What they did, in the same order.
    pub steps: Vec<SavedStep>,
    /// Indexes of the steps that matter.
    pub matters: Vec<usize>,
    /// Steps of the cycle of dependencies.
    pub cycle: Vec<usize>,
    /// What differs from the nearest serial outcome.
    pub differs: Vec<Difference>,
    /// The serial order with the nearest outcome.
    pub nearest: Vec<String>,
    /// The known serial orders, the nearest first, with what differs from each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<SerialOrder>,
    /// How the tables changed from step to step, where they were looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// The seed of the search that found it.
    pub seed: u64,
    /// The whole run: every step with what it read, replies, final rows.
    pub record: Record,
}

/// A step as the file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SavedStep {
    /// Who moved.
    pub actor: String,
    /// What it did, on one line.
    pub label: String,
    /// Where it was parked.
    pub gate: String,
    /// What kind of step.
    pub kind: StepKind,
    /// Fingerprint of its statements, in hexadecimal digits.
    pub fingerprint: String,
    /// For whom it had to wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked_by: Vec<String>,
}

/// A file that is no saved race, or not one of this program.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Not JSON, or fields are missing or of another type.
    #[error("this is no saved race: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by another version.
    #[error(
        "this race was saved in format {found}; this program reads format {FORMAT}. Find it again with `deadheat find`"
    )]
    Format {
        /// The version in the file.
        found: u64,
    },
    /// The parts of the file do not belong together.
    #[error("this saved race was changed by hand: {0}")]
    Inconsistent(String),
}

impl Saved {
    /// A race as it is saved. `scenario_text` is what the fingerprint is taken of.
    pub fn new(
        scenario: &str,
        scenario_text: &str,
        record: &Record,
        finding: &Finding,
        seed: u64,
    ) -> Self {
        let steps: Vec<SavedStep> = (0..record.steps.len())
            .filter_map(|n| saved_step(record, n))
            .collect();
        Self {
            format: FORMAT,
            scenario: scenario.to_owned(),
            scenario_fingerprint: fingerprint_of_text(scenario_text),
            kind: finding.kind,
            anomaly: finding.anomaly,
            checks: finding.checks.clone(),
            why: finding.why.clone(),
            actors: record.actors.clone(),
            schedule: steps.iter().map(|step| step.actor.clone()).collect(),
            steps,
            matters: finding.matters.iter().copied().collect(),
            cycle: finding.cycle_steps(),
            differs: finding.differs.clone(),
            nearest: finding.nearest.clone(),
            orders: finding.orders.clone(),
            history: None,
            seed,
            without_requests: BTreeMap::new(),
            left_out: Vec::new(),
            written: Written::default(),
            record: record.clone(),
        }
    }

    /// What each actor was told, by name.
    pub fn replies(&self) -> BTreeMap<String, Vec<Reply>> {
        let replies = self.record.replies.iter().cloned();
        self.actors.iter().cloned().zip(replies).collect()
    }

    /// Whether a scenario with this text is the one in which the race was found.
    pub fn is_of(&self, scenario_text: &str) -> bool {
        self.scenario_fingerprint == fingerprint_of_text(scenario_text)
    }

    /// The text of the file.
    ///
    /// # Errors
    /// Only if a value cannot be written as JSON, which none of these is.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self).map(|text| lay_out(&text))
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`LoadError`]: not a saved race, another format, or parts that do not belong together.
    pub fn from_json(text: &str) -> Result<Self, LoadError> {
        let value: Value = serde_json::from_str(text)?;
        if let Some(found) = value.get("format").and_then(Value::as_u64)
            && found != u64::from(FORMAT)
        {
            return Err(LoadError::Format { found });
        }
        let saved: Self = serde_json::from_str(text)?;
        saved.check()?;
        Ok(saved)
    }

    fn check(&self) -> Result<(), LoadError> {
        if self.schedule.len() != self.steps.len() {
            return Err(LoadError::Inconsistent(format!(
                "the schedule has {} moves, but there are {} steps",
                self.schedule.len(),
                self.steps.len()
            )));
        }
        match self
            .schedule
            .iter()
            .find(|name| !self.actors.contains(name))
        {
            Some(name) => Err(LoadError::Inconsistent(format!(
                "the schedule names {name}, who is no actor"
            ))),
            None => Ok(()),
        }
    }
}

/// JSON Schema of the file as this version writes it.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<Saved>().to_value();
    close(&mut schema);
    schema["title"] = "A race that Deadheat has saved".into();
    schema
}

/// Nothing is written but what is described.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(keys) => {
            keys.values_mut().for_each(close);
            if keys.get("properties").is_some_and(Value::is_object) && keys.contains_key("type") {
                keys.insert("additionalProperties".to_owned(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// A step as the file has it.
fn saved_step(record: &Record, n: usize) -> Option<SavedStep> {
    let step = record.steps.get(n)?;
    let by = step.blocked_by.iter();
    Some(SavedStep {
        actor: words::name(record, step.actor),
        label: words::statement(step),
        gate: step.gate.clone(),
        kind: step.kind,
        fingerprint: format!("{:016x}", step.fingerprint),
        blocked_by: by.map(|actor| words::name(record, *actor)).collect(),
    })
}

/// Where a replay first did something else than the saved race.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstDifference {
    /// Index of the step.
    pub at: usize,
    /// What was saved; `None` when the replay had more steps.
    pub saved: Option<SavedStep>,
    /// What was seen; `None` when the replay had fewer steps.
    pub now: Option<SavedStep>,
    /// An earlier step, the same in both, that the database answered otherwise: then what followed says nothing of the
    /// code. Without one, the code has changed here.
    pub answered: Option<Answered>,
}

/// A step that the database answered otherwise than when the race was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Index of the step.
    pub at: usize,
    /// What it is, as the file has it.
    pub step: SavedStep,
    /// The answer then, in words.
    pub saved: String,
    /// The answer now.
    pub now: String,
}

/// The first step whose actor, kind or statements (by fingerprint) differ; `None` when the replay followed the file.
/// Values, comments and lengths of lists are no part of a fingerprint.
pub fn compare_steps(saved: &Saved, record: &Record) -> Option<FirstDifference> {
    let key = |step: &Option<SavedStep>| {
        step.as_ref()
            .map(|s| (s.actor.clone(), s.kind, s.fingerprint.clone()))
    };
    (0..saved.steps.len().max(record.steps.len())).find_map(|at| {
        let (then, now) = (saved.steps.get(at).cloned(), saved_step(record, at));
        (key(&then) != key(&now)).then(|| FirstDifference {
            at,
            saved: then,
            now,
            answered: (0..at).find_map(|n| answered(saved, record, n)),
        })
    })
}

fn answered(saved: &Saved, record: &Record, at: usize) -> Option<Answered> {
    let (then, now) = (saved.record.steps.get(at)?, record.steps.get(at)?);
    let words = |step: &Step| {
        let error = step.error.as_ref();
        let error = error.map(|error| format!("{} {}", error.code, error.message));
        let answer = error.unwrap_or_else(|| step.tags.join(", "));
        let named = |actors: &[deadheat_explore::Actor]| {
            let names: Vec<String> = actors.iter().map(|a| words::name(record, *a)).collect();
            words::list(&names)
        };
        if step.blocked_by.is_empty() {
            answer
        } else if answer.is_empty() {
            format!("waits for {}", named(&step.blocked_by))
        } else {
            format!("waits for {}, then {answer}", named(&step.blocked_by))
        }
    };
    (words(then) != words(now)).then(|| Answered {
        at,
        step: saved.steps[at].clone(),
        saved: words(then),
        now: words(now),
    })
}

/// Hash of a text (FNV-1a, 64 bits), the same on every machine and in every version.
pub fn fingerprint_of_text(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
