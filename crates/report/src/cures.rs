//! What would have prevented a race: the cures that were tried, and the change to make for the best one.

use serde::{Deserialize, Serialize};
use unicode_width::UnicodeWidthStr;

use crate::heading::{heading, paragraph};
use crate::style::{Ink, Style, fit, wrap};

/// The result of `fix`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cures {
    /// Where the race is saved.
    pub race: String,
    /// What it is called.
    pub kind: deadheat_verdict::Kind,
    /// The race without a cure, then what was tried, in the order in which it was tried.
    pub tried: Vec<Tried>,
    /// What was not tried.
    pub not_tried: Vec<NotTried>,
    /// The best of those that were proven; where none was, of those that held as far as was searched.
    pub best: Option<Advice>,
}

/// A cure that was tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tried {
    /// What it is, in a few words.
    pub cure: String,
    /// Distinct races that were found in spite of it.
    pub races: usize,
    /// Runs of the search, the serial ones included.
    pub runs: u64,
    /// Whether every trace was explored.
    pub exhausted: bool,
    /// Errors that reached a user and reach nobody without it when the actors run one after the other.
    pub errors: Vec<String>,
    /// Round trips to the database that it adds to a transaction.
    pub round_trips: u32,
    /// Requests that were sent again in one run, at most.
    pub retries: u32,
    /// Whether no race is left, in any trace, and no error that the code does not have to expect.
    pub proven: bool,
}

/// A cure that was not tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NotTried {
    /// What it is.
    pub cure: String,
    /// Why not.
    pub why: String,
}

/// The change to make.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Advice {
    /// Which cure it is.
    pub cure: String,
    /// Whether it was proven, and did not just hold as far as was searched.
    pub proven: bool,
    /// Statements as they stand and as they should be; one that is new stands for nothing.
    pub changes: Vec<Change>,
    /// What else to know.
    pub note: String,
}

/// A statement as it stands, and as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// As it stands; `None` where a statement is to be added.
    pub from: Option<String>,
    /// As it should be.
    pub to: String,
}

impl Cures {
    /// The exit code of `fix`.
    pub fn exit_code(&self) -> u8 {
        let proven = self.best.as_ref().is_some_and(|best| best.proven);
        u8::from(!proven)
    }

    /// The object as `--json` prints it, with a line end.
    ///
    /// # Errors
    /// Only if a value cannot be written as JSON, which none of these is.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

const HEADS: [&str; 6] = [
    "races left",
    "runs",
    "every trace",
    "round trips",
    "retries",
    "errors users see",
];

/// The cures as a table, and the advice.
pub fn cures(cures: &Cures, style: Style) -> String {
    let mut out = heading(&format!("what would prevent the {}", cures.kind), style);
    out.push_str(&table(&cures.tried, style));
    if !cures.not_tried.is_empty() {
        out.push('\n');
        out.push_str(&heading("not tried", style));
        for one in &cures.not_tried {
            out.push_str(&paragraph(
                &format!("{}: {}", one.cure, one.why),
                Ink::Plain,
                style,
            ));
        }
    }
    out.push('\n');
    match &cures.best {
        Some(best) => out.push_str(&advice(best, style)),
        None if cures.tried.len() <= 1 => {
            out.push_str(&heading("no cure could be tried", style));
        }
        None if cures.tried.first().is_some_and(too_short) => {
            let text = "the search had no time to find the race as it is (--time gives it longer)";
            out.push_str(&heading(text, style));
        }
        None => out.push_str(&heading("none of these prevents it", style)),
    }
    out
}

/// Whether the race was not even found as it is, before the time was over.
fn too_short(as_it_is: &Tried) -> bool {
    as_it_is.races == 0 && !as_it_is.exhausted
}

fn table(tried: &[Tried], style: Style) -> String {
    let rows: Vec<[String; 6]> = tried.iter().map(cells).collect();
    let longest = tried.iter().map(|one| one.cure.width()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADS.len())
        .map(|n| {
            rows.iter()
                .map(|row| row[n].width())
                .fold(HEADS[n].width(), usize::max)
        })
        .collect();
    let used: usize = widths.iter().map(|width| width + 2).sum();
    let first = longest
        .min(style.columns().saturating_sub(used + 4))
        .max(16);
    let line = |mark: &str, name: &str, row: [&str; 6], ink: Ink| {
        let mut text = format!("{mark} {}", style.paint(ink, &fit(name, first)));
        for (cell, width) in row.iter().zip(&widths) {
            text.extend(["  ", &fit(cell, *width)]);
        }
        format!("{}\n", text.trim_end())
    };
    let mut out = line(" ", "", HEADS, Ink::Plain);
    for (one, row) in tried.iter().zip(&rows) {
        let (mark, ink) = if one.proven {
            ("✓", Ink::Good)
        } else {
            (" ", Ink::Plain)
        };
        let mut names = wrap(&one.cure, first, 3).into_iter();
        let name = names.next().unwrap_or_default();
        out.push_str(&line(mark, &name, row.each_ref().map(String::as_str), ink));
        for more in names {
            out.push_str(&line(" ", &more, [""; 6], ink));
        }
    }
    out
}

fn cells(one: &Tried) -> [String; 6] {
    let races = match (one.races, one.exhausted) {
        (0, _) => "none".to_owned(),
        (n, true) => n.to_string(),
        (1, false) => "one, at least".to_owned(),
        (n, false) => format!("{n}, at least"),
    };
    let errors = if one.errors.is_empty() {
        "none".to_owned()
    } else {
        one.errors.join(", ")
    };
    [
        races,
        one.runs.to_string(),
        if one.exhausted { "yes" } else { "no" }.to_owned(),
        format!("+{}", one.round_trips),
        one.retries.to_string(),
        errors,
    ]
}

fn advice(best: &Advice, style: Style) -> String {
    let head = if best.proven {
        "the change to make"
    } else {
        "not proven, but no race was found with it (--time gives it longer)"
    };
    let mut out = heading(&format!("{head}: {}", best.cure), style);
    for change in &best.changes {
        // Not wrapped: it is there to be copied.
        if let Some(from) = &change.from {
            out.extend(["  - ", &style.paint(Ink::Bad, from), "\n"]);
        }
        out.extend(["  + ", &style.paint(Ink::Good, &change.to), "\n"]);
    }
    out.push_str(&paragraph(&best.note, Ink::Plain, style));
    out
}
