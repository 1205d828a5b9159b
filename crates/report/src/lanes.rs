//! The timeline with a lane for each actor.

use unicode_width::UnicodeWidthStr;

use crate::moments::Moment;
use crate::style::{Ink, Style, fit, shorten, wrap};

/// Columns of the step numbers and the blanks after them.
const GUTTER: usize = 6;
/// Blanks between lanes.
const GAP: usize = 2;
/// More lanes than these are hard to follow.
const MOST: usize = 5;
/// A lane narrower than this cannot be read.
const NARROWEST: usize = 24;
/// A lane wider than this is not needed.
const WIDEST: usize = 64;
/// Lines of a statement.
const LINES: usize = 3;

/// Width of a lane, if the actors have room side by side.
pub(crate) fn lane(actors: usize, style: Style) -> Option<usize> {
    if actors == 0 || actors > MOST {
        return None;
    }
    let room = style.columns().saturating_sub(GUTTER + GAP * (actors - 1)) / actors;
    (room >= NARROWEST).then_some(room.min(WIDEST))
}

/// The timeline; `actors` are those that have a lane, by index and name.
pub(crate) fn draw(
    actors: &[(usize, &str)],
    moments: &[Moment],
    lane: usize,
    style: Style,
) -> String {
    let mut out = String::new();
    let blank = " ".repeat(GUTTER);
    let across = |cell: &dyn Fn(usize) -> String| {
        let cells: Vec<String> = (0..actors.len()).map(cell).collect();
        cells.join(&" ".repeat(GAP))
    };
    let names = across(&|n| style.paint(Ink::Actor(actors[n].0), &fit(actors[n].1, lane)));
    let rules = across(&|n| style.paint(Ink::Actor(actors[n].0), &"─".repeat(lane)));
    let offset = |actor: usize| {
        let before = actors.iter().take_while(|(n, _)| *n != actor).count();
        before * (lane + GAP)
    };
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
                let indent = " ".repeat(GUTTER + offset(*actor));
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
                let indent = " ".repeat(offset(*actor));
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
