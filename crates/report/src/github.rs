//! Annotations of GitHub Actions (workflow commands).

use crate::result::{Report, Verdict};
use crate::style::Style;
use crate::summary::summary;

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
