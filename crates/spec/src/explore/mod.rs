//! What a spec can come to when its permutations are ignored: all interleavings of its steps, reduced.
//!
//! Interleavings that differ only in the order of steps that commute come to the same; of each such class one is run
//! (see `deadheat-explore`). Outcomes are what the steps print and the tables hold, and each is held against those of the
//! serial orders, in which the sessions run one after the other: what none of them comes to is an anomaly. A session that
//! was told to try again is left out of the order, as if it had never been.

mod outcome;
mod play;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use deadheat_explore::{Actor, Config, Cursor, End, Ending, Exhaustive, Explorer, Next};
use serde::Serialize;

use self::outcome::{Outcome, Part};
use self::play::Player;
pub use self::play::{Connect, ReadCatalog};
use self::verdict::Serial;
use crate::conduct::Stop;
use crate::model::Spec;
use crate::permute::interleavings;

/// How much may be spent.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most runs.
    pub runs: u64,
    /// The longest time.
    pub time: Duration,
    /// How long a step may neither end nor wait.
    pub step: Duration,
    /// Run every interleaving, as if no two steps commuted.
    pub every: bool,
    /// Have sessions look for deadlocks at once, whatever the spec's setups say: then it is always the session that
    /// closes a circle that fails, and runs can be repeated. Only superusers can.
    pub quick_deadlocks: bool,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Explored {
    /// Names of the sessions.
    pub sessions: Vec<String>,
    /// How many interleavings there are; `None` beyond a 64 bit number.
    pub interleavings: Option<u64>,
    /// How many were run.
    pub runs: u64,
    /// How it ended.
    pub ending: Ending,
    /// Where one step freed several sessions, the server chose who goes on first.
    pub servers_choice: bool,
    /// Steps and tables that change from run to run, and are not compared.
    pub not_compared: Vec<String>,
    /// The outcomes: those of serial orders first, then in the order in which they were found.
    pub outcomes: Vec<Found>,
}

/// An outcome.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// What it is.
    #[serde(flatten)]
    pub kind: Kind,
    /// Names of the steps in the order that came to it first: a permutation of the spec.
    pub permutation: Vec<String>,
    /// How many of the runs came to it.
    pub runs: u64,
    /// What steps printed and tables hold.
    pub text: String,
}

/// What an outcome is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// That of a serial order.
    Serial {
        /// The sessions in that order.
        order: Vec<String>,
        /// Those that failed, and are to be tried again.
        failed: Vec<String>,
    },
    /// That of no serial order.
    Anomaly {
        /// The nearest serial order.
        nearest: Vec<String>,
        /// What differs from it: `-` lines are the serial order's, `+` lines are seen here.
        differs: String,
        /// Those that failed, and are left out.
        failed: Vec<String>,
    },
    /// Sessions wait for ever: for a lock that nobody frees.
    Stuck {
        /// Which ones.
        waiting: Vec<String>,
    },
    /// There are too many sessions to run all their serial orders.
    Unjudged,
}

impl Explored {
    /// How many outcomes are those of no serial order, or of none at all.
    pub fn anomalies(&self) -> usize {
        let wrong =
            |found: &&Found| matches!(found.kind, Kind::Anomaly { .. } | Kind::Stuck { .. });
        self.outcomes.iter().filter(wrong).count()
    }
}

/// Explores a spec.
///
/// # Errors
/// When it cannot be run.
pub fn explore<'a>(
    spec: &'a Spec,
    connect: &'a Connect<'a>,
    catalog: &'a ReadCatalog<'a>,
    limits: Limits,
    goes_on: &dyn Fn() -> bool,
) -> Result<Explored, Stop> {
    let start = Instant::now();
    let mut player = Player::new(spec, connect, catalog, limits)?;
    let volatile = volatile(spec, &mut player)?;
    let mut seen: BTreeMap<Outcome, Seen> = BTreeMap::new();
    let mut explorer = Exhaustive::new(Config {
        runs: Some(limits.runs),
        ..Config::default()
    });
    let everybody: Vec<usize> = (0..spec.sessions.len()).collect();
    let mut runs = 0;
    let ending = loop {
        let cursor = match explorer.next() {
            Next::Run(cursor) => cursor,
            Next::Wait => {
                break Ending::Stopped(
                    "the explorer waits for a run that was not handed out".to_owned(),
                );
            }
            Next::Done(ending) => break ending,
        };
        if !goes_on() {
            break Ending::Stopped("interrupted".to_owned());
        }
        if start.elapsed() > limits.time {
            break Ending::Stopped(format!(
                "after {} s, with orders still to run",
                start.elapsed().as_secs()
            ));
        }
        let (run, outcome) = player.play(cursor, &everybody)?;
        runs += 1;
        if matches!(run.end(), End::Finished | End::Stuck) {
            let order: Vec<usize> = run
                .schedule()
                .iter()
                .map(|actor| usize::from(actor.0))
                .collect();
            let count = seen.len();
            let entry = seen.entry(outcome.without(&volatile)).or_insert(Seen {
                age: count,
                order,
                runs: 0,
            });
            entry.runs += 1;
        }
        explorer.report(run);
    };
    let outcomes = judged(spec, &mut player, seen, &volatile)?;
    Ok(Explored {
        sessions: spec
            .sessions
            .iter()
            .map(|session| session.name.clone())
            .collect(),
        interleavings: interleavings(spec),
        runs,
        ending,
        servers_choice: player.freed_many,
        not_compared: volatile.iter().map(|part| named(spec, part)).collect(),
        outcomes,
    })
}

/// Where an outcome was seen.
struct Seen {
    age: usize,
    /// Whose steps came in which order.
    order: Vec<usize>,
    runs: u64,
}

/// Parts that differ between two runs of the same order: clocks, numbers of transactions, random values.
fn volatile(spec: &Spec, player: &mut Player<'_>) -> Result<BTreeSet<Part>, Stop> {
    let everybody: Vec<usize> = (0..spec.sessions.len()).collect();
    let order: Vec<Actor> = everybody
        .iter()
        .map(|session| Actor(*session as u16))
        .collect();
    let (_, first) = player.play(Cursor::order(order.clone()), &everybody)?;
    let (_, second) = player.play(Cursor::order(order), &everybody)?;
    Ok(first.differing(&second))
}

fn named(spec: &Spec, part: &Part) -> String {
    match part {
        Part::Step((session, step)) => {
            format!("step {}", spec.sessions[*session].steps[*step].name)
        }
        Part::Table(name) => format!("table {name}"),
    }
}

fn judged(
    spec: &Spec,
    player: &mut Player<'_>,
    seen: BTreeMap<Outcome, Seen>,
    volatile: &BTreeSet<Part>,
) -> Result<Vec<Found>, Stop> {
    let mut serial = Serial::new(spec, volatile);
    let mut found = Vec::new();
    for (outcome, seen) in seen {
        let kind = serial.judge(player, &outcome)?;
        let entries = crate::permute::entries(&seen.order);
        let permutation = entries
            .iter()
            .map(|entry| spec.step(entry.step).name.clone())
            .collect();
        let one = Found {
            kind,
            permutation,
            runs: seen.runs,
            text: outcome.text(),
        };
        found.push((seen.age, one));
    }
    found.sort_by_key(|(age, one)| (!matches!(one.kind, Kind::Serial { .. }), *age));
    Ok(found.into_iter().map(|(_, one)| one).collect())
}
