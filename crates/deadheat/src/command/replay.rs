//! `deadheat replay`: run a saved race again, and say whether it still happens.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use deadheat_explore::{Actor, Cursor};
use deadheat_lab::record::Record;
use deadheat_verdict::{FirstDifference, Saved, compare_steps};
use serde_json::json;

use super::ground::Ground;
use super::rules::rules;
use super::saving::FOLDER;
use super::{print, style};
use crate::args::Replay;
use crate::problem::Problem;
use crate::progress::Display;
use crate::search::{Budget, Hunt, Stop};
use crate::signals::Interrupted;

/// What the replays came to.
struct Replayed {
    /// How often the race happened.
    happened: u32,
    /// The last run in which it did not.
    gone: Option<Record>,
    /// The first step that was another one than in the file.
    changed: Option<FirstDifference>,
}

/// Reads a saved race.
pub fn load(path: &Path) -> Result<Saved, Problem> {
    let text =
        std::fs::read_to_string(path).map_err(|error| Problem::file(path, "read", &error))?;
    Saved::from_json(&text).map_err(|error| Problem::race(path, &error))
}

/// Runs the command; returns the exit code.
pub fn run(replay: &Replay, interrupted: &Interrupted) -> Result<u8, Problem> {
    let saved = load(&replay.race)?;
    let folder = replay.race.parent().unwrap_or(Path::new("."));
    let place = beside(folder, &saved.scenario);
    if !place.exists() {
        return Err(Problem::other(
            format!(
                "the scenario of this race is gone: there is no {}",
                place.display()
            ),
            Some(
                "the race names it from its own folder: put it back there, or find the race again with `deadheat find`",
            ),
        ));
    }
    let scenario = Ground::read(&place)?;
    let schedule = schedule(&saved, &scenario)?;
    let display = Display::new(&scenario.title, interrupted);
    display.doing("replaying");
    let ground = Ground::prepare(scenario, &replay.server)?;
    let replayed = replay_all(&saved, &schedule, &ground, replay.times, display)?;
    let code = match (&replayed.changed, replayed.happened) {
        (Some(_), _) => 3,
        (None, 0) => 0,
        (None, _) => 1,
    };
    if replay.json {
        let result = json!({
            "race": replay.race.display().to_string(),
            "kind": saved.kind,
            "result": match code { 0 => "gone", 1 => "still-there", _ => "changed" },
            "runs": replay.times,
            "happened": replayed.happened,
        });
        print(&format!("{result:#}\n"))?;
    } else {
        print(&in_words(&saved, &replayed, replay.times))?;
    }
    Ok(code)
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

/// The saved schedule by the scenario's actors.
fn schedule(saved: &Saved, scenario: &deadheat_scenario::Scenario) -> Result<Vec<Actor>, Problem> {
    let index = |name: &String| {
        scenario
            .actors
            .iter()
            .position(|actor| actor.name == *name)
            .map(|index| Actor(index as u16))
            .ok_or_else(|| {
                Problem::other(
                    format!(
                        "the race has an actor `{name}`, {} has none of that name",
                        scenario.path.display()
                    ),
                    Some(
                        "the scenario has changed since: find the race again with `deadheat find`",
                    ),
                )
            })
    };
    saved.schedule.iter().map(index).collect()
}

fn replay_all(
    saved: &Saved,
    schedule: &[Actor],
    ground: &Ground,
    times: u32,
    mut display: Display,
) -> Result<Replayed, Problem> {
    let trouble = |trouble| Problem::of(trouble, &ground.scenario.path);
    let mut labs = ground.labs(Some(1)).map_err(trouble)?;
    let rules = rules(&ground.scenario, std::mem::take(&mut labs.start.tables))?;
    let budget = Budget::none();
    let actors = ground.scenario.actors.len();
    let mut replayed = Replayed {
        happened: 0,
        gone: None,
        changed: None,
    };
    let mut hunt = Hunt::new(&mut labs, actors, rules, &budget, &mut display);
    let outcome = hunt.check().and_then(|mut check| {
        for _ in 0..times {
            let record = check.run(Cursor::replay(schedule.to_vec()))?;
            if let Some(difference) = compare_steps(saved, &record) {
                replayed.changed.get_or_insert(difference);
            } else if check.is_race(&record)? {
                replayed.happened += 1;
            } else {
                replayed.gone = Some(record);
            }
        }
        Ok(())
    });
    display.clear();
    labs.end();
    match outcome {
        Ok(()) => Ok(replayed),
        Err(Stop::Trouble(found)) => Err(trouble(found)),
        Err(Stop::Unrepeatable(difference)) => Err(Problem::other(
            format!(
                "the serial orders do not repeat: {} | {}",
                difference.one, difference.other
            ),
            Some("`deadheat find` on the scenario says more"),
        )),
    }
}

fn in_words(saved: &Saved, replayed: &Replayed, times: u32) -> String {
    if let Some(changed) = &replayed.changed {
        return deadheat_report::replayed(saved, changed, style());
    }
    let there = replayed.happened > 0;
    let mut text = deadheat_report::still_there(there, saved.kind, style());
    if times > 1 {
        let _ = writeln!(text, "{} of {times} times", replayed.happened);
    }
    if let (false, Some(record)) = (there, &replayed.gone) {
        let matters = std::collections::BTreeSet::new();
        text.push_str(&deadheat_report::timeline(record, &matters, style()));
    }
    text
}
