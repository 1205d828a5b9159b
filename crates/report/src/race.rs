//! One race, as it is read at two in the morning: what it is, why, what happened, what is wrong in the end.

use deadheat_lab::record::Record;
use deadheat_verdict::{Difference, FirstDifference, Saved};
use std::collections::BTreeSet;
use unicode_width::UnicodeWidthStr;

use crate::heading::{counted, heading, paragraph};
use crate::moments::moments;
use crate::style::{Ink, Style, fit, shorten, wrap};
use crate::{lanes, listing};

/// Differences shown; more are counted.
const MOST_DIFFERENCES: usize = 12;
/// Lines of one cell of the comparison.
const LINES: usize = 4;

/// Everything about a saved race; `file` is where it is saved, for the last line.
pub fn race(saved: &Saved, file: Option<&str>, style: Style) -> String {
    let mut out = title(saved, style);
    out.push_str(&checks(saved, style));
    out.push('\n');
    out.push_str(&heading("why", style));
    for sentence in &saved.why {
        out.push_str(&paragraph(sentence, Ink::Plain, style));
    }
    out.push('\n');
    out.push_str(&heading("what happened", style));
    let matters: BTreeSet<usize> = saved.matters.iter().copied().collect();
    out.push_str(&timeline(&saved.record, &matters, style));
    if !saved.differs.is_empty() {
        out.push('\n');
        out.push_str(&differs(saved, style));
    }
    if !saved.left_out.is_empty() {
        out.push('\n');
        out.push_str(&heading("left out, as it happens without", style));
        for what in &saved.left_out {
            out.push_str(&paragraph(what, Ink::Plain, style));
        }
    }
    if let Some(file) = file {
        out.push('\n');
        // Not wrapped: it is there to be copied.
        let line = format!("again:  deadheat replay {file}");
        out.extend([style.paint(Ink::Heading, &line).as_str(), "\n"]);
    }
    out
}

/// The timeline alone: steps in `matters` in full, the others folded (all in full if there are none).
pub fn timeline(record: &Record, matters: &BTreeSet<usize>, style: Style) -> String {
    let moments = moments(record, matters);
    // Who does nothing that is shown needs no lane.
    let shown: Vec<(usize, &str)> = record
        .actors
        .iter()
        .enumerate()
        .filter(|(n, _)| moments.iter().any(|moment| moment.actor() == Some(*n)))
        .map(|(n, name)| (n, name.as_str()))
        .collect();
    match lanes::lane(shown.len(), style) {
        Some(lane) => lanes::draw(&shown, &moments, lane, style),
        None => listing::draw(&record.actors, &moments, style),
    }
}

/// A replay that did not follow its file: the first step that differs, and why.
pub fn replayed(saved: &Saved, first: &FirstDifference, style: Style) -> String {
    let say = |step: &Option<deadheat_verdict::SavedStep>| match step {
        Some(step) => format!("{}: {}", step.actor, step.label),
        None => "(no step)".to_owned(),
    };
    let (head, text, row) = match &first.answered {
        None => (
            "the code changed here",
            format!(
                "Step {} of {} is another one than when the race was saved.",
                first.at + 1,
                saved.steps.len()
            ),
            (say(&first.saved), say(&first.now)),
        ),
        Some(answered) => (
            "the database answers otherwise here",
            format!(
                "Step {} of {}, {}'s {}, is the same as when the race was saved; what came of it is not.",
                answered.at + 1,
                saved.steps.len(),
                answered.step.actor,
                answered.step.label
            ),
            (answered.saved.clone(), answered.now.clone()),
        ),
    };
    let mut out = heading(head, style);
    out.push_str(&paragraph(&text, Ink::Plain, style));
    out.push_str(&beside(
        ("saved", "now"),
        &[(String::new(), row.0, row.1)],
        style,
    ));
    out
}

fn title(saved: &Saved, style: Style) -> String {
    let anomaly = saved.anomaly.map(|a| format!(" ({a})")).unwrap_or_default();
    format!(
        "{} {} in {}\n",
        style.paint(Ink::Bad, "RACE"),
        style.paint(Ink::Heading, &format!("{}{anomaly}", saved.kind)),
        saved.scenario.rsplit('/').next().unwrap_or_default()
    )
}

