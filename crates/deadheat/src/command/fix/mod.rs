//! `deadheat fix`: try, without touching the code, what would have prevented a saved race.
//!
//! `plan` says which cures there are for a race and what each would change; here each is put to work in labs of its own
//! and proven by the same search that found the race.

mod change;
mod duplicates;
mod plan;
mod wrap;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use deadheat_explore::{Actor, Cursor, Ending, Progress};
use deadheat_lab::record::Record;
use deadheat_lab::{Options, Trouble};
use deadheat_report::{Advice, Cures, NotTried, Tried};
use deadheat_scenario::Allow;
use deadheat_verdict::errors::{Reached, reached};
use deadheat_verdict::{Finding, Saved, compare_steps};

use self::plan::{Patient, Plan, Remedy};
use super::ground::Ground;
use super::narrow::{narrow, schedule};
use super::replay::{load, scenario_of, stopped};
use super::rules::rules;
use super::{print, style};
use crate::args::Fix;
use crate::problem::Problem;
use crate::progress::Display;
use crate::search::{Budget, End, Hunt, Labs, Searched, Watcher};
use crate::signals::Interrupted;

/// Runs the command; returns the exit code.
pub fn run(fix: &Fix, interrupted: &Interrupted) -> Result<u8, Problem> {
    let saved = load(&fix.race)?;
    let whole = scenario_of(&fix.race, &saved)?;
    let scenario = narrow(&whole, &saved)?;
    let mut display = Display::new(&scenario.title, interrupted);
    display.doing("looking at the race");
    let ground = Ground::prepare(scenario, &fix.server)?;
    let seen = match see(&saved, &ground, &mut display)? {
        Seen::There(seen) => *seen,
        Seen::Otherwise(text, code) => {
            display.clear();
            print(&text)?;
            return Ok(code);
        }
    };
    let patient = Patient {
        scenario: &ground.scenario,
        record: &seen.record,
        finding: &seen.finding,
        serial: &seen.serial,
        start: &seen.start,
    };
    let Plan {
        remedies,
        mut not_tried,
    } = plan::plan(&patient);
    let mut trial = Trial {
        fix,
        ground: &ground,
        seen: &seen,
        interrupted,
        display,
    };
    let mut tried: Vec<(Tried, Remedy)> = Vec::new();
    let as_it_is = Remedy::nothing(&ground.scenario);
    for remedy in std::iter::once(as_it_is).chain(remedies) {
        if interrupted.load(Ordering::SeqCst) {
            let why = "interrupted before its turn".to_owned();
            not_tried.push(NotTried {
                cure: remedy.name,
                why,
            });
            continue;
        }
        match trial.of(&remedy) {
            Ok(result) => tried.push((result, remedy)),
            Err(why) => not_tried.push(NotTried {
                cure: remedy.name,
                why,
            }),
        }
    }
    trial.display.clear();
    let cures = Cures {
        race: fix.race.display().to_string(),
        kind: saved.kind,
        best: best(&tried),
        tried: tried.into_iter().map(|(result, _)| result).collect(),
        not_tried,
    };
    let text = if fix.json {
        cures
            .to_json()
            .map_err(|error| Problem::other(format!("JSON: {error}"), None))?
    } else {
        deadheat_report::cures(&cures, style())
    };
    print(&text)?;
    Ok(cures.exit_code())
}

/// The cure that asks least of the code: one that was proven rather than one that only held as far as was searched,
/// one without retries rather than one with.
fn best(tried: &[(Tried, Remedy)]) -> Option<Advice> {
    // Where the search had no time to find the race as it is, it says nothing that it found none with a cure.
    let found = tried
        .iter()
        .any(|(result, remedy)| remedy.is_nothing() && result.races > 0);
    let held = |(result, remedy): &&(Tried, Remedy)| {
        let as_far = found && !result.exhausted;
        result.races == 0 && !remedy.is_nothing() && (result.proven || as_far)
    };
    let (result, remedy) = tried
        .iter()
        .filter(held)
        .filter(|(result, remedy)| remedy.expects(&result.errors))
        .min_by_key(|(result, remedy)| (!result.proven, remedy.retries()))?;
    Some(Advice {
        cure: result.cure.clone(),
        proven: result.proven,
        changes: remedy.changes.clone(),
        note: remedy.note.clone(),
    })
}

/// The race as it happens now.
struct Sick {
    record: Record,
    finding: Finding,
    /// Serial orders: the scenario's, and its reverse.
    serial: Vec<Record>,
    start: std::collections::BTreeMap<String, deadheat_lab::record::Table>,
}

