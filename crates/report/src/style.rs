//! Width and colour.

use anstyle::{AnsiColor, Effects, Style as Ansi};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How wide the text may be, and whether it may be coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns; below 40 is taken as 40, above 200 as 200.
    pub width: usize,
    /// Whether to write ANSI escapes.
    pub colour: bool,
}

impl Style {
    /// Plain text of this width.
    pub const fn plain(width: usize) -> Self {
        Self {
            width,
            colour: false,
        }
    }

    pub(crate) fn columns(self) -> usize {
        self.width.clamp(40, 200)
    }

    pub(crate) fn paint(self, ink: Ink, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let ansi = ink.ansi();
        format!("{ansi}{text}{ansi:#}")
    }
}

/// What a text is, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Plain,
    Heading,
    Bad,
    Good,
    Faint,
    Value,
    Wait,
    /// An actor, by index.
    Actor(usize),
}

impl Ink {
    fn ansi(self) -> Ansi {
        const LANES: [AnsiColor; 5] = [
            AnsiColor::Cyan,
            AnsiColor::Magenta,
            AnsiColor::Blue,
            AnsiColor::Green,
            AnsiColor::Yellow,
        ];
        match self {
            Self::Plain => Ansi::new(),
            Self::Heading => Ansi::new().effects(Effects::BOLD),
            Self::Bad => AnsiColor::Red.on_default().effects(Effects::BOLD),
            Self::Good => AnsiColor::Green.on_default().effects(Effects::BOLD),
            Self::Faint => Ansi::new().effects(Effects::DIMMED),
            Self::Value => AnsiColor::Green.on_default(),
            Self::Wait => AnsiColor::Yellow.on_default(),
            Self::Actor(n) => LANES[n % LANES.len()].on_default(),
        }
    }
}

/// The text in exactly this many columns: cut with `…` or filled up with blanks.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    let mut out = shorten(text, columns);
    let used = out.width();
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(used)));
    out
}

/// The text in at most this many columns.
pub(crate) fn shorten(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut out = take(text, columns.saturating_sub(1));
    out.truncate(out.trim_end().len());
    out.push('…');
    out
}

/// As many characters as fit.
fn take(text: &str, columns: usize) -> String {
    let mut used = 0;
    text.chars()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= columns
        })
        .collect()
}

/// The text in lines of at most this many columns, broken between words where possible; at most `most` lines, the
/// last of which is cut if there is more.
pub(crate) fn wrap(text: &str, columns: usize, most: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut word = word;
        if !line.is_empty() && line.width() + 1 + word.width() > columns {
            lines.push(std::mem::take(&mut line));
        }
        while line.is_empty() && word.width() > columns {
            let head = take(word, columns);
            if head.is_empty() {
                break;
            }
            word = &word[head.len()..];
            lines.push(head);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    if lines.len() > most && most > 0 {
        let rest = lines.split_off(most - 1).join(" ");
        lines.push(shorten(&rest, columns));
    }
    lines
}
