//! The loop of a search: hand out runs, judge what they left, stop at the first race (of the lowest run).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use deadheat_explore::{
    Actor, Config, Cursor, Explorer, Next, Progress, Random, RandomConfig, Run, Thorough,
};
use deadheat_lab::record::{End as RunEnd, Record, Statement};
use deadheat_lab::{Difference, Options, Touched, Trouble, first_difference};
use deadheat_report::Stopped;
use deadheat_sql::Footprint;
use deadheat_verdict::{Finding, Judgement, Oracle, Outcome, Rules};

use super::serial::Serial;
use super::{Budget, End, Labs, Race, Searched, Shrinking, Stop, Watcher};

/// Serial orders that an outcome may ask for before it is left undecided: enough for all orders of six actors.
const MOST_ORDERS: usize = 1_500;
/// Orders that are run twice for one outcome, to learn what moves from run to run; mostly one of them has the outcome.
/// Further ones only show what they come to.
const RUN_TWICE: usize = 8;
/// Of the orders that are nearest to a race, so many are run twice before it is believed.
const NEAREST: usize = 8;

/// A search under way.
pub struct Hunt<'a> {
    pub(crate) labs: &'a mut Labs,
    budget: &'a Budget,
    watcher: &'a mut dyn Watcher,
    pub(crate) oracle: Oracle,
    pub(crate) serial: Serial,
    started: Instant,
    /// Index of the run under each ticket.
    under_way: BTreeMap<u64, u64>,
    races: BTreeMap<u64, Race>,
    inconclusive: BTreeSet<String>,
    outcomes: BTreeSet<Outcome>,
    /// Races that are known, by [`cause`]: the same thing happening to other actors is no further race.
    known: BTreeSet<Cause>,
    progress: Progress,
    /// Runs of searches that had to begin anew.
    earlier: u64,
}

/// Runs that are done and not judged yet, by index.
type Finished = BTreeMap<u64, Ran>;

/// A run of the search.
struct Ran {
    index: u64,
    record: Record,
    run: Run<Footprint>,
    touched: Touched,
}

/// What a run was found to be.
pub(crate) enum Seen {
    Fine,
    Race(Box<Finding>),
    BrokenSerially,
}

impl<'a> Hunt<'a> {
    /// A search with these labs; nothing has run yet.
    pub fn new(
        labs: &'a mut Labs,
        actors: usize,
        rules: Rules,
        budget: &'a Budget,
        watcher: &'a mut dyn Watcher,
    ) -> Self {
        let serial = Serial::new(actors, &labs.faults());
        Self {
            labs,
            budget,
            watcher,
            oracle: Oracle::new(rules),
            serial,
            started: Instant::now(),
            under_way: BTreeMap::new(),
            races: BTreeMap::new(),
            inconclusive: BTreeSet::new(),
            outcomes: BTreeSet::new(),
            known: BTreeSet::new(),
            progress: Progress::default(),
            earlier: 0,
        }
    }

    /// Searches to its end.
    ///
    /// # Errors
    /// When a lab cannot run.
    pub fn search(mut self) -> Result<Searched, Trouble> {
        let end = match self.try_search() {
            Ok(end) => end,
            Err(Stop::Unrepeatable(difference)) => End::Unrepeatable(difference),
            Err(Stop::Trouble(trouble)) => return Err(trouble),
        };
        let races = self.races.into_values().collect();
        Ok(Searched {
            end,
            races,
            progress: self.progress,
            serial_runs: self.serial.runs,
            outcomes: self.outcomes.len(),
            inconclusive: self.inconclusive.into_iter().collect(),
            time: self.started.elapsed(),
            shrinking: Shrinking::default(),
        })
    }

