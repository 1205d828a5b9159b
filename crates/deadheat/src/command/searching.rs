//! The search of one scenario from its file to what it came to: what `find` and `serve` do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deadheat_explore::{Actor, Ending};
use deadheat_lab::{Notes, Outside, Profile, Trouble};
use deadheat_report::{Phases, RaceEntry, Report, Stopped, Unrepeatable, Verdict};
use deadheat_scenario::{Scenario, Strategy};
use deadheat_verdict::Saved;

use super::file_name;
use super::ground::Ground;
use super::rules::rules;
use super::saving::{save, saved};
use super::screen::Screen;
use crate::args::{self, SearchFlags};
use crate::feed::Feed;
use crate::problem::Problem;
use crate::search::{Budget, End, Hunt, Searched};
use crate::signals::Interrupted;

/// The longest time of a search when neither scenario nor command line says otherwise.
const TIME: Duration = Duration::from_mins(1);

/// Whom a search concerns besides its labs.
pub struct Around<'a> {
    /// Set when it is to end.
    pub interrupted: &'a Interrupted,
    /// The page that shows it.
    pub feed: Option<&'a Feed>,
    /// Who plays the actors that are attached.
    pub players: Option<Arc<dyn Outside>>,
}

/// What a search came to.
pub struct Found {
    /// In numbers.
    pub report: Report,
    /// The races, with the files they are saved in.
    pub races: Vec<(Saved, String)>,
}

/// Searches a scenario.
pub fn search(
    flags: &SearchFlags,
    scenario: Arc<Scenario>,
    around: Around<'_>,
) -> Result<Found, Problem> {
    let Around {
        interrupted,
        feed,
        players,
    } = around;
    let budget = budget(flags, &scenario);
    let mut display = Screen::new(&scenario, &budget, feed, interrupted);
    display.doing("setting up");
    let ground = Ground::prepare(scenario, &flags.server)?.played_by(players);
    let asked = flags.labs.or(ground.scenario.explore.labs);
    let searched = match ground.labs(asked) {
        Ok(mut labs) => {
            let count = labs.count();
            display.labs(&labs);
            let rules = rules(&ground.scenario, std::mem::take(&mut labs.start.tables))?;
            display.doing("running the serial orders");
            let actors = ground.scenario.actors.len();
            let mut searched = Hunt::new(&mut labs, actors, rules.clone(), &budget, &mut display)
                .search()
                .map_err(|trouble| Problem::of(trouble, &ground.scenario.path))?;
            if !flags.no_shrink {
                display.doing("leaving out what the race happens without");
                searched
                    .shrink(&mut labs, &ground.scenario, &rules, &mut display)
                    .map_err(|trouble| Problem::of(trouble, &ground.scenario.path))?;
            }
            display.doing("looking at the tables of the race");
            searched
                .look(&mut labs, &ground.scenario)
                .map_err(|trouble| Problem::of(trouble, &ground.scenario.path))?;
            let (notes, profile) = labs.end();
            (searched, notes, profile, count)
        }
        // Actors that never repeat themselves when they run alone: that is a verdict too.
        Err(Trouble::Unrepeatable(difference)) => (
            Searched::unrepeatable(*difference),
            Notes::default(),
            Profile::default(),
            0,
        ),
        Err(trouble) => return Err(Problem::of(trouble, &ground.scenario.path)),
    };
    display.clear();
    let (searched, notes, profile, labs) = searched;
    let result = Conclusion {
        scenario: &ground.scenario,
        budget: &budget,
        searched,
        notes,
        labs,
    };
    let (mut report, saved) = result.report()?;
    report.profile = Some(phases(&profile, &report));
    if let Some(feed) = feed {
        for (number, (saved, file)) in saved.iter().enumerate() {
            let entry = &report.races[number];
            let place = (entry.found_at_run, entry.preemptions);
            feed.race(number, saved.clone(), file, place);
        }
        feed.concluded(&report);
    }
    Ok(Found {
        report,
        races: saved,
    })
}

fn phases(profile: &Profile, report: &Report) -> Phases {
    let runs = profile.runs.max(1) as f64;
    let millis = |time: Duration| time.as_secs_f64() * 1000.0 / runs;
    let busy = millis(profile.reset + profile.play + profile.outcome);
    let all = report.seconds * 1000.0 * f64::from(report.labs) / runs;
    Phases {
        runs: profile.runs,
        putting_back: millis(profile.reset),
        moving: millis(profile.play),
        reading: millis(profile.outcome),
        between: (all - busy).max(0.0),
    }
}

fn budget(flags: &SearchFlags, scenario: &Scenario) -> Budget {
    let explore = &scenario.explore;
    let random = match flags.strategy {
        Some(strategy) => strategy == args::Strategy::Random,
        None => explore.strategy == Strategy::Random,
    };
    Budget {
        random,
        preemptions: flags.preemptions.or(explore.preemptions),
        runs: flags.runs.or(explore.runs),
        time: Some(flags.time.or(explore.time).unwrap_or(TIME)),
        seed: flags.seed.unwrap_or(explore.seed),
        keep_going: flags.keep_going,
    }
}

