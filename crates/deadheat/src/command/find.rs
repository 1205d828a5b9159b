//! `deadheat find`: search scenarios, save what is found, say what it comes to.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{Write, stderr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::{Args, Command, FromArgMatches};
use deadheat_explore::{Actor, Ending};
use deadheat_lab::{Notes, Profile, Trouble};
use deadheat_report::{RaceEntry, Report, Stopped, Style, Unrepeatable, Verdict};
use deadheat_scenario::{Scenario, Strategy};
use deadheat_verdict::Saved;

use super::ground::Ground;
use super::rules::rules;
use super::saving::{save, saved};
use super::screen::Screen;
use super::{file_name, print, style};
use crate::args::{self, Find};
use crate::browser;
use crate::feed::Feed;
use crate::problem::Problem;
use crate::search::{Budget, End, Hunt, Searched};
use crate::signals::Interrupted;

/// The longest time of a search when neither scenario nor command line says otherwise.
const TIME: Duration = Duration::from_mins(1);

/// Runs the command; returns the exit code: the worst of the scenarios'.
pub fn run(find: &Find, interrupted: &Interrupted) -> Result<u8, Problem> {
    let scenarios = find
        .scenarios
        .iter()
        .map(|path| Ground::read(path))
        .collect::<Result<Vec<_>, _>>()?;
    let page = Arc::new(Feed::default());
    let served = find.ui.then(|| browser::serve(Arc::clone(&page) as Arc<_>));
    let served = served.transpose()?;
    let feed = served.is_some().then_some(&*page);
    let mut reports = Vec::new();
    let mut annotations = Vec::new();
    let mut races = Vec::new();
    let mut step_summary = String::new();
    let mut searched = Vec::new();
    let mut worst = 0;
    for scenario in &scenarios {
        if interrupted.load(Ordering::SeqCst) && !reports.is_empty() {
            let _ = writeln!(stderr(), "not searched: {}", scenario.path.display());
            continue;
        }
        match one(find, Arc::clone(scenario), feed, interrupted) {
            Ok(found) => {
                print(&found.text)?;
                let file = scenario.path.display().to_string();
                let told = deadheat_report::step_summary(&found.report, &file, &found.races);
                step_summary.push_str(&told);
                searched.push(scenario.path.as_path());
                annotations.extend(deadheat_report::annotation(&found.report, &file));
                worst = worst.max(found.report.verdict.exit_code());
                reports.push(found.report);
                races.extend(found.races);
            }
            // The other scenarios may be fine.
            Err(problem) => {
                let words = problem.in_words();
                if let Some(feed) = feed {
                    feed.failed(&words);
                }
                let _ = writeln!(stderr(), "{words}");
                worst = worst.max(2);
            }
        }
    }
    if let Some(file) = &find.junit {
        let names = case_names(&searched);
        let cases: Vec<_> = names.into_iter().zip(&reports).collect();
        let text = deadheat_report::junit(&cases)
            .map_err(|error| Problem::other(format!("JUnit XML: {error}"), None))?;
        std::fs::write(file, text).map_err(|error| Problem::file(file, "write", &error))?;
    }
    if let Some(file) = &find.report {
        write_page(file, &races, &reports)?;
    }
    if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        if !find.json {
            print(&annotations.concat())?;
        }
        add_to_step_summary(&step_summary)?;
    }
    if let Some(served) = &served {
        browser::stay(served, interrupted);
    }
    Ok(worst)
}

/// Searches a scenario as `deadheat find SCENARIO` does.
pub fn with_defaults(scenario: &Path, interrupted: &Interrupted) -> Result<u8, Problem> {
    let words = [OsStr::new("find"), OsStr::new("--"), scenario.as_os_str()];
    let find = Find::augment_args(Command::new("find"))
        .try_get_matches_from(words)
        .and_then(|words| Find::from_arg_matches(&words))
        .map_err(|error| Problem::other(error.to_string(), None))?;
    run(&find, interrupted)
}

