//! A scenario set up in labs, and what is asked of them over and over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadheat::search::Labs;
use deadheat_explore::{Actor, Config, Cursor, Exhaustive, Explorer, Next, Run};
use deadheat_lab::record::Record;
use deadheat_lab::{Blueprint, Options, Profile};
use deadheat_scenario::Scenario;
use deadheat_sql::Footprint;
use deadheat_verdict::{Judgement, Oracle, Rules, all_orders, offset};
use tokio::runtime::Runtime;

use crate::Fallible;

/// A scenario with its labs.
pub struct Bed {
    labs: Labs,
    scenario: Arc<Scenario>,
    /// The server, and the runtime that its own connections live on.
    _ground: (Arc<Blueprint>, Runtime),
}

impl Bed {
    /// Sets a scenario up in so many labs.
    pub fn open(path: &str, labs: usize) -> Fallible<Self> {
        let scenario = Arc::new(deadheat_scenario::load(Path::new(path))?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let drawing = Blueprint::draw(Arc::clone(&scenario), false);
        let blueprint = Arc::new(runtime.block_on(drawing)?);
        Ok(Self {
            labs: Labs::build(&blueprint, labs)?,
            scenario,
            _ground: (blueprint, runtime),
        })
    }

    /// An oracle that knows all serial orders.
    pub fn oracle(&mut self) -> Fallible<Oracle> {
        let mut oracle = Oracle::new(Rules {
            serial: true,
            start: std::mem::take(&mut self.labs.start.tables),
            mask: Vec::new(),
            allow: BTreeSet::new(),
        });
        let offsets: Vec<i64> = (0..self.labs.start.sequences).map(offset).collect();
        let actors: Vec<Actor> = (0..self.scenario.actors.len() as u16).map(Actor).collect();
        for order in all_orders(&actors) {
            let run = |advance| {
                let options = Options {
                    advance,
                    serial: true,
                    ..Options::default()
                };
                (Cursor::order(order.clone()), options)
            };
            let mut ran = self.labs.run_all(vec![run(false), run(true)])?.into_iter();
            if let (Some((first, _)), Some((second, _))) = (ran.next(), ran.next()) {
                oracle.learn(&first, &second, &offsets);
                oracle.add_serial(order, first);
            }
        }
        Ok(oracle)
    }

    /// One exhaustive search, each of its runs shown.
    pub fn search(&mut self, mut see: impl FnMut(&Record, &Run<Footprint>)) -> Fallible<()> {
        let mut explorer = Exhaustive::new(Config::default());
        while let Next::Run(cursor) = explorer.next() {
            let (record, run) = self.labs.run(cursor, Options::default())?;
            see(&record, &run);
            explorer.report(run);
        }
        Ok(())
    }

    /// Runs a second over `time`, made by so many exhaustive searches side by side, each begun anew when it is at its
    /// end; every run is judged where there is an oracle.
    pub fn sustained(
        &mut self,
        searches: usize,
        mut oracle: Option<&mut Oracle>,
        time: Duration,
    ) -> Fallible<f64> {
        let mut explorers: Vec<_> = (0..searches).map(|_| begin()).collect();
        let mut under_way: BTreeMap<u64, usize> = BTreeMap::new();
        let started = Instant::now();
        let mut runs = 0;
        loop {
            let over = started.elapsed() >= time;
            if over && under_way.is_empty() {
                return Ok(f64::from(runs) / started.elapsed().as_secs_f64());
            }
            if !over {
                for (at, explorer) in explorers.iter_mut().enumerate() {
                    self.hand_out(at, explorer, &mut under_way);
                }
            }
            let ran = self.labs.wait()?;
            let at = under_way
                .remove(&ran.ticket)
                .ok_or("a run ended that was not started")?;
            let (record, run) = ran.result?;
            if let Some(oracle) = oracle.as_deref_mut()
                && let Judgement::NeedsSerial(_) | Judgement::Inconclusive(_) =
                    oracle.judge(&record)
            {
                return Err("a run could not be judged".into());
            }
            explorers[at].report(run);
            runs += 1;
        }
    }

    /// Gives idle labs the runs that a search can name; with several searches, one run each.
    fn hand_out(
        &mut self,
        at: usize,
        explorer: &mut Exhaustive<Footprint>,
        under_way: &mut BTreeMap<u64, usize>,
    ) {
        let alone = under_way.values().all(|other| *other == at);
        while self.labs.has_room() {
            let busy = under_way.values().any(|other| *other == at);
            match explorer.next() {
                Next::Run(cursor) => {
                    let ticket = self.labs.start(cursor, Options::default());
                    under_way.insert(ticket, at);
                }
                Next::Done(_) if !busy => *explorer = begin(),
                Next::Wait | Next::Done(_) => return,
            }
            if !alone {
                return;
            }
        }
    }

    /// Runs a second over `time` along these schedules, in turn, on all labs.
    pub fn replayed(&mut self, schedules: &[Vec<Actor>], time: Duration) -> Fallible<f64> {
        let mut turn = schedules.iter().cycle();
        let started = Instant::now();
        let (mut runs, mut under_way) = (0, 0);
        loop {
            let over = started.elapsed() >= time;
            while !over && self.labs.has_room() {
                let schedule = turn.next().ok_or("there is no schedule")?;
                let cursor = Cursor::replay(schedule.clone());
                self.labs.start(cursor, Options::default());
                under_way += 1;
            }
            if under_way == 0 {
                return Ok(f64::from(runs) / started.elapsed().as_secs_f64());
            }
            self.labs.wait()?.result?;
            under_way -= 1;
            runs += 1;
        }
    }

    /// Ends the labs; where their time went.
    pub fn end(self) -> Profile {
        self.labs.end().1
    }
}

fn begin() -> Exhaustive<Footprint> {
    Exhaustive::new(Config::default())
}