enum Seen {
    There(Box<Sick>),
    /// It does not happen, or not like this: what to say, and the exit code.
    Otherwise(String, u8),
}

/// Runs the saved schedule again, to see what is to be cured.
fn see(saved: &Saved, ground: &Ground, display: &mut Display) -> Result<Seen, Problem> {
    let trouble = |trouble| Problem::of(trouble, &ground.scenario.path);
    let mut labs = ground.labs(Some(1)).map_err(trouble)?;
    let start = std::mem::take(&mut labs.start.tables);
    let rules = rules(&ground.scenario, start.clone())?;
    let budget = Budget::none();
    let actors = ground.scenario.actors.len();
    let mut hunt = Hunt::new(&mut labs, actors, rules, &budget, display);
    let looked = hunt.check().and_then(|mut check| {
        check.take_written(&saved.written);
        let record = check.run(Cursor::replay(schedule(saved)))?;
        let finding = check.finding(&record)?;
        Ok((record, finding))
    });
    let (record, finding) = looked.map_err(|stop| stopped(stop, ground))?;
    let serial = serial_records(&mut labs, actors).map_err(trouble)?;
    labs.end();
    let changed = compare_steps(saved, &record);
    Ok(match (finding, changed) {
        (_, Some(changed)) if changed.answered.is_none() => {
            Seen::Otherwise(deadheat_report::replayed(saved, &changed, style()), 3)
        }
        (Some(finding), _)
            if !saved
                .checks
                .iter()
                .any(|check| finding.checks.contains(check)) =>
        {
            let text = format!(
                "what was saved no longer goes wrong, but this does: {} ({}); `deadheat find` says more\n",
                finding.checks.join(", "),
                finding.kind
            );
            Seen::Otherwise(text, 3)
        }
        (Some(finding), _) => Seen::There(Box::new(Sick {
            record,
            finding,
            serial,
            start,
        })),
        (None, _) => Seen::Otherwise(
            deadheat_report::still_there(false, saved.kind, style()) + "there is nothing to cure\n",
            0,
        ),
    })
}

/// The actors one after the other, and the other way round.
fn serial_records(labs: &mut Labs, actors: usize) -> Result<Vec<Record>, Trouble> {
    let order: Vec<Actor> = (0..actors as u16).map(Actor).collect();
    let reverse: Vec<Actor> = order.iter().rev().copied().collect();
    let options = || Options {
        serial: true,
        ..Options::default()
    };
    let runs = [order, reverse].map(|order| (Cursor::order(order), options()));
    let records = labs.run_all(runs.into())?;
    Ok(records.into_iter().map(|(record, _)| record).collect())
}

/// Tries one cure after the other.
struct Trial<'a> {
    fix: &'a Fix,
    ground: &'a Ground,
    seen: &'a Sick,
    interrupted: &'a Interrupted,
    display: Display,
}

