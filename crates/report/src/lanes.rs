//! The timeline with a lane for each actor.

use unicode_width::UnicodeWidthStr;

use crate::moments::Moment;
use crate::style::{Ink, Style, fit, shorten, wrap};

/// Columns of the step numbers and the blanks after them.
const GUTTER: usize = 6;
/// Blanks between lanes.
const GAP: usize = 2;
/// A lane narrower than this cannot be read.
const NARROWEST: usize = 24;
/// A lane wider than this is not needed.
const WIDEST: usize = 64;
/// Lines of a statement.
const LINES: usize = 3;

/// Width of a lane, if the actors have room side by side.
pub(crate) fn lane(actors: usize, style: Style) -> Option<usize> {
    if actors == 0 || actors > 4 {
        return None;
    }
    let room = style.columns().saturating_sub(GUTTER + GAP * (actors - 1)) / actors;
    (room >= NARROWEST).then_some(room.min(WIDEST))
}

/// The timeline.
pub(crate) fn draw(actors: &[String], moments: &[Moment], lane: usize, style: Style) -> String {
    let mut out = String::new();
    let blank = " ".repeat(GUTTER);
    let across = |cell: &dyn Fn(usize) -> String| {
        let cells: Vec<String> = (0..actors.len()).map(cell).collect();
        cells.join(&" ".repeat(GAP))
    };
    let names = across(&|n| style.paint(Ink::Actor(n), &fit(&actors[n], lane)));
    let rules = across(&|n| style.paint(Ink::Actor(n), &"─".repeat(lane)));
    push(&mut out, &format!("{blank}{names}"));
    push(&mut out, &format!("{blank}{rules}"));
    for moment in moments {
        match moment {
            Moment::Fold { text } => {
                let text = shorten(text, style.columns() - GUTTER);
                push(
                    &mut out,
                    &format!("{blank}{}", style.paint(Ink::Faint, &text)),
                );
            }
            Moment::GoesOn { actor } => {
                let indent = " ".repeat(GUTTER + actor * (lane + GAP));
                push(
                    &mut out,
                    &format!("{indent}{}", style.paint(Ink::Wait, "… goes on")),
                );
            }
            Moment::Step {
                number,
                actor,
                text,
                notes,
                matters,
            } => {
                let indent = " ".repeat(actor * (lane + GAP));
                for (n, (ink, line)) in lines(text, notes, *matters, lane).iter().enumerate() {
                    let mark = if n == 0 {
                        format!("{number:>4}  ")
                    } else {
                        blank.clone()
                    };
                    let mark = style.paint(Ink::Faint, &mark);
                    push(
                        &mut out,
                        &format!("{mark}{indent}{}", style.paint(*ink, line)),
                    );
                }
            }
        }
    }
    out
}

fn lines(text: &str, notes: &[(Ink, String)], matters: bool, lane: usize) -> Vec<(Ink, String)> {
    let (ink, most) = if matters {
        (Ink::Plain, LINES)
    } else {
        (Ink::Faint, 1)
    };
    let mut out: Vec<(Ink, String)> = Vec::new();
    for (n, line) in wrap(text, lane, most).into_iter().enumerate() {
        // Lines after the first are set in a little, so that statements are told apart.
        out.push((
            ink,
            if n == 0 {
                line
            } else {
                shorten(&format!("  {line}"), lane)
            },
        ));
    }
    for (ink, note) in notes {
        let fits = out
            .last()
            .is_some_and(|(_, line)| line.width() + 1 + note.width() <= lane);
        if *ink == Ink::Value
            && fits
            && out.len() == 1
            && !matches!(out.last(), Some((Ink::Wait | Ink::Bad, _)))
        {
            if let Some((_, line)) = out.last_mut() {
                *line = format!("{line} {note}");
            }
        } else {
            out.extend(wrap(note, lane, 2).into_iter().map(|line| (*ink, line)));
        }
    }
    out
}

fn push(out: &mut String, line: &str) {
    out.push_str(line.trim_end());
    out.push('\n');
}