    fn try_search(&mut self) -> Result<End, Stop> {
        self.learn_serial_orders()?;
        if let Some((actor, sql, error)) = self.oracle.not_understood() {
            let how = match error.code.as_str() {
                "" => error.message,
                code => format!("{} ({code})", error.message),
            };
            return Err(Trouble::Statement { actor, sql, how }.into());
        }
        let broken = self.oracle.broken_serially();
        if !broken.is_empty() {
            return Ok(End::BrokenSerially(broken));
        }
        let mut explorer = self.explorer();
        let end = self.explore(&mut explorer);
        self.note(explorer.finish());
        end
    }

    fn explore(&mut self, explorer: &mut Box<dyn Explorer<Footprint>>) -> Result<End, Stop> {
        let mut reason: Option<Stopped> = None;
        let mut finished = Finished::new();
        loop {
            while reason.is_none() && self.labs.has_room() {
                reason = self.limit();
                if reason.is_some() {
                    self.take_back();
                    break;
                }
                match explorer.next() {
                    Next::Run(cursor) => {
                        let index = cursor.index();
                        let ticket = self.labs.start(cursor, Options::default());
                        self.under_way.insert(ticket, index);
                    }
                    Next::Wait if !self.under_way.is_empty() => break,
                    Next::Wait => {
                        return Err(Trouble::Bug("the explorer waits for nothing".into()).into());
                    }
                    Next::Done(ending) if self.under_way.is_empty() => {
                        return Ok(End::Over(ending));
                    }
                    Next::Done(_) => break,
                }
            }
            if self.under_way.is_empty() {
                return Ok(match reason {
                    Some(reason) => End::Stopped(reason),
                    None => End::Found,
                });
            }
            let ran = self.wait()?;
            finished.insert(ran.index, ran);
            while let Some(ran) = self.due(&mut finished) {
                self.labs.hear_of(&ran.touched);
                if let Some(end) = self.take(ran.index, ran.record, &ran.run)? {
                    self.drain()?;
                    return Ok(end);
                }
                explorer.report(ran.run);
                self.note(explorer.progress());
                if !self.budget.keep_going && !self.races.is_empty() {
                    self.drain()?;
                    return Ok(End::Found);
                }
                if self.labs.is_outgrown() {
                    // Reads were let through as if nobody wrote what they read: the search begins anew.
                    self.drain()?;
                    finished.clear();
                    self.labs.take_as_known();
                    self.note(explorer.finish());
                    self.earlier = self.progress.runs;
                    *explorer = self.explorer();
                }
            }
        }
    }

    /// Tells how far the search is.
    fn note(&mut self, progress: Progress) {
        self.progress = progress;
        self.progress.runs += self.earlier;
        self.watcher
            .progress(&self.progress, self.serial.runs, self.races.len());
    }

    /// The finished run that is to be judged next, if it is its turn. They are judged in the order in which they were
    /// handed out, so that what is found, and by which run, does not depend on how many labs there are.
    fn due(&self, finished: &mut Finished) -> Option<Ran> {
        let first = finished.first_entry()?;
        if self.under_way.values().any(|index| index < first.key()) {
            return None;
        }
        Some(first.remove())
    }

    fn explorer(&self) -> Box<dyn Explorer<Footprint>> {
        if self.budget.random {
            return Box::new(Random::new(RandomConfig {
                seed: self.budget.seed,
                runs: self.budget.runs,
                sampler: None,
            }));
        }
        let config = Config {
            preemptions: self.budget.preemptions,
            runs: self.budget.runs,
            ..Config::default()
        };
        Box::new(Thorough::new(config, self.budget.seed))
    }

    pub(crate) fn learn_serial_orders(&mut self) -> Result<(), Stop> {
        let orders = self.serial.first_orders();
        self.serial.teach(&orders, self.labs, &mut self.oracle)?;
        self.labs.take_as_known();
        self.watcher
            .progress(&self.progress, self.serial.runs, self.races.len());
        Ok(())
    }

    /// Why no further run is to be started, if so.
    fn limit(&self) -> Option<Stopped> {
        if self.watcher.stopped() {
            return Some(Stopped::Interrupted);
        }
        let time = self.budget.time?;
        (self.started.elapsed() >= time).then_some(Stopped::Time(time.as_secs_f64()))
    }

