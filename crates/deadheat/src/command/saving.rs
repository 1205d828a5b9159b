//! Where races are saved: `.deadheat/NAME-N.json` in the working folder.

use std::path::{Path, PathBuf};

use deadheat_scenario::Scenario;
use deadheat_verdict::Saved;

use crate::problem::Problem;
use crate::search::Race;

/// The folder of races.
pub const FOLDER: &str = ".deadheat";

/// A race of a scenario as it is saved.
pub fn saved(race: &Race, scenario: &Scenario, seed: u64) -> Saved {
    let path = scenario_from_race(&scenario.path);
    let fingerprint = scenario.fingerprint();
    let mut saved = Saved::new(&path, &fingerprint, &race.record, &race.finding, seed);
    saved.written.clone_from(&race.written);
    saved.left_out.clone_from(&race.left_out);
    saved.history.clone_from(&race.history);
    saved.without_requests.clone_from(&race.without_requests);
    saved
}

/// Saves a race; returns the file's path, relative to the working folder. The same race of the same scenario takes
/// the place of its earlier file.
pub fn save(saved: &Saved, scenario: &Scenario) -> Result<PathBuf, Problem> {
    let folder = Path::new(FOLDER);
    std::fs::create_dir_all(folder).map_err(|error| Problem::file(folder, "make", &error))?;
    let stem = scenario
        .path
        .file_stem()
        .map_or_else(|| "race".into(), |stem| stem.to_string_lossy().into_owned());
    let text = saved
        .to_json()
        .map_err(|error| Problem::other(format!("a race cannot be written: {error}"), None))?;
    for number in 1_u32.. {
        let path = folder.join(format!("{stem}-{number}.json"));
        if path.exists() && !is_same(&path, saved) {
            continue;
        }
        // Written aside and renamed: a reader never sees half a file.
        let aside = folder.join(format!(".{stem}-{number}.json.new"));
        std::fs::write(&aside, &text).map_err(|error| Problem::file(&aside, "write", &error))?;
        std::fs::rename(&aside, &path).map_err(|error| Problem::file(&path, "write", &error))?;
        return Ok(path);
    }
    Err(Problem::other("no name is free for the race", None))
}

fn is_same(path: &Path, saved: &Saved) -> bool {
    let Ok(text) = std::fs::read_to_string(path) else {
        return false;
    };
    Saved::from_json(&text)
        .is_ok_and(|old| old.scenario == saved.scenario && old.schedule == saved.schedule)
}

/// The scenario's path as the saved race names it: from the race's folder, so that both can move together.
fn scenario_from_race(scenario: &Path) -> String {
    relative(scenario, Path::new(FOLDER))
}

/// A path, written as it is found from a folder; both are given from the working folder.
pub fn relative(path: &Path, folder: &Path) -> String {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (path, from) = (absolute(path), absolute(folder));
    let shared = path
        .components()
        .zip(from.components())
        .take_while(|(one, other)| one == other)
        .count();
    let up = from.components().count() - shared;
    let mut found = PathBuf::new();
    for _ in 0..up {
        found.push("..");
    }
    found.extend(path.components().skip(shared));
    found.display().to_string()
}
