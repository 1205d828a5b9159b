//! Headings and indented, wrapped paragraphs.

use crate::style::{Ink, Style, wrap};

/// A heading on lines of its own.
pub(crate) fn heading(text: &str, style: Style) -> String {
    let mut out = String::new();
    for line in wrap(text, style.columns(), usize::MAX) {
        out.extend([style.paint(Ink::Heading, &line).as_str(), "\n"]);
    }
    out
}

/// Lines indented by two, wrapped to the width.
pub(crate) fn paragraph(text: &str, ink: Ink, style: Style) -> String {
    let mut out = String::new();
    for line in wrap(text, style.columns() - 2, usize::MAX) {
        out.extend(["  ", &style.paint(ink, &line), "\n"]);
    }
    out
}

/// `1 run`, `2 runs`.
pub(crate) fn counted(n: u64, what: &str) -> String {
    if n == 1 {
        format!("1 {what}")
    } else {
        format!("{n} {what}s")
    }
}