    fn wait(&mut self) -> Result<Ran, Stop> {
        let ran = self.labs.wait()?;
        let index = self
            .under_way
            .remove(&ran.ticket)
            .ok_or_else(|| Trouble::Bug("a run ended that was not started".to_owned()))?;
        let (record, run) = ran.result?;
        Ok(Ran {
            index,
            record,
            run,
            touched: ran.touched,
        })
    }

    /// Lets the runs under way finish; those that wait for a lab are not made.
    fn drain(&mut self) -> Result<(), Stop> {
        self.take_back();
        while !self.under_way.is_empty() {
            self.wait()?;
        }
        Ok(())
    }

    fn take_back(&mut self) {
        for ticket in self.labs.take_back() {
            self.under_way.remove(&ticket);
        }
    }

    /// Judges a run; returns an end if the search cannot go on.
    fn take(
        &mut self,
        index: u64,
        record: Record,
        run: &Run<Footprint>,
    ) -> Result<Option<End>, Stop> {
        tracing::debug!(index, schedule = ?run.schedule(), end = ?record.end, "run");
        if let Some(at) = run.diverged() {
            self.drain()?;
            return self.explain_divergence(&record, run, at).map(Some);
        }
        if record.end == RunEnd::Cut {
            return Ok(None);
        }
        self.watcher.ran(&record);
        self.oracle.learn_repeat(&record);
        match self.judge(&record)? {
            Seen::Fine => Ok(None),
            Seen::BrokenSerially => Ok(Some(End::BrokenSerially(self.oracle.broken_serially()))),
            Seen::Race(finding) => {
                tracing::debug!(index, why = ?finding.why, differs = ?finding.differs, "looks like a race");
                let cause = cause(&record, &finding);
                if !self.known.contains(&cause)
                    && let Some(finding) = self.confirm(&record, run, *finding)?
                {
                    // Only now: what was no race after all must not hide one that looks like it.
                    self.known.insert(cause);
                    let race = Race {
                        run: self.earlier + index + 1,
                        preemptions: run.preemptions(),
                        record,
                        finding,
                        written: self.labs.written(),
                        left_out: Vec::new(),
                        without_requests: BTreeMap::new(),
                        history: None,
                    };
                    self.watcher.found(&race);
                    self.races.insert(race.run, race);
                }
                Ok(None)
            }
        }
    }

    /// Judges a run, with as many serial orders as that takes.
    pub(crate) fn judge(&mut self, record: &Record) -> Result<Seen, Stop> {
        let mut asked = 0;
        loop {
            let orders = match self.oracle.judge(record) {
                Judgement::Clean => {
                    self.outcomes.insert(self.oracle.outcome(record));
                    return Ok(Seen::Fine);
                }
                Judgement::Race(finding) => {
                    self.outcomes.insert(self.oracle.outcome(record));
                    return Ok(Seen::Race(finding));
                }
                Judgement::BrokenSerially(_) => return Ok(Seen::BrokenSerially),
                Judgement::Inconclusive(why) => {
                    self.inconclusive.insert(why);
                    return Ok(Seen::Fine);
                }
                Judgement::NeedsSerial(orders) => orders,
            };
            if asked >= MOST_ORDERS || self.limit().is_some() {
                break;
            }
            // A few at a time: each may show that others need not be run.
            let most = self.labs.count().max(2);
            let few: Vec<_> = orders.into_iter().take(most).collect();
            let twice = asked < RUN_TWICE;
            asked += few.len();
            self.show(few, twice)?;
        }
        self.inconclusive.insert(format!(
            "inconclusive: an outcome was compared with {} serial orders and equals none of them; there are more",
            self.oracle.known().count()
        ));
        Ok(Seen::Fine)
    }