/// Names for the scenarios' test cases: their files' names, and their paths where two have the same.
fn case_names(scenarios: &[&Path]) -> Vec<String> {
    let names: Vec<String> = scenarios.iter().map(|path| file_name(path)).collect();
    let named = scenarios.iter().zip(&names).map(|(path, name)| {
        let same = names.iter().filter(|other| *other == name).count();
        if same > 1 {
            path.display().to_string()
        } else {
            name.clone()
        }
    });
    named.collect()
}

/// Adds what was found to the summary that GitHub Actions shows of the step, if there is one.
fn add_to_step_summary(text: &str) -> Result<(), Problem> {
    let Some(file) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|file| !file.is_empty()) else {
        return Ok(());
    };
    let file = Path::new(&file);
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Problem::file(file, "write", &error))
}

/// Writes what was found as a page.
fn write_page(file: &Path, races: &[(Saved, String)], reports: &[Report]) -> Result<(), Problem> {
    let plain = Style {
        width: 100,
        colour: false,
    };
    let said: Vec<String> = reports
        .iter()
        .map(|report| deadheat_report::summary(report, plain))
        .collect();
    let races: Vec<(&Saved, &str)> = races
        .iter()
        .map(|(saved, file)| (saved, file.as_str()))
        .collect();
    let page = deadheat_report::page(&races, &said.concat())
        .map_err(|error| Problem::other(format!("the page: {error}"), None))?;
    std::fs::write(file, page).map_err(|error| Problem::file(file, "write", &error))
}

struct Found {
    report: Report,
    races: Vec<(Saved, String)>,
    text: String,
}

fn one(
    find: &Find,
    scenario: Arc<Scenario>,
    feed: Option<&Feed>,
    interrupted: &Interrupted,
) -> Result<Found, Problem> {
    let budget = budget(find, &scenario);
    let mut display = Screen::new(&scenario, &budget, feed, interrupted);
    display.doing("setting up");
    let ground = Ground::prepare(scenario, &find.server)?;
    let asked = find.labs.or(ground.scenario.explore.labs);
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
            if !find.no_shrink {
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
    let (report, saved) = result.report()?;
    if let Some(feed) = feed {
        for (number, (saved, file)) in saved.iter().enumerate() {
            let entry = &report.races[number];
            let place = (entry.found_at_run, entry.preemptions);
            feed.race(number, saved, file, place);
        }
        feed.concluded(&report);
    }
    let mut text = if find.json {
        report
            .to_json()
            .map_err(|error| Problem::other(format!("JSON: {error}"), None))?
    } else {
        in_words(&report, &saved)
    };
    if find.profile {
        text.push_str(&where_the_time_went(&profile));
    }
    Ok(Found {
        report,
        races: saved,
        text,
    })
}

fn budget(find: &Find, scenario: &Scenario) -> Budget {
    let explore = &scenario.explore;
    let random = match find.strategy {
        Some(strategy) => strategy == args::Strategy::Random,
        None => explore.strategy == Strategy::Random,
    };
    Budget {
        random,
        preemptions: find.preemptions.or(explore.preemptions),
        runs: find.runs.or(explore.runs),
        time: Some(find.time.or(explore.time).unwrap_or(TIME)),
        seed: find.seed.unwrap_or(explore.seed),
        keep_going: find.keep_going,
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
        if !self.searched.races.is_empty() {
            return None;
        }
        match &self.searched.end {
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

fn in_words(report: &Report, races: &[(Saved, String)]) -> String {
    let mut text = String::new();
    for (saved, file) in races {
        text.push_str(&deadheat_report::race(saved, Some(file), style()));
        text.push('\n');
    }
    text.push_str(&deadheat_report::summary(report, style()));
    text
}

fn where_the_time_went(profile: &Profile) -> String {
    let runs = profile.runs.max(1) as f64;
    let line = |what: &str, time: Duration| {
        format!(
            "  {what:<22}{:>9.3} ms a run\n",
            time.as_secs_f64() * 1000.0 / runs
        )
    };
    [
        format!("where the time went, over {} runs:\n", profile.runs),
        line("putting back", profile.reset),
        line("moving the actors", profile.play),
        line("reading the outcome", profile.outcome),
    ]
    .concat()
}
