//! `deadheat replay`: run a saved race again, and say whether it still happens.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deadheat_explore::Cursor;
use deadheat_lab::record::Record;
use deadheat_report::Ended;
use deadheat_scenario::Scenario;
use deadheat_verdict::{Finding, FirstDifference, Saved, compare_steps};
use serde_json::{Value, json};

use super::ground::Ground;
use super::narrow::{narrow, schedule};
use super::rules::rules;
use super::saving::FOLDER;
use super::{print, style};
use crate::args::Replay;
use crate::problem::Problem;
use crate::progress::Display;
use crate::search::{Budget, Hunt, Stop};
use crate::signals::Interrupted;

/// What the replays came to.
#[derive(Default)]
struct Replayed {
    /// How often the race happened.
    happened: u32,
    /// What went wrong instead, where none of the saved checks is broken.
    instead: Option<Finding>,
    /// The last run in which nothing went wrong.
    gone: Option<Record>,
    /// Where the database first answered otherwise than in the file, in that run.
    answered: Option<FirstDifference>,
    /// The first step that was another one than in the file.
    changed: Option<FirstDifference>,
}

impl Replayed {
    fn code(&self) -> u8 {
        match (&self.changed, self.happened) {
            (Some(_), _) => 3,
            (None, 0) => 0,
            (None, _) => 1,
        }
    }
}

/// Reads a saved race.
pub fn load(path: &Path) -> Result<Saved, Problem> {
    let text =
        std::fs::read_to_string(path).map_err(|error| Problem::file(path, "read", &error))?;
    Saved::from_json(&text).map_err(|error| Problem::race(path, &error))
}

/// Reads the scenario of a race, as it is now.
pub fn scenario_of(race: &Path, saved: &Saved) -> Result<Arc<Scenario>, Problem> {
    let folder = race.parent().unwrap_or(Path::new("."));
    let place = beside(folder, &saved.scenario);
    if place.exists() {
        return Ground::read(&place);
    }
    Err(Problem::other(
        format!(
            "the scenario of this race is gone: there is no {}",
            place.display()
        ),
        Some(
            "the race names it from its own folder: put it back there, or find the race again with `deadheat find`",
        ),
    ))
}

/// Runs the command; returns the exit code.
pub fn run(replay: &Replay, interrupted: &Interrupted) -> Result<u8, Problem> {
    let saved = load(&replay.race)?;
    let whole = scenario_of(&replay.race, &saved)?;
    let scenario = narrow(&whole, &saved)?;
    let display = Display::new(&scenario.title, interrupted);
    display.doing("replaying");
    let ground = Ground::prepare(scenario, &replay.server)?;
    let replayed = replay_all(&saved, &ground, replay.times, display)?;
    let moved = !saved.is_of(&whole.fingerprint());
    if replay.json {
        let result = in_json(replay, &saved, &replayed, moved);
        print(&format!("{result:#}\n"))?;
    } else {
        print(&in_words(&saved, &replayed, replay.times, moved))?;
    }
    Ok(replayed.code())
}

/// The path that leads from the folder, written without `folder/..` where that is the same.
fn beside(folder: &Path, path: &str) -> PathBuf {
    match (path.strip_prefix("../"), folder.parent()) {
        (Some(rest), Some(parent)) if !folder.is_symlink() && folder.ends_with(FOLDER) => {
            parent.join(rest)
        }
        _ => folder.join(path),
    }
}

