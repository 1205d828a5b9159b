//! The search: runs are made, judged, and the first that is wrong is run again, made simpler, and told.

use std::collections::BTreeSet;
use std::fmt;

use deadheat_explore::{
    Actor, Config, Cursor, Ending, Exhaustive, Explorer, Next, Random, RandomConfig, fewer_switches,
};

use crate::failure::{Failure, Fault};
use crate::lab::Lab;
use crate::options::Options;
use crate::record::{Outcome, Played};
use crate::runner::{Early, Ran, Runner};
use crate::schedule;
use crate::serial::{Serial, Verdict};
use crate::stage::How;
use crate::touch::Touch;

/// Simpler schedules tried at most once a fault is found.
const SIMPLER: usize = 200;

/// What a search that found nothing came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Runs made, without those of serial orders.
    pub runs: u64,
    /// Different schedules among them, as far as the explorer tells them apart.
    pub traces: u64,
    /// Runs that were broken off because the rest was known.
    pub blocked_runs: u64,
    /// Serial orders tried.
    pub orders: usize,
    /// Different outcomes; none are looked at if they need not be serial.
    pub outcomes: usize,
    /// Whether there is an outcome that was not compared with all serial orders, because there are too many.
    pub undecided: bool,
    /// Whether a thread has waited where the lab does not see it: who goes on there is not the explorer's choice.
    pub stalled: bool,
    /// How it ended.
    pub ending: Ending,
}

impl Report {
    /// Whether all schedules were explored and judged.
    pub fn is_exhausted(&self) -> bool {
        self.ending == Ending::Exhausted && !self.undecided && !self.stalled
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (traces, runs) = (self.traces, self.runs);
        match &self.ending {
            Ending::Exhausted if self.stalled => {
                write!(f, "no race found in {runs} runs")?;
            }
            Ending::Exhausted => write!(f, "all {traces} schedules explored")?,
            Ending::Bounded { preemptions } => write!(
                f,
                "no race found in all {traces} schedules of at most {preemptions} preemptions"
            )?,
            Ending::Redundant { blocked_runs } => write!(
                f,
                "no race found in {runs} runs: {blocked_runs} of them led only to what was known"
            )?,
            Ending::Stopped(why) => write!(f, "no race found in {runs} runs: {why}")?,
        }
        if self.stalled {
            write!(f, "; a thread waited where the lab does not see it")?;
        }
        if self.undecided {
            write!(f, "; not all outcomes were compared with all serial orders")?;
        }
        Ok(())
    }
}

/// One test under search.
struct Search<'t, F> {
    options: &'t Options,
    test: &'t F,
    ran: Ran,
    runner: Runner,
    serial: Serial,
    outcomes: BTreeSet<Outcome>,
    undecided: bool,
    stalled: bool,
}

/// Searches the test.
///
/// # Errors
/// What is wrong, with the schedule that shows it.
pub(crate) fn search<F, Fut>(
    options: &Options,
    ran: Ran,
    test: &F,
    replay: Option<&str>,
) -> Result<Report, Failure>
where
    F: Fn(Lab) -> Fut,
    Fut: Future<Output = ()>,
{
    let mut search = Search {
        options,
        test,
        ran,
        runner: Runner::new(options.faults),
        serial: Serial::default(),
        outcomes: BTreeSet::new(),
        undecided: false,
        stalled: false,
    };
    let replayed = replay.map(|text| schedule::read(text, &options.name));
    match replayed.transpose().map_err(Failure::plain)?.flatten() {
        Some(schedule) => search.replay(&schedule),
        None => search.explore(),
    }
}

