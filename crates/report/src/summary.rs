//! The verdict in words.

use deadheat_verdict::STUCK;

use crate::heading::{counted, heading, paragraph};
use crate::race::beside;
use crate::result::{Report, Stopped, Unrepeatable, Verdict};
use crate::style::{Ink, Style, shorten, wrap};

/// Background statements shown; more are counted.
const MOST_BACKGROUND: usize = 5;

/// What the search comes to: the verdict, and what one should know to judge it. Races are drawn by [`crate::race`].
pub fn summary(report: &Report, style: Style) -> String {
    let ink = match report.verdict {
        Verdict::Clean => Ink::Good,
        Verdict::NoRaceFound => Ink::Heading,
        Verdict::Race | Verdict::Bug | Verdict::Unrepeatable => Ink::Bad,
    };
    let word = report.verdict.in_words();
    let mut out = String::new();
    let before = format!("{}: ", report.scenario);
    let text = format!("{before}{word}, {}", verdict(report));
    for (n, line) in wrap(&text, style.columns(), usize::MAX)
        .into_iter()
        .enumerate()
    {
        match line
            .strip_prefix(&before)
            .and_then(|line| line.strip_prefix(word))
        {
            Some(rest) if n == 0 => out.extend([before.as_str(), &style.paint(ink, word), rest]),
            _ => out.push_str(&line),
        }
        out.push('\n');
    }
    if let Some(unrepeatable) = &report.unrepeatable {
        out.push_str(&different_runs(unrepeatable, style));
    }
    for (name, order) in &report.broken_serially {
        let order = order.join(", then ");
        let text = if name == STUCK {
            format!(
                "After {order}, one after the other, somebody waits for ever. No schedule can mend that: cure it first."
            )
        } else {
            format!(
                "The invariant \"{name}\" does not hold after {order}. No schedule can mend that: cure it first, or correct \
                 the invariant."
            )
        };
        out.push_str(&paragraph(&text, Ink::Bad, style));
    }
    background(&report.background, &mut out, style);
    for note in &report.notes {
        out.push_str(&paragraph(&format!("note: {note}"), Ink::Plain, style));
    }
    out
}

/// What a replay came to: the race is still there, or it is gone.
pub fn still_there(there: bool, kind: deadheat_verdict::Kind, style: Style) -> String {
    if there {
        format!(
            "{} the {kind} still happens\n",
            style.paint(Ink::Bad, "RACE")
        )
    } else {
        format!(
            "{} the {kind} no longer happens with this schedule\n",
            style.paint(Ink::Good, "gone")
        )
    }
}

fn verdict(report: &Report) -> String {
    let effort = format!(
        "{} in {}",
        counted(report.runs, "run"),
        time(report.seconds)
    );
    let traces = counted(report.traces, "trace");
    match report.verdict {
        Verdict::Clean => {
            let redundant = redundant(report.blocked_runs);
            let all = if report.traces == 1 {
                "the only trace".to_owned()
            } else {
                format!("all {traces}")
            };
            format!("{all} explored, {effort}, no race{redundant}")
        }
        Verdict::NoRaceFound => {
            let why = report.stopped.as_ref();
            let why = why.map_or_else(|| "the search was not exhaustive".to_owned(), reason);
            format!("{why} ({traces}, {effort})")
        }
        Verdict::Race => {
            let why = match &report.stopped {
                Some(Stopped::Preemptions(n)) => format!(
                    " among the schedules with at most {}",
                    counted(u64::from(*n), "preemption")
                ),
                Some(stopped) => format!(", {}", reason(stopped)),
                None => String::new(),
            };
            format!("{} found{why} ({traces}, {effort})", report.races.len())
        }
        Verdict::Bug => {
            format!("not a race: the actors go wrong even one after the other ({effort})")
        }
        Verdict::Unrepeatable => {
            format!(
                "the same schedule gave different runs, so no verdict can be relied on ({effort})"
            )
        }
    }
}

fn redundant(runs: u64) -> String {
    if runs == 0 {
        String::new()
    } else {
        format!(" ({} cut as redundant)", counted(runs, "run"))
    }
}

fn reason(stopped: &Stopped) -> String {
    match stopped {
        Stopped::Runs(n) => format!(
            "stopped after the {} allowed, with traces left",
            counted(*n, "run")
        ),
        Stopped::Time(seconds) => format!(
            "stopped when the {} allowed were over, with traces left",
            time(*seconds)
        ),
        Stopped::Preemptions(n) => format!(
            "no schedule with at most {} races",
            counted(u64::from(*n), "preemption")
        ),
        Stopped::Random => "schedules were drawn at random, others may race".to_owned(),
        Stopped::Redundant(n) => {
            format!(
                "after {} the search went on at random, others may race",
                counted(*n, "redundant run")
            )
        }
        Stopped::Interrupted => "interrupted, with traces left".to_owned(),
        Stopped::Other(why) => why.clone(),
    }
}

fn time(seconds: f64) -> String {
    if seconds < 10.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{seconds:.0} s")
    }
}

fn different_runs(found: &Unrepeatable, style: Style) -> String {
    let mut out = String::new();
    let after = match found.schedule.len() {
        0 => "The very first step".to_owned(),
        n => format!("After {} the next step", counted(n as u64, "equal step")),
    };
    let text = format!(
        "{after}, {}'s, was another one the second time:",
        found.actor
    );
    out.push_str(&paragraph(&text, Ink::Plain, style));
    let rows = [(String::new(), found.first.clone(), found.second.clone())];
    out.push_str(&beside(("first run", "second run"), &rows, style));
    let hint = "A clock, a random source, a cache or another process feeds into it. Fix that value for the test, or let \
                the service reset what it keeps (`reset` in the scenario).";
    out.push_str(&paragraph(hint, Ink::Faint, style));
    out
}

fn background(statements: &[String], out: &mut String, style: Style) {
    if statements.is_empty() {
        return;
    }
    out.push_str(&heading(
        "statements of nobody's (they came while no actor moved, and passed)",
        style,
    ));
    for statement in statements.iter().take(MOST_BACKGROUND) {
        let line = shorten(statement, style.columns() - 2);
        out.extend(["  ", &style.paint(Ink::Faint, &line), "\n"]);
    }
    let more = statements.len().saturating_sub(MOST_BACKGROUND);
    if more > 0 {
        out.push_str(&paragraph(&format!("… and {more} more"), Ink::Faint, style));
    }
}
