//! `[explore]`: which schedules are tried, and how many. Flags of the same names override it.

use std::str::FromStr;
use std::time::Duration;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::decode::{Context, Decode, ENDLESS, Node, Number};
use crate::problem::Problem;
use crate::section::{section, suggest};
use crate::time::Time;

section! {
    /// Which schedules are tried, and how many. Flags of the same names override it.
    struct ExploreKeys {
        /// How schedules are chosen: "exhaustive" (every one that can make a difference) or "random".
        strategy: Strategy = Strategy::Exhaustive,
        /// At most so many preemptions in a schedule (default: no bound).
        preemptions: Option<Number<0, 1000>>,
        /// At most so many runs (default: no bound).
        runs: Option<Number<1, ENDLESS>>,
        /// At most so long: "500ms", "90s", "2m" (default: 60s).
        time: Option<Time>,
        /// How many labs run side by side (default: as suits the machine).
        labs: Option<Number<1, 64>>,
        /// Where random choices begin; the same seed makes the same choices.
        seed: Number<0, ENDLESS> = Number::<0, ENDLESS>(1),
        /// At most so many faults in one run, of those that actors and services may have (`crash`, `repeat`, `timeout`).
        faults: Number<0, 100> = Number::<0, 100>(1),
    }
}

/// Which schedules are tried, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explore {
    /// How schedules are chosen.
    pub strategy: Strategy,
    /// The most preemptions a schedule may have; `None`: no bound.
    pub preemptions: Option<u32>,
    /// The most runs; `None`: no bound.
    pub runs: Option<u64>,
    /// The longest time, where the scenario says one.
    pub time: Option<Duration>,
    /// How many labs run side by side; `None`: the program decides.
    pub labs: Option<u16>,
    /// Where random choices begin.
    pub seed: u64,
    /// The most faults that one run may have.
    pub faults: u32,
}

/// How schedules are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// Every one that can make a difference.
    Exhaustive,
    /// At random.
    Random,
}

const STRATEGIES: [(&str, Strategy); 2] = [
    ("exhaustive", Strategy::Exhaustive),
    ("random", Strategy::Random),
];

/// A strategy that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no strategy `{name}`: {help}")]
pub struct UnknownStrategy {
    name: String,
    help: String,
}

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = STRATEGIES.into_iter().find(|(known, _)| *known == name);
        found
            .map(|(_, strategy)| strategy)
            .ok_or_else(|| UnknownStrategy {
                name: name.into(),
                help: suggest(
                    name,
                    &STRATEGIES.map(|(known, _)| known),
                    "the strategies are",
                ),
            })
    }
}

impl Decode for Strategy {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        let text = String::decode(node, cx)?;
        let strategy = text.parse();
        if let Err(UnknownStrategy { name, help }) = &strategy {
            let problem = Problem::at(node.span(), format!("there is no strategy `{name}`"));
            cx.report(problem.help(help));
        }
        strategy.ok()
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": STRATEGIES.map(|(known, _)| known) })
    }
}

impl Default for Explore {
    fn default() -> Self {
        Self {
            strategy: Strategy::Exhaustive,
            preemptions: None,
            runs: None,
            time: None,
            labs: None,
            seed: 1,
            faults: 1,
        }
    }
}

impl ExploreKeys {
    pub fn resolve(&self) -> Explore {
        Explore {
            strategy: self.strategy,
            preemptions: self.preemptions.map(|number| number.0 as u32),
            runs: self.runs.map(|number| number.0),
            time: self.time.map(|time| time.0),
            labs: self.labs.map(|number| number.0 as u16),
            seed: self.seed.0,
            faults: self.faults.0 as u32,
        }
    }
}
