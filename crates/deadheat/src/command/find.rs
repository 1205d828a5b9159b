//! `deadheat find`: search scenarios, save what is found, say what it comes to.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{Write, stderr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::{Args, Command, FromArgMatches};
use deadheat_report::{Phases, Report, Style};
use deadheat_verdict::Saved;

use super::ground::Ground;
use super::searching::{Around, Found, search};
use super::{file_name, print, style};
use crate::args::Find;
use crate::browser;
use crate::feed::Feed;
use crate::problem::Problem;
use crate::signals::Interrupted;

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
        let around = Around {
            interrupted,
            feed,
            players: None,
        };
        match search(&find.search, Arc::clone(scenario), around) {
            Ok(found) => {
                print(&said(find, &found)?)?;
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

/// What is printed of a search.
fn said(find: &Find, found: &Found) -> Result<String, Problem> {
    let report = &found.report;
    if find.json {
        let json = report.to_json();
        return json.map_err(|error| Problem::other(format!("JSON: {error}"), None));
    }
    let mut text = in_words(report, &found.races, style());
    if let Some(phases) = report.profile.filter(|_| find.profile) {
        text.push_str(&where_the_time_went(phases));
    }
    Ok(text)
}

/// Races and verdict as people read them.
pub(super) fn in_words(report: &Report, races: &[(Saved, String)], style: Style) -> String {
    let mut text = String::new();
    for (saved, file) in races {
        text.push_str(&deadheat_report::race(saved, Some(file), style));
        text.push('\n');
    }
    text.push_str(&deadheat_report::summary(report, style));
    text
}

fn where_the_time_went(phases: Phases) -> String {
    let mut text = format!("where the time went, over {} runs:\n", phases.runs);
    for (part, millis) in phases.parts() {
        let _ = writeln!(text, "  {part:<22}{millis:>9.3} ms a run");
    }
    text
}