fn replay_all(
    saved: &Saved,
    ground: &Ground,
    times: u32,
    mut display: Display,
) -> Result<Replayed, Problem> {
    let trouble = |trouble| Problem::of(trouble, &ground.scenario.path);
    let mut labs = ground.labs(Some(1)).map_err(trouble)?;
    let rules = rules(&ground.scenario, std::mem::take(&mut labs.start.tables))?;
    let budget = Budget::none();
    let actors = ground.scenario.actors.len();
    let mut replayed = Replayed::default();
    let mut hunt = Hunt::new(&mut labs, actors, rules, &budget, &mut display);
    let outcome = hunt.check().and_then(|mut check| {
        // The serial orders may not write all that the race writes: what was a step then is to be one now.
        check.take_written(&saved.written);
        for _ in 0..times {
            let record = check.run(Cursor::replay(schedule(saved)))?;
            let difference = compare_steps(saved, &record);
            if let Some(changed) = difference.as_ref().filter(|one| one.answered.is_none()) {
                replayed.changed.get_or_insert(changed.clone());
            } else if let Some(finding) = check.finding(&record)? {
                replayed.happened += 1;
                let same = |check: &String| finding.checks.contains(check);
                if !saved.checks.iter().any(same) {
                    replayed.instead = Some(finding);
                }
            } else {
                replayed.answered = difference;
                replayed.gone = Some(record);
            }
        }
        Ok(())
    });
    display.clear();
    labs.end();
    match outcome {
        Ok(()) => Ok(replayed),
        Err(stop) => Err(stopped(stop, ground)),
    }
}

/// Why single runs could not be judged.
pub fn stopped(stop: Stop, ground: &Ground) -> Problem {
    match stop {
        Stop::Trouble(found) => Problem::of(found, &ground.scenario.path),
        Stop::Unrepeatable(difference) => Problem::other(
            format!(
                "the serial orders do not repeat: {} | {}",
                difference.one, difference.other
            ),
            Some("`deadheat find` on the scenario says more"),
        ),
    }
}

fn in_json(replay: &Replay, saved: &Saved, replayed: &Replayed, moved: bool) -> Value {
    let mut result = json!({
        "race": replay.race.display().to_string(),
        "kind": saved.kind,
        "result": match replayed.code() { 0 => "gone", 1 => "still-there", _ => "changed" },
        "runs": replay.times,
        "happened": replayed.happened,
        "scenario_changed": moved,
    });
    if let Some(finding) = &replayed.instead {
        result["now"] = json!({ "kind": finding.kind, "checks": finding.checks });
    }
    if let Some(changed) = &replayed.changed {
        let (saved, now) = (&changed.saved, &changed.now);
        result["changed"] = json!({ "step": changed.at + 1, "saved": saved, "now": now });
    } else if let (0, Some(record)) = (replayed.happened, &replayed.gone) {
        result["outcome"] = json!(Ended::of(record));
        if let Some(answered) = replayed
            .answered
            .as_ref()
            .and_then(|one| one.answered.as_ref())
        {
            let (saved, now) = (&answered.saved, &answered.now);
            result["answered"] = json!({ "step": answered.at + 1, "saved": saved, "now": now });
        }
    }
    result
}

fn in_words(saved: &Saved, replayed: &Replayed, times: u32, moved: bool) -> String {
    let moved = if moved {
        "note: the scenario has changed since the race was saved\n"
    } else {
        ""
    };
    if let Some(changed) = &replayed.changed {
        return deadheat_report::replayed(saved, changed, style()) + moved;
    }
    let there = replayed.happened > 0;
    let mut text = match &replayed.instead {
        None => deadheat_report::still_there(there, saved.kind, style()),
        Some(finding) => format!(
            "RACE what was saved no longer goes wrong, but this does: {} ({})\n",
            finding.checks.join(", "),
            finding.kind
        ),
    };
    if times > 1 {
        let _ = writeln!(text, "{} of {times} times", replayed.happened);
    }
    if let (false, Some(record)) = (there, &replayed.gone) {
        if let Some(answered) = &replayed.answered {
            text.push_str(&deadheat_report::replayed(saved, answered, style()));
        }
        let matters = std::collections::BTreeSet::new();
        text.push_str(&deadheat_report::timeline(record, &matters, style()));
        text.push_str(&deadheat_report::outcome(record, style()));
    }
    text + moved
}