impl<F, Fut> Search<'_, F>
where
    F: Fn(Lab) -> Fut,
    Fut: Future<Output = ()>,
{
    fn explore(&mut self) -> Result<Report, Failure> {
        self.repeats()?;
        let mut explorer = self.explorer();
        let how = How {
            noted: false,
            shown: self.options.serial,
        };
        let ending = loop {
            let cursor = match explorer.next() {
                Next::Run(cursor) => cursor,
                Next::Done(ending) => break ending,
                Next::Wait => break Ending::Stopped("the explorer waits for nothing".to_owned()),
            };
            let played = self.make(cursor, how)?;
            if let Some(at) = played.explored.diverged() {
                return Err(Failure::unrepeatable(&format!(
                    "step {} was not as before",
                    at + 1
                )));
            }
            self.stalled |= played.stalled;
            if let Some(fault) = self.judge(&played)? {
                let run = played.explored.index() + 1;
                return Err(self.tell(&fault, &played, run)?);
            }
            explorer.report(played.explored);
        };
        let progress = explorer.progress();
        let report = Report {
            runs: progress.runs,
            traces: progress.traces,
            blocked_runs: progress.blocked_runs,
            orders: self.serial.orders(),
            outcomes: self.outcomes.len(),
            undecided: self.undecided,
            stalled: self.stalled,
            ending,
        };
        if self.options.exhaust && !report.is_exhausted() {
            return Err(Failure::plain(format!(
                "not every schedule was explored, as `exhaust` asks: {report}"
            )));
        }
        Ok(report)
    }

    fn explorer(&self) -> Box<dyn Explorer<Touch>> {
        let runs = Some(self.options.runs);
        if self.options.random {
            return Box::new(Random::new(RandomConfig {
                seed: self.options.seed,
                runs,
                sampler: None,
            }));
        }
        Box::new(Exhaustive::new(Config {
            preemptions: self.options.preemptions,
            runs,
            ..Config::default()
        }))
    }

    fn make(&self, cursor: Cursor<Touch>, how: How) -> Result<Played, Failure> {
        let made = self.runner.make(self.test, self.ran, cursor, how);
        made.map_err(|early: Early| Failure::early(&early))
    }

    /// Makes one run twice: what differs would differ in every comparison that follows.
    fn repeats(&self) -> Result<(), Failure> {
        let run = || self.make(Cursor::replay(Vec::new()), How::SHOWN);
        let (mut one, mut other) = (run()?, run()?);
        self.runner.learn(&mut one, &mut other);
        if one.wrong.is_some() || other.wrong.is_some() {
            // The search comes to it, and tells it.
            return Ok(());
        }
        if one.explored.schedule() != other.explored.schedule() {
            let name = &self.options.name;
            let once = schedule::write(name, &one.explored.schedule());
            let then = schedule::write(name, &other.explored.schedule());
            return Err(Failure::unrepeatable(&format!("{once}; then {then}")));
        }
        if self.options.serial && one.outcome != other.outcome {
            let fault = Fault::not_serial(&one, 1, Some((&other.outcome, &other.finished)));
            let Fault::NotSerial { differences, .. } = fault else {
                return Ok(());
            };
            return Err(Failure::unrepeatable(&differences.join("; ")));
        }
        Ok(())
    }

    /// What is wrong with a run, if anything is.
    fn judge(&mut self, played: &Played) -> Result<Option<Fault>, Failure> {
        if let Some(wrong) = &played.wrong {
            return Ok(Some(Fault::Wrong(wrong.clone())));
        }
        if played.explored.end() != deadheat_explore::End::Finished {
            return Ok(None);
        }
        if !self.options.serial {
            return Ok(None);
        }
        if !self.outcomes.contains(&played.outcome) {
            self.outcomes.insert(played.outcome.clone());
        }
        let (runner, test, ran) = (&self.runner, self.test, self.ran);
        let verdict = self.serial.judge(played, |guide| {
            let made = runner.make(test, ran, guide, How::SHOWN);
            made.map_err(|early| Failure::early(&early))
        })?;
        match verdict {
            Verdict::Serial => Ok(None),
            Verdict::Undecided => {
                self.undecided = true;
                Ok(None)
            }
            Verdict::Race => {
                let nearest = self.serial.nearest(played);
                let fault = Fault::not_serial(played, self.serial.orders(), nearest);
                Ok(Some(fault))
            }
        }
    }

    /// Runs a schedule again, with all steps noted, and judges it.
    fn again(&mut self, schedule: &[Actor]) -> Result<(Played, Option<Fault>), Failure> {
        let played = self.make(Cursor::replay(schedule.to_vec()), How::NOTED)?;
        let fault = self.judge(&played)?;
        Ok((played, fault))
    }

    /// Confirms a fault, makes its schedule simpler, and puts it into words.
    fn tell(&mut self, fault: &Fault, found: &Played, run: u64) -> Result<Failure, Failure> {
        let schedule = found.explored.schedule();
        let preemptions = found.explored.preemptions();
        let (mut best, again) = self.again(&schedule)?;
        let mut fault = match again {
            Some(again) if again.is_like(fault) => again,
            Some(again) => {
                return Err(Failure::unrepeatable(&format!("{fault}; then: {again}")));
            }
            None => return Err(Failure::unrepeatable(&format!("{fault}; then not"))),
        };
        let mut simpler = fewer_switches(schedule);
        for _ in 0..SIMPLER {
            let Some(candidate) = simpler.candidate() else {
                break;
            };
            let (played, other) = self.again(&candidate)?;
            let Some(other) = other.filter(|other| other.is_like(&fault)) else {
                continue;
            };
            let schedule = played.explored.schedule();
            simpler.persisted(schedule.clone());
            if simpler.best() == schedule {
                (best, fault) = (played, other);
            }
        }
        let plural = if preemptions == 1 { "" } else { "s" };
        let how = format!("found in run {run}, with {preemptions} preemption{plural}");
        Ok(Failure::found(&self.options.name, &fault, &best, &how))
    }

    fn replay(&mut self, schedule: &[Actor]) -> Result<Report, Failure> {
        let length = schedule.len();
        if self.options.serial {
            let played = self.make(Cursor::replay(Vec::new()), How::SHOWN)?;
            if !played.tables.is_empty() {
                // What differs from run to run is no difference to a serial order.
                self.repeats()?;
            }
        }
        let (played, fault) = self.again(schedule)?;
        if let Some(fault) = fault {
            let name = &self.options.name;
            return Err(Failure::found(name, &fault, &played, "replayed"));
        }
        if let Some(at) = played.explored.diverged() {
            return Err(Failure::plain(format!(
                "the schedule of {length} steps no longer fits the code: at step {} its actor could not move",
                at + 1
            )));
        }
        Ok(Report {
            runs: 1,
            traces: 1,
            blocked_runs: 0,
            orders: self.serial.orders(),
            outcomes: self.outcomes.len(),
            undecided: self.undecided,
            stalled: self.stalled,
            ending: Ending::Stopped("one schedule was replayed, and nothing is wrong".to_owned()),
        })
    }
}