fn checks(saved: &Saved, style: Style) -> String {
    saved
        .checks
        .iter()
        .map(|check| {
            let text = broken(check);
            paragraph(&format!("✗ {text}"), Ink::Bad, style)
        })
        .collect()
}

/// What it means that a check is broken.
pub(crate) fn broken(check: &str) -> String {
    match check {
        "serial" => "no serial order of the actors ends like this".to_owned(),
        "errors" => "an error reaches a user that no serial order has".to_owned(),
        "stuck" => "no actor can move".to_owned(),
        "left open" => "a transaction is left open that no serial order leaves".to_owned(),
        name => format!("broken: {name}"),
    }
}

fn differs(saved: &Saved, style: Style) -> String {
    let order = if saved.nearest.is_empty() {
        String::new()
    } else {
        format!(" ({})", saved.nearest.join(", then "))
    };
    let mut out = heading(
        &format!("what differs from the nearest serial order{order}"),
        style,
    );
    let rows: Vec<(String, String, String)> = saved
        .differs
        .iter()
        .take(MOST_DIFFERENCES)
        .map(|difference| match difference {
            Difference::Row {
                table,
                found,
                serial,
            } => {
                let say = |row: &Option<String>| {
                    row.clone().unwrap_or_else(|| "(no such row)".to_owned())
                };
                (table.clone(), say(found), say(serial))
            }
            Difference::Reply {
                actor,
                request,
                found,
                serial,
            } => (
                actor.clone(),
                format!("{}{found}", asked(saved, actor, request)),
                serial.clone(),
            ),
            Difference::References { place } => (
                place.clone(),
                "generated values belong to other rows".to_owned(),
                String::new(),
            ),
        })
        .collect();
    out.push_str(&beside(("this run", "serially"), &rows, style));
    let more = saved.differs.len().saturating_sub(MOST_DIFFERENCES);
    if more > 0 {
        out.push_str(&paragraph(
            &format!("… and {}", counted(more as u64, "more difference")),
            Ink::Faint,
            style,
        ));
    }
    out
}

/// Which of several questions a reply answers.
fn asked(saved: &Saved, actor: &str, request: &str) -> String {
    const LONGEST: usize = 40;
    let n = saved.actors.iter().position(|name| name == actor);
    let replies = n.and_then(|n| saved.record.replies.get(n));
    if replies.is_none_or(|replies| replies.len() < 2) {
        return String::new();
    }
    format!("{}: ", shorten(request, LONGEST))
}

/// Two columns with a label before them.
pub(crate) fn beside(
    heads: (&str, &str),
    rows: &[(String, String, String)],
    style: Style,
) -> String {
    let label = rows
        .iter()
        .map(|(label, ..)| label.width())
        .max()
        .unwrap_or(0)
        .min(20);
    let indent = if label == 0 { 2 } else { label + 4 };
    let room = style.columns().saturating_sub(indent + 2);
    let longest = rows
        .iter()
        .map(|(_, a, _)| a.width())
        .max()
        .unwrap_or(0)
        .max(heads.0.width());
    let left = longest.min(room / 2).max(8);
    let right = room.saturating_sub(left).max(8);
    let mut out = String::new();
    let mut push = |name: &str, a: &str, b: &str, inks: (Ink, Ink)| {
        let name = fit(name, label);
        let name = if label == 0 {
            name
        } else {
            format!("{name}  ")
        };
        let (a, b) = (style.paint(inks.0, &fit(a, left)), style.paint(inks.1, b));
        out.push_str(format!("  {name}{a}  {b}").trim_end());
        out.push('\n');
    };
    push("", heads.0, heads.1, (Ink::Faint, Ink::Faint));
    for (name, a, b) in rows {
        let (a, b) = (wrap(a, left, LINES), wrap(b, right, LINES));
        for n in 0..a.len().max(b.len()).max(1) {
            let cell = |lines: &[String]| lines.get(n).cloned().unwrap_or_default();
            push(
                if n == 0 { name } else { "" },
                &cell(&a),
                &cell(&b),
                (Ink::Bad, Ink::Good),
            );
        }
    }
    out
}
