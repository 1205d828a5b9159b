//! The timeline as a list, one moment a line, for many actors or little room.

use unicode_width::UnicodeWidthStr;

use crate::moments::Moment;
use crate::style::{Ink, Style, fit, shorten, wrap};

/// Columns of a step's number.
const NUMBER: usize = 4;
/// Names longer than this are cut.
const LONGEST_NAME: usize = 16;
/// Lines of a statement.
const LINES: usize = 2;

/// The timeline.
pub(crate) fn draw(actors: &[String], moments: &[Moment], style: Style) -> String {
    let longest = actors
        .iter()
        .map(|name| name.width())
        .max()
        .unwrap_or(0)
        .clamp(1, LONGEST_NAME);
    let indent = NUMBER + 2 + longest + 2;
    let room = style.columns().saturating_sub(indent).max(16);
    let name = |actor: &usize| {
        let text = actors.get(*actor).map_or("?", String::as_str);
        style.paint(Ink::Actor(*actor), &fit(text, longest))
    };
    let mut out = String::new();
    let mut push = |line: &str| {
        out.push_str(line.trim_end());
        out.push('\n');
    };
    for moment in moments {
        match moment {
            Moment::Fold { text } => {
                let text = style.paint(Ink::Faint, &shorten(text, style.columns() - NUMBER - 2));
                push(&format!("{}{text}", " ".repeat(NUMBER + 2)));
            }
            Moment::GoesOn { actor } => {
                let text = style.paint(Ink::Wait, "… goes on");
                push(&format!(
                    "{}{}  {text}",
                    " ".repeat(NUMBER + 2),
                    name(actor)
                ));
            }
            Moment::Step {
                number,
                actor,
                text,
                notes,
                matters,
            } => {
                let number = style.paint(Ink::Faint, &format!("{number:>NUMBER$}"));
                let mut first = format!("{number}  {}  ", name(actor));
                for (ink, line) in lines(text, notes, *matters, room) {
                    push(&format!("{first}{}", style.paint(ink, &line)));
                    first = " ".repeat(indent);
                }
            }
        }
    }
    out
}

fn lines(text: &str, notes: &[(Ink, String)], matters: bool, room: usize) -> Vec<(Ink, String)> {
    let (ink, most) = if matters {
        (Ink::Plain, LINES)
    } else {
        (Ink::Faint, 1)
    };
    let mut out: Vec<(Ink, String)> = Vec::new();
    out.extend(wrap(text, room, most).into_iter().map(|line| (ink, line)));
    for (ink, note) in notes {
        out.extend(wrap(note, room, 2).into_iter().map(|line| (*ink, line)));
    }
    out
}