    /// Shows the oracle what serial orders come to. Runs under way go on with their labs; the serial orders need labs of
    /// their own for a moment.
    fn show(&mut self, orders: Vec<Vec<Actor>>, twice: bool) -> Result<(), Stop> {
        self.aside(|hunt| {
            if twice {
                hunt.serial.teach(&orders, hunt.labs, &mut hunt.oracle)
            } else {
                hunt.serial.show(orders, hunt.labs, &mut hunt.oracle)
            }
        })
    }

    /// Runs the schedule again: a race that cannot be repeated is none.
    pub(super) fn confirm(
        &mut self,
        record: &Record,
        run: &Run<Footprint>,
        finding: Finding,
    ) -> Result<Option<Finding>, Stop> {
        let schedule = run.schedule();
        let again = self.aside(|hunt| {
            let cursor = Cursor::replay(schedule);
            Ok(hunt.labs.run(cursor, Options::default())?.0)
        })?;
        if let Some(difference) = first_difference(record, &again) {
            return Err(Stop::Unrepeatable(difference));
        }
        self.oracle.learn(record, &again, &[]);
        self.learn_nearest(record)?;
        self.repeat(&finding.nearest)?;
        match self.judge(&again)? {
            Seen::Race(_) => {
                let mut finding = match self.judge(record)? {
                    Seen::Race(finding) => *finding,
                    _ => finding,
                };
                finding.orders = self.oracle.orders(record);
                Ok(Some(finding))
            }
            // What looked wrong was a value that moves from run to run: now it is known.
            _ => Ok(None),
        }
    }

    /// Runs the serial orders twice that are nearest to a race and were run only once: a value that moves from run to run
    /// in one of them is no difference.
    fn learn_nearest(&mut self, record: &Record) -> Result<(), Stop> {
        let nearest = self.oracle.nearest_orders(record).into_iter();
        let orders: Vec<_> = nearest
            .filter(|order| self.serial.is_known_from_one_run(order))
            .take(NEAREST)
            .collect();
        if orders.is_empty() {
            return Ok(());
        }
        self.show(orders, true)
    }

    /// Runs a known serial order once more: what has moved since its first run was not moved by a race. A second is
    /// over, say, and with it a value that is signed with the time has changed.
    fn repeat(&mut self, names: &[String]) -> Result<(), Stop> {
        let Some(order) = self.oracle.order_of(names) else {
            return Ok(());
        };
        let record = self.aside(|hunt| hunt.serial.once_more(&order, hunt.labs))?;
        self.oracle.learn_repeat(&record);
        Ok(())
    }

    /// Makes runs outside the search while others may be under way.
    fn aside<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        self.labs.set_aside()?;
        work(self)
    }

    fn explain_divergence(
        &mut self,
        record: &Record,
        run: &Run<Footprint>,
        at: usize,
    ) -> Result<End, Stop> {
        let schedule = run.schedule();
        for _ in 0..3 {
            let cursor = Cursor::replay(schedule.clone());
            let (again, _) = self.labs.run(cursor, Options::default())?;
            if let Some(difference) = first_difference(record, &again) {
                return Ok(End::Unrepeatable(difference));
            }
        }
        let step = record.steps.get(at);
        Ok(End::Unrepeatable(Difference::at(
            record,
            at,
            "an earlier run of the same schedule answered otherwise here".to_owned(),
            step.map_or_else(
                || "(the run was over)".to_owned(),
                |step| {
                    let shown: Vec<_> =
                        step.statements.iter().map(Statement::in_one_line).collect();
                    format!("{} → {}", shown.join("; "), step.tags.join(", "))
                },
            ),
        )))
    }
}

/// What makes two races the same for whoever mends them: kind and anomaly, checks, and the statements of the steps that matter.
type Cause = (String, Vec<String>, BTreeSet<u64>);

fn cause(record: &Record, finding: &Finding) -> Cause {
    let steps = finding.matters.iter();
    let statements = steps.filter_map(|step| record.steps.get(*step));
    (
        format!("{} {:?}", finding.kind, finding.anomaly),
        finding.checks.clone(),
        statements.map(|step| step.fingerprint).collect(),
    )
}
