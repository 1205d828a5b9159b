//! `--explore`: what specs can come to, as it is read.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use deadheat_explore::Ending;
use deadheat_spec::explore::{Explored, Found, Kind, Limits, explore};
use deadheat_spec::{Server, Stop};
use serde_json::json;

use super::files::Loaded;
use super::place::{Ground, Place};
use super::work::patience;
use crate::args::Spec;
use crate::command::print;
use crate::problem::{Failure, Problem};
use crate::signals::Interrupted;

/// Lines of a difference that are shown.
const SHOWN: usize = 24;

/// Explores all specs, one after the other.
pub fn all(
    args: &Spec,
    loaded: &[Loaded],
    ground: &Ground,
    interrupted: &Interrupted,
) -> Result<u8, Problem> {
    let Some(place) = ground.places.first() else {
        return Ok(0);
    };
    let limits = Limits {
        runs: args.runs,
        time: args.time,
        step: patience()?,
        every: args.every,
        quick_deadlocks: place.terms.superuser,
    };
    let mut code = 0;
    for spec in loaded {
        let explored = one(spec, ground, place, limits, interrupted)?;
        if explored.anomalies() > 0 {
            code = 1;
        }
        let path = spec.path.display().to_string();
        if args.json {
            let mut object = json!({ "spec": path, "anomalies": explored.anomalies() });
            let all = serde_json::to_value(&explored).map_err(|error| {
                Problem::other(format!("cannot write the result: {error}"), None)
            })?;
            if let (Some(object), Some(all)) = (object.as_object_mut(), all.as_object()) {
                object.extend(all.clone());
            }
            print(&format!("{object}\n"))?;
        } else {
            print(&text(&path, &explored))?;
        }
        if interrupted.load(Ordering::SeqCst) {
            return Ok(130);
        }
    }
    Ok(code)
}

fn one(
    loaded: &Loaded,
    ground: &Ground,
    place: &Place,
    limits: Limits,
    interrupted: &Interrupted,
) -> Result<Explored, Problem> {
    let connect = || Server::connect(&loaded.spec, &loaded.name, &place.target, place.terms);
    let catalog = || ground.catalog(place).map_err(|error| error.to_string());
    let goes_on = || !interrupted.load(Ordering::SeqCst);
    let explored = explore(&loaded.spec, &connect, &catalog, limits, &goes_on);
    place.renew()?;
    explored.map_err(|stop| {
        let failure = Failure::new(format!("{}: {}", loaded.path.display(), stop.to_string().trim_end()));
        match stop {
            Stop::Died(_) => failure
                .mended_by("to be run again and again, a spec must set up all it needs and tear it down again")
                .into(),
            Stop::Wire(_) | Stop::Interrupted => failure.into(),
        }
    })
}

fn text(path: &str, explored: &Explored) -> String {
    let mut text = String::new();
    let all = explored.interleavings.map_or_else(
        || "more than can be counted".to_owned(),
        |all| all.to_string(),
    );
    let sessions = explored.sessions.len();
    let _ = writeln!(text, "{path}: {sessions} sessions, {all} interleavings");
    let runs = explored.runs;
    let _ = match &explored.ending {
        Ending::Exhausted => writeln!(text, "  {runs} runs stand for all of them"),
        Ending::Bounded { preemptions } => {
            writeln!(
                text,
                "  {runs} runs stand for those of at most {preemptions} preemptions"
            )
        }
        Ending::Redundant { .. } => writeln!(
            text,
            "  {runs} runs, not all that can make a difference: too many led to what was known"
        ),
        Ending::Stopped(why) => writeln!(
            text,
            "  {runs} runs, not all that can make a difference: {why}"
        ),
    };
    if explored.servers_choice {
        text.push_str(
            "  where one step freed several sessions, the server chose who went on first\n",
        );
    }
    if !explored.not_compared.is_empty() {
        let _ = writeln!(
            text,
            "  not compared, because it changes from run to run: {}",
            explored.not_compared.join(", ")
        );
    }
    let (count, wrong) = (explored.outcomes.len(), explored.anomalies());
    let outcomes = if count == 1 { "outcome" } else { "outcomes" };
    let _ = match wrong {
        0 if explored
            .outcomes
            .iter()
            .any(|found| found.kind == Kind::Unjudged) =>
        {
            writeln!(
                text,
                "  {count} {outcomes}, not judged: too many sessions to run all their serial orders"
            )
        }
        0 => writeln!(text, "  {count} {outcomes}, all of them serial"),
        _ => writeln!(text, "  {count} {outcomes}, {wrong} of them not serial"),
    };
    for found in &explored.outcomes {
        one_outcome(found, runs, &mut text);
    }
    text.push('\n');
    text
}

fn one_outcome(found: &Found, of: u64, text: &mut String) {
    let _ = match &found.kind {
        Kind::Serial { order, failed } => {
            writeln!(text, "\n  as {}{}", sequence(order), without(failed))
        }
        Kind::Anomaly {
            nearest, failed, ..
        } => {
            writeln!(
                text,
                "\n  NOT SERIAL; nearest is {}{}",
                sequence(nearest),
                without(failed)
            )
        }
        Kind::Stuck { waiting } => {
            writeln!(text, "\n  STUCK: {} waits for ever", waiting.join(", "))
        }
        Kind::Unjudged => writeln!(text, "\n  an outcome"),
    };
    let steps: Vec<String> = found.permutation.iter().map(|name| quoted(name)).collect();
    let _ = writeln!(
        text,
        "    permutation {}    # {} of {of} runs",
        steps.join(" "),
        found.runs
    );
    if let Kind::Anomaly { differs, .. } = &found.kind {
        for line in differs.lines().take(SHOWN) {
            let _ = writeln!(text, "    {line}");
        }
        let more = differs.lines().count().saturating_sub(SHOWN);
        if more > 0 {
            let _ = writeln!(text, "    … and {more} lines more (--json has all)");
        }
    }
}

fn sequence(order: &[String]) -> String {
    match order {
        [] => "if nobody had done anything".to_owned(),
        [only] => format!("{only} alone"),
        order => order.join(", then "),
    }
}

fn without(failed: &[String]) -> String {
    if failed.is_empty() {
        return String::new();
    }
    format!(" (without {}, told to try again)", failed.join(", "))
}

/// A step's name as a spec has it.
fn quoted(name: &str) -> String {
    let keyword = [
        "notices",
        "permutation",
        "session",
        "setup",
        "step",
        "teardown",
    ]
    .contains(&name);
    let begins = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
    let plain = name.starts_with(begins)
        && name
            .chars()
            .all(|c| begins(c) || c.is_ascii_digit() || c == '$');
    if plain && !keyword {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}