impl Trial<'_> {
    /// Searches the scenario with the cure at work; the error says why that could not be done.
    fn of(&mut self, remedy: &Remedy) -> Result<Tried, String> {
        self.display.doing(&remedy.name);
        let cured = self
            .ground
            .blueprint
            .cured(Arc::clone(&remedy.scenario), remedy.cure.clone());
        let count = self
            .ground
            .count(self.fix.labs.or(self.ground.scenario.explore.labs));
        let mut labs = Labs::build(&Arc::new(cured), count).map_err(|trouble| why_not(&trouble))?;
        let rules = rules(
            &self.allowing(remedy),
            std::mem::take(&mut labs.start.tables),
        )
        .map_err(|problem| problem.to_string())?;
        let budget = self.budget();
        let actors = self.ground.scenario.actors.len();
        let mut tally = Tally {
            display: &mut self.display,
            interrupted: self.interrupted,
            errors: BTreeSet::new(),
        };
        let searched = Hunt::new(&mut labs, actors, rules, &budget, &mut tally)
            .search()
            .map_err(|trouble| why_not(&trouble))?;
        let errors = tally.errors;
        let serial = serial_records(&mut labs, actors).map_err(|trouble| why_not(&trouble))?;
        let (notes, _) = labs.end();
        self.refuse_what_breaks_it(&serial)?;
        if let Some(sql) = notes.not_locked_first() {
            return Err(format!(
                "the lock cannot be put before `{sql}` at the gate: it comes in one batch with its BEGIN, copies data, or names no row"
            ));
        }
        if let Some(why) = notes.not_enclosed_first() {
            return Err(format!(
                "at the gate its statements cannot be put in one transaction: {why}"
            ));
        }
        let known: BTreeSet<String> = self.seen.serial.iter().flat_map(told).collect();
        let errors: Vec<String> = errors.difference(&known).cloned().collect();
        let ended = ended(&searched)?;
        let stalled = notes.stalled().next().is_some();
        let exhausted = ended && !stalled && searched.inconclusive.is_empty();
        let proven = exhausted && searched.races.is_empty() && remedy.expects(&errors);
        Ok(Tried {
            cure: remedy.name.clone(),
            races: searched.races.len(),
            runs: searched.progress.runs + searched.serial_runs,
            exhausted,
            errors,
            round_trips: remedy.round_trips,
            retries: notes.retries(),
            proven: proven && !remedy.is_nothing(),
        })
    }

    /// A cure is none that breaks what works without it: a statement that is refused even when nobody else runs.
    fn refuse_what_breaks_it(&self, serial: &[Record]) -> Result<(), String> {
        let refused = |record: &Record| -> BTreeSet<(String, String)> {
            let errors = record.steps.iter().filter_map(|step| step.error.as_ref());
            errors
                .map(|error| (error.code.clone(), error.message.clone()))
                .collect()
        };
        let before: BTreeSet<_> = self.seen.serial.iter().flat_map(refused).collect();
        match serial
            .iter()
            .flat_map(refused)
            .find(|error| !before.contains(error))
        {
            Some((code, message)) => Err(format!(
                "even one after the other the actors are then refused: {code} {message}"
            )),
            None => Ok(()),
        }
    }

    /// The scenario's rules, with those errors allowed that the cure may bring: they are counted, not judged. What the
    /// race itself consists of stays forbidden.
    fn allowing(&self, remedy: &Remedy) -> deadheat_scenario::Scenario {
        let mut scenario = (*remedy.scenario).clone();
        let errors_alone = self.seen.finding.checks == ["errors"];
        let own: BTreeSet<String> = if errors_alone {
            self.seen
                .record
                .steps
                .iter()
                .filter_map(|step| Some(step.error.as_ref()?.code.clone()))
                .collect()
        } else {
            BTreeSet::new()
        };
        if remedy.is_nothing() {
            return scenario;
        }
        let codes = ["40001", "40P01"]
            .into_iter()
            .chain(remedy.expected.iter().copied());
        for code in codes.filter(|code| !own.contains(*code)) {
            scenario.check.allow.push(Allow::Sqlstate(code.to_owned()));
        }
        scenario
    }

    fn budget(&self) -> Budget {
        Budget {
            runs: self.fix.runs,
            time: Some(self.fix.time),
            // With more actors one race more or less says little, and finding all takes long.
            keep_going: self.ground.scenario.actors.len() <= 2,
            seed: self.ground.scenario.explore.seed,
            ..Budget::none()
        }
    }
}

/// Whether every trace was explored.
fn ended(searched: &Searched) -> Result<bool, String> {
    match &searched.end {
        End::Over(Ending::Exhausted) => Ok(true),
        End::Over(_) | End::Found | End::Stopped(_) => Ok(false),
        End::Unrepeatable(difference) => Err(format!(
            "with it the same schedule gives different runs: {} | {}",
            difference.one, difference.other
        )),
        End::BrokenSerially(broken) => {
            let names: Vec<String> = broken.keys().cloned().collect();
            Err(format!(
                "with it the actors break this even one after the other: {}",
                names.join(", ")
            ))
        }
    }
}

fn why_not(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Setup(error) => format!("the server refuses it: {}", error.message),
        Trouble::Unrepeatable(difference) => format!(
            "with it the same schedule gives different runs: {} | {}",
            difference.one, difference.other
        ),
        trouble => trouble.to_string(),
    }
}

/// The errors that users were told in a run.
fn told(record: &Record) -> Vec<String> {
    let say = |error: Reached| match error.cause {
        Some((_, cause)) if cause != error.code => format!("{} ({cause})", error.code),
        _ => error.code,
    };
    reached(record).into_iter().map(say).collect()
}

/// Hears what users are told in every run of a search.
struct Tally<'a> {
    display: &'a mut Display,
    interrupted: &'a Interrupted,
    errors: BTreeSet<String>,
}

impl Watcher for Tally<'_> {
    fn progress(&mut self, progress: &Progress, serial_runs: u64, races: usize) {
        self.display.progress(progress, serial_runs, races);
    }

    fn stopped(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    fn ran(&mut self, record: &Record) {
        self.errors.extend(told(record));
    }
}
