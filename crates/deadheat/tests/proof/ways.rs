//! A program run both ways: the reduced search, and every interleaving there is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use deadheat_explore::{
    Actor, After, Config, Cursor, Ending, Event, Exhaustive, Explorer, Next, Run, trace_id,
};
use deadheat_lab::record::{End, Record, Reply, Table};
use deadheat_lab::{Blueprint, Lab, Options, Touched};
use deadheat_scenario::Scenario;
use deadheat_sql::Footprint;
use deadheat_verdict::all_orders;
use tokio::runtime::{Builder, Runtime};

use crate::program::TABLES;

/// The server of all programs, with their tables.
pub struct Ground {
    blueprint: Blueprint,
    /// The server's own connections live here.
    _runtime: Runtime,
}

/// What a run left, as far as anybody can tell: the tables, the replies, and whether it came to its end. Rows are bags,
/// and errors are their codes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Outcome {
    tables: BTreeMap<String, Vec<String>>,
    replies: Vec<Vec<String>>,
    stuck: bool,
}

/// The outcomes of a search, each with a schedule that leads to it.
#[derive(Debug, Default)]
struct Found {
    outcomes: BTreeMap<Outcome, Vec<u16>>,
    /// Every trace has one outcome: else a conflict was not seen. (Which traces there are is not the same in both
    /// searches: what a statement is said to have touched may be too much, more or less so as the server counts.)
    traces: BTreeMap<u64, (Outcome, Vec<u16>)>,
    runs: u64,
}

/// What two searches that found the same came to.
#[derive(Debug, Default)]
pub struct Compared {
    /// Runs of the reduced search.
    pub reduced: u64,
    /// Interleavings.
    pub all: u64,
    /// Distinct outcomes.
    pub outcomes: u64,
}

impl Compared {
    pub fn add(&mut self, other: &Self) {
        self.reduced += other.reduced;
        self.all += other.all;
        self.outcomes += other.outcomes;
    }
}

impl Ground {
    pub fn new() -> Self {
        Self::on("")
    }

    /// On a server that somebody else also uses: `server = "…"`.
    pub fn on(server: &str) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let nobody = scenario(
            server,
            "[[actor]]\nname = \"nobody\"\nsql = [\"select 1\"]\n",
        );
        let blueprint = runtime
            .block_on(Blueprint::draw(nobody, false))
            .expect("a private server");
        Self {
            blueprint,
            _runtime: runtime,
        }
    }

    /// Runs the actors both ways; what differs, in words.
    pub fn compare(&self, actors: &str) -> Result<Compared, String> {
        self.compare_with(actors, Config::default())
    }

    /// As [`Ground::compare`], with a search that may be told to leave something out.
    pub fn compare_with(&self, actors: &str, config: Config) -> Result<Compared, String> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let scenario = scenario("", actors);
        let count = scenario.actors.len();
        let blueprint = Arc::new(self.blueprint.with(scenario));
        runtime.block_on(async {
            let mut desk = Desk::open(blueprint, count).await?;
            let reduced = desk.reduced(config).await;
            let all = desk.all().await;
            desk.lab.end().await;
            judge(&reduced?, &all?)
        })
    }
}

fn scenario(server: &str, actors: &str) -> Arc<Scenario> {
    let text = format!(
        "[database]\nengine = \"postgres\"\n{server}\nsql = \"\"\"{TABLES}\"\"\"\n{actors}"
    );
    let parsed = deadheat_scenario::parse("program.toml", &text, Path::new("."));
    Arc::new(parsed.unwrap_or_else(|errors| panic!("{errors:?}\n{text}")))
}

/// A lab, and what its tables hold at the start.
struct Desk {
    lab: Lab,
    actors: Vec<Actor>,
    start: BTreeMap<String, Table>,
    /// What the actors write, as far as it was seen.
    written: Touched,
}

impl Desk {
    async fn open(blueprint: Arc<Blueprint>, actors: usize) -> Result<Self, String> {
        let mut lab = Lab::build(blueprint)
            .await
            .map_err(|trouble| trouble.to_string())?;
        let start = match lab.warm_up().await {
            Ok(()) => lab.start_tables().await,
            Err(trouble) => Err(trouble),
        };
        match start {
            Ok(start) => Ok(Self {
                lab,
                actors: (0..actors as u16).map(Actor).collect(),
                start,
                written: Touched::default(),
            }),
            Err(trouble) => {
                lab.end().await;
                Err(format!("{trouble}: {trouble:?}"))
            }
        }
    }

    async fn run(
        &mut self,
        cursor: Cursor<Footprint>,
        options: Options,
    ) -> Result<(Record, Run<Footprint>), String> {
        let ran = self.lab.run(cursor, options).await;
        ran.map_err(|trouble| format!("{trouble}: {trouble:?}"))
    }

    /// Learns what the actors write one after the other.
    async fn learn(&mut self) -> Result<(), String> {
        for order in all_orders(&self.actors) {
            let options = Options {
                serial: true,
                ..Options::default()
            };
            self.run(Cursor::order(order), options).await?;
            self.written.add(self.lab.touched());
        }
        Ok(())
    }

