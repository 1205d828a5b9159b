//! What GitHub Actions shows: annotations (workflow commands), and the summary of a step (Markdown).

use deadheat_verdict::Saved;

use crate::race::race;
use crate::result::{Report, Verdict};
use crate::style::Style;
use crate::summary::summary;

/// Races that a summary shows; a summary that is too long is not shown at all.
const MOST_RACES: usize = 20;
/// Columns of texts that are shown as they are.
const WIDTH: usize = 100;

/// Markdown for the summary of a step: the verdict on the scenario, whose path from the repository is `file`, and the
/// races, each with the file it is saved in.
pub fn step_summary(report: &Report, file: &str, races: &[(Saved, String)]) -> String {
    let word = match report.verdict {
        Verdict::Clean => "clean",
        Verdict::NoRaceFound => "no race found",
        Verdict::Race => "race",
        Verdict::Bug => "a bug, not a race",
        Verdict::Unrepeatable => "not repeatable",
    };
    let mut out = format!("### {word}: {}\n\n", code(file));
    out.push_str(&fenced(&summary(report, Style::plain(WIDTH))));
    for (saved, place) in races.iter().take(MOST_RACES) {
        let text = fenced(&race(saved, Some(place), Style::plain(WIDTH)));
        let kind = saved.kind;
        out.push_str(&format!(
            "\n<details open><summary>{kind}</summary>\n\n{text}\n</details>\n"
        ));
    }
    let more = races.len().saturating_sub(MOST_RACES);
    if more > 0 {
        out.push_str(&format!("\n… and {more} more\n"));
    }
    out.push('\n');
    out
}

/// A text in a fence that nothing in it ends.
fn fenced(text: &str) -> String {
    let ticks = "`".repeat(longest_ticks(text).max(2) + 1);
    format!("{ticks}text\n{}\n{ticks}\n", text.trim_end())
}

fn code(text: &str) -> String {
    let ticks = "`".repeat(longest_ticks(text) + 1);
    format!("{ticks}{text}{ticks}")
}

fn longest_ticks(text: &str) -> usize {
    let runs = text.split(|c| c != '`').map(str::len);
    runs.max().unwrap_or(0)
}

/// Lines that make GitHub Actions annotate the scenario, whose path from the repository is `file`, one a race; `None`
/// when there is nothing to say.
pub fn annotation(report: &Report, file: &str) -> Option<String> {
    let line = |title: &str, message: &str| {
        format!(
            "::error file={},title={}::{}\n",
            property(file),
            property(title),
            data(message)
        )
    };
    match report.verdict {
        Verdict::Race => Some(
            report
                .races
                .iter()
                .map(|race| {
                    let message = format!("{}\nAgain: deadheat replay {}", race.why, race.file);
                    line(&format!("Race: {}", race.kind), &message)
                })
                .collect(),
        ),
        Verdict::Bug => Some(line(
            "A bug, not a race",
            &summary(report, Style::plain(100)),
        )),
        Verdict::Unrepeatable => Some(line("Not repeatable", &summary(report, Style::plain(100)))),
        Verdict::Clean | Verdict::NoRaceFound => None,
    }
}

/// What a message must not contain as it is.
fn data(text: &str) -> String {
    text.trim_end()
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
