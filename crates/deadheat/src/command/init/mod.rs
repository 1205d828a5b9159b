//! `deadheat init`: a first scenario, from flags or from a few questions.
//!
//! `ask` asks, `text` writes; nothing lands in a file that could not be read again.

mod ask;
mod text;

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write, stderr, stdin};
use std::path::{Path, PathBuf};

use self::ask::Asking;
use self::text::{Answers, Sent, scenario};
use super::saving::relative;
use super::{find, print};
use crate::args::Init;
use crate::problem::Problem;
use crate::signals::Interrupted;

/// Runs the command; returns the exit code.
pub fn run(init: &Init, interrupted: &Interrupted) -> Result<u8, Problem> {
    let file = &init.file;
    if file.exists() && !init.force {
        return Err(Problem::other(
            format!("{} is there already", file.display()),
            Some("name another file, as in `deadheat init orders.toml`; --force writes over it"),
        ));
    }
    let folder = folder_of(file);
    let mut answers = from_flags(init, &folder)?;
    let missing = missing(&answers);
    let asked = !missing.is_empty();
    if asked && !(stdin().is_terminal() && stderr().is_terminal()) {
        return Err(Problem::other(
            format!(
                "{} needed where there is no terminal to ask on",
                missing.join(" and ")
            ),
            Some(
                "deadheat init --run 'python app.py' --setup schema.sql \
                 --request 'POST /orders {\"item\": 1}' --request 'DELETE /orders/1'",
            ),
        ));
    }
    let mut input = stdin().lock();
    let mut output = stderr();
    let mut asking = Asking {
        from: &mut input,
        to: &mut output,
    };
    if asked {
        asking.fill(&mut answers, &|path| usable(Path::new(path), &folder))?;
    }
    let text = scenario(&answers, &file.display().to_string());
    deadheat_scenario::parse(&file.display().to_string(), &text, &folder)?;
    write(file, &text, init.force)?;
    print(&format!("written: {}\n", file.display()))?;
    if init.find || (asked && asking.agrees("Search it now?")?) {
        return find::with_defaults(file, interrupted);
    }
    print(&format!("search it: deadheat find {}\n", file.display()))?;
    Ok(0)
}

fn folder_of(file: &Path) -> PathBuf {
    let folder = file.parent();
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

fn from_flags(init: &Init, folder: &Path) -> Result<Answers, Problem> {
    let refused = |said: String| Problem::other(said, None);
    let path = |path: &PathBuf| usable(path, folder).map_err(refused);
    Ok(Answers {
        title: init.title.clone(),
        run: init.run.clone().unwrap_or_default(),
        directory: init.directory.as_ref().map(path).transpose()?,
        env: init.env.clone(),
        ready: init.ready.clone(),
        setup: init.setup.iter().map(path).collect::<Result<_, _>>()?,
        sql: init.sql.clone(),
        prepare: init.prepare.clone(),
        requests: init
            .request
            .iter()
            .map(|text| Sent::parse(text).map_err(refused))
            .collect::<Result<_, _>>()?,
    })
}

fn missing(answers: &Answers) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if answers.run.trim().is_empty() {
        missing.push("--run");
    }
    if answers.requests.is_empty() {
        missing.push("--request");
    }
    missing
}

/// A path as the person means it, as the scenario in `folder` names it.
fn usable(path: &Path, folder: &Path) -> Result<String, String> {
    match (path.canonicalize(), folder.canonicalize()) {
        (Ok(path), Ok(folder)) => Ok(relative(&path, &folder)),
        (Err(_), _) => Err(format!("there is no {}", path.display())),
        (_, Err(_)) => Err(format!("there is no folder {}", folder.display())),
    }
}

fn write(file: &Path, text: &str, over: bool) -> Result<(), Problem> {
    let mut options = OpenOptions::new();
    options.write(true);
    // Whoever made it in the meantime keeps it.
    let options = if over {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    options
        .open(file)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Problem::file(file, "write", &error))
}