/// What is needed to say what a search came to.
struct Conclusion<'a> {
    scenario: &'a Scenario,
    budget: &'a Budget,
    searched: Searched,
    notes: Notes,
    labs: usize,
}

impl Conclusion<'_> {
    /// The report, and the races as they were saved.
    fn report(self) -> Result<(Report, Vec<(Saved, String)>), Problem> {
        let mut entries = Vec::new();
        let mut files = Vec::new();
        for race in &self.searched.races {
            let saved = saved(race, self.scenario, self.budget.seed);
            let file = save(&saved, self.scenario)?.display().to_string();
            entries.push(RaceEntry::new(&saved, &file, race.run, race.preemptions));
            files.push((saved, file));
        }
        let searched = &self.searched;
        let runs = searched.progress.runs + searched.serial_runs;
        let seconds = searched.time.as_secs_f64();
        let mut notes: Vec<String> = self.notes.all().collect();
        notes.extend(searched.inconclusive.iter().cloned());
        if searched.shrinking.cut_short {
            notes.push(format!(
                "more could perhaps be left out of the race: after {} runs not everything was tried",
                searched.shrinking.runs
            ));
        }
        let stalled: Vec<&str> = self.notes.stalled().collect();
        if !stalled.is_empty() {
            notes.push(format!(
                "{} had to wait for something outside the database (a mutex, a connection of the pool)",
                stalled.join(", ")
            ));
        }
        let exhausted = matches!(searched.end, End::Over(Ending::Exhausted)) && !self.has_stalled();
        let report = Report {
            scenario: file_name(&self.scenario.path),
            verdict: self.verdict(exhausted),
            exhausted,
            runs,
            serial_runs: searched.serial_runs,
            shrink_runs: searched.shrinking.runs,
            traces: searched.progress.traces,
            outcomes: searched.outcomes as u64,
            blocked_runs: searched.progress.blocked_runs,
            preemption_bound: self.budget.preemptions,
            seconds,
            runs_per_second: if seconds > 0.0 {
                runs as f64 / seconds
            } else {
                0.0
            },
            labs: self.labs as u32,
            seed: self.budget.seed,
            races: entries,
            stopped: self.stopped(),
            unrepeatable: self.unrepeatable(),
            broken_serially: self.broken_serially(),
            background: self.notes.background().map(str::to_owned).collect(),
            notes,
            profile: None,
        };
        Ok((report, files))
    }

    fn verdict(&self, exhausted: bool) -> Verdict {
        match &self.searched.end {
            End::Unrepeatable(_) => Verdict::Unrepeatable,
            _ if !self.searched.races.is_empty() => Verdict::Race,
            End::BrokenSerially(_) => Verdict::Bug,
            _ if exhausted && self.searched.inconclusive.is_empty() => Verdict::Clean,
            _ => Verdict::NoRaceFound,
        }
    }

    fn has_stalled(&self) -> bool {
        self.notes.stalled().next().is_some()
    }

    fn stopped(&self) -> Option<Stopped> {
        let further = self.budget.keep_going || self.searched.races.is_empty();
        match &self.searched.end {
            _ if !further => None,
            End::Over(Ending::Bounded { preemptions }) => Some(Stopped::Preemptions(*preemptions)),
            End::Over(Ending::Stopped(_)) if self.budget.random => Some(Stopped::Random),
            End::Over(Ending::Stopped(why)) => Some(match self.budget.runs {
                Some(runs) if self.searched.progress.runs >= runs => Stopped::Runs(runs),
                _ => Stopped::Other(why.clone()),
            }),
            End::Over(Ending::Redundant { blocked_runs }) => {
                Some(Stopped::Redundant(*blocked_runs))
            }
            End::Stopped(Stopped::Time(_)) if self.searched.progress.gave_up => {
                Some(Stopped::Redundant(self.searched.progress.blocked_runs))
            }
            End::Stopped(reason) => Some(reason.clone()),
            End::Over(Ending::Exhausted) if self.has_stalled() => Some(Stopped::Other(
                "every order of the statements was tried, but actors had to wait for something outside \
                 the database (a mutex, a connection of the pool), and who gets it first is not explored"
                    .into(),
            )),
            End::Over(Ending::Exhausted) if !self.searched.inconclusive.is_empty() => Some(
                Stopped::Other("all traces were explored, but not every outcome could be judged".into()),
            ),
            _ => None,
        }
    }

    fn unrepeatable(&self) -> Option<Unrepeatable> {
        let End::Unrepeatable(difference) = &self.searched.end else {
            return None;
        };
        Some(Unrepeatable {
            schedule: difference.schedule.clone(),
            step: difference.step,
            actor: difference.actor.clone(),
            first: difference.one.clone(),
            second: difference.other.clone(),
        })
    }

    fn broken_serially(&self) -> BTreeMap<String, Vec<String>> {
        match &self.searched.end {
            End::BrokenSerially(broken) => {
                let name = |actor: &Actor| self.scenario.actors[usize::from(actor.0)].name.clone();
                let named = |(invariant, order): (&String, &Vec<Actor>)| {
                    (invariant.clone(), order.iter().map(name).collect())
                };
                broken.iter().map(named).collect()
            }
            _ => BTreeMap::new(),
        }
    }
}