    /// One run for each trace; as in a real search, reads of what nobody writes are no steps, and where it turns out
    /// that somebody does, the search begins anew.
    async fn reduced(&mut self, config: Config) -> Result<Found, String> {
        let mut found = Found::default();
        self.learn().await?;
        let mut explorer = Exhaustive::new(config.clone());
        loop {
            match explorer.next() {
                Next::Run(cursor) => {
                    let options = Options {
                        known: Some(Arc::new(self.written.clone())),
                        ..Options::default()
                    };
                    let (record, run) = self.run(cursor, options).await?;
                    found.take(&record, &run, &self.start)?;
                    explorer.report(run);
                    if self.written.add(self.lab.touched()) {
                        found.traces.clear();
                        explorer = Exhaustive::new(config.clone());
                    }
                }
                Next::Wait => unreachable!("every run is reported before the next is asked for"),
                Next::Done(Ending::Stopped(why)) => {
                    return Err(format!("the reduced search stopped: {why}"));
                }
                Next::Done(Ending::Redundant { blocked_runs }) => {
                    return Err(format!(
                        "the reduced search gave up after {blocked_runs} runs that it cut"
                    ));
                }
                Next::Done(Ending::Exhausted | Ending::Bounded { .. }) => return Ok(found),
            }
        }
    }

    /// Every interleaving once, without any reduction: whoever could have moved instead is tried as well.
    async fn all(&mut self) -> Result<Found, String> {
        let mut found = Found::default();
        let mut open = vec![Vec::new()];
        let known = Touched::of(BTreeSet::new(), true);
        let known = Arc::new(known.and_serializable(self.written.is_serializable()));
        while let Some(prefix) = open.pop() {
            let options = Options {
                known: Some(Arc::clone(&known)),
                ..Options::default()
            };
            let (record, run) = self.run(Cursor::replay(prefix.clone()), options).await?;
            if let Some(at) = run.diverged() {
                return Err(format!("step {at} of {prefix:?} could not be made again"));
            }
            found.take(&record, &run, &self.start)?;
            let schedule = run.schedule();
            for at in prefix.len()..schedule.len() {
                for actor in able(run.events(), at) {
                    if actor != schedule[at] {
                        let mut other = schedule[..at].to_vec();
                        other.push(actor);
                        open.push(other);
                    }
                }
            }
        }
        Ok(found)
    }
}

/// Who could move before step `at`: everybody with a step still to come who did not wait. (A run is only over when
/// nobody can move.)
fn able(events: &[Event<Footprint>], at: usize) -> BTreeSet<Actor> {
    let mut waiting = BTreeSet::new();
    for event in &events[..at] {
        waiting.retain(|actor| !event.wakes.contains(actor));
        if event.after == After::Waiting {
            waiting.insert(event.actor);
        }
    }
    let to_come = events[at..].iter().map(|event| event.actor);
    to_come.filter(|actor| !waiting.contains(actor)).collect()
}

impl Found {
    fn take(
        &mut self,
        record: &Record,
        run: &Run<Footprint>,
        start: &BTreeMap<String, Table>,
    ) -> Result<(), String> {
        self.runs += 1;
        if record.end == End::Cut {
            return Ok(());
        }
        let outcome = Outcome::of(record, start);
        let schedule: Vec<u16> = run.schedule().iter().map(|actor| actor.0).collect();
        let trace = trace_id(run.events());
        let (known, before) = self
            .traces
            .entry(trace)
            .or_insert_with(|| (outcome.clone(), schedule.clone()));
        if *known != outcome {
            return Err(format!(
                "two schedules of one trace end differently: {before:?} and {schedule:?}\n{known:#?}\n{outcome:#?}"
            ));
        }
        self.outcomes.entry(outcome).or_insert(schedule);
        Ok(())
    }
}

fn judge(reduced: &Found, all: &Found) -> Result<Compared, String> {
    for (outcome, schedule) in &all.outcomes {
        if !reduced.outcomes.contains_key(outcome) {
            return Err(format!(
                "the reduced search never ends as {schedule:?} does\n{outcome:#?}"
            ));
        }
    }
    for (outcome, schedule) in &reduced.outcomes {
        if !all.outcomes.contains_key(outcome) {
            return Err(format!(
                "only the reduced search ends as {schedule:?} does\n{outcome:#?}"
            ));
        }
    }
    Ok(Compared {
        reduced: reduced.runs,
        all: all.runs,
        outcomes: all.outcomes.len() as u64,
    })
}

impl Outcome {
    fn of(record: &Record, start: &BTreeMap<String, Table>) -> Self {
        let mut tables = start.clone();
        tables.extend(record.tables.clone());
        Self {
            tables: tables
                .iter()
                .map(|(name, table)| (name.clone(), bag(table)))
                .collect(),
            replies: record
                .replies
                .iter()
                .map(|told| told.iter().map(in_short).collect())
                .collect(),
            stuck: record.end != End::Finished,
        }
    }
}

/// The rows in no order. What the database generates (`log.n`, the first of two columns) is left out.
fn bag(table: &Table) -> Vec<String> {
    let generated = table.columns == ["n", "what"];
    let mut rows: Vec<String> = table
        .rows
        .iter()
        .map(|row| format!("{:?}", &row[usize::from(generated)..]))
        .collect();
    rows.sort();
    rows
}

fn in_short(reply: &Reply) -> String {
    match reply {
        Reply::Sql {
            table,
            tag,
            error: None,
            ..
        } => format!("{:?} {tag}", bag(table)),
        Reply::Sql {
            error: Some(error), ..
        } => error.code.clone(),
        other => format!("{other:?}"),
    }
}
