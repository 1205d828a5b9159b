//! Results and messages as libpq writes them: the layout of its old `PQprint`, aligned, with `|` between columns.
//!
//! A column is put to the right if everything in it looks like a number; lengths are counted in bytes. (The first
//! character of a value is not required to be a digit, its last one is: `1e5`, `-3` and `1 2` are numbers, `e5` is none.)

use crate::reply::{Message, Table};

/// Prints rows; nothing where there are no columns.
pub(crate) fn print(table: &Table, out: &mut Vec<u8>) {
    if table.columns.is_empty() {
        return;
    }
    let columns: Vec<Column> = (0..table.columns.len())
        .map(|at| Column::of(table, at))
        .collect();
    line(&columns, table.columns.iter().map(Vec::as_slice), out);
    let border: Vec<Vec<u8>> = columns
        .iter()
        .map(|column| vec![b'-'; column.width])
        .collect();
    out.extend(border.join(&b'+'));
    out.push(b'\n');
    for row in &table.rows {
        line(
            &columns,
            row.iter().map(|value| value.as_deref().unwrap_or_default()),
            out,
        );
    }
    let count = table.rows.len();
    let rows = if count == 1 { "row" } else { "rows" };
    out.extend(format!("({count} {rows})\n\n").into_bytes());
}

struct Column {
    width: usize,
    is_number: bool,
}

impl Column {
    fn of(table: &Table, at: usize) -> Self {
        let values = || {
            table
                .rows
                .iter()
                .filter_map(move |row| row.get(at)?.as_deref())
        };
        let longest = values().map(<[u8]>::len).max().unwrap_or(0);
        Self {
            width: longest.max(table.columns[at].len()),
            is_number: values()
                .filter(|value| !value.is_empty())
                .all(looks_like_a_number),
        }
    }
}

fn looks_like_a_number(value: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_digit() || b".Ee -".contains(byte);
    value.iter().all(allowed)
        && !value.starts_with(b"E")
        && !value.starts_with(b"e")
        && value.last().is_some_and(u8::is_ascii_digit)
}

fn line<'a>(columns: &[Column], values: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    for (at, (column, value)) in columns.iter().zip(values).enumerate() {
        if at > 0 {
            out.push(b'|');
        }
        let blanks = std::iter::repeat_n(b' ', column.width.saturating_sub(value.len()));
        if column.is_number {
            out.extend(blanks);
            out.extend(value);
        } else {
            out.extend(value);
            out.extend(blanks);
        }
    }
    out.push(b'\n');
}

/// What a step that failed prints: details may hold numbers of transactions, which are never the same.
pub(crate) fn error(message: &Message, out: &mut Vec<u8>) {
    match (message.field(b'S'), message.field(b'M')) {
        (Some(severity), Some(primary)) => {
            out.extend([severity, b":  ", primary, b"\n"].concat());
        }
        _ => {
            out.extend(in_full(message, true));
            out.push(b'\n');
        }
    }
}

/// A message with all that is shown of it by default: its place in the query, detail, hint, and for errors the context.
pub(crate) fn in_full(message: &Message, is_error: bool) -> Vec<u8> {
    if let Some(plain) = message.field(Message::OWN) {
        return plain.to_vec();
    }
    let mut out = Vec::new();
    if let Some(severity) = message.field(b'S') {
        out.extend([severity, b":  "].concat());
    }
    out.extend(message.field(b'M').unwrap_or_default());
    let number = |code: u8| -> Option<usize> {
        let digits = std::str::from_utf8(message.field(code)?).ok()?;
        digits.parse().ok()
    };
    let internal = || message.field(b'q').zip(number(b'p'));
    let place = match number(b'P') {
        Some(position) => Some((message.query.as_bytes(), position)),
        None => internal(),
    };
    out.push(b'\n');
    if let Some((query, position)) = place {
        pointer(query, position, &mut out);
    }
    let labelled = [
        (b'D', "DETAIL"),
        (b'H', "HINT"),
        (b'q', "QUERY"),
        (b'W', "CONTEXT"),
    ];
    for (code, label) in labelled {
        let shown = code != b'W' || is_error;
        if let Some(text) = message.field(code).filter(|_| shown) {
            out.extend([label.as_bytes(), b":  ", text, b"\n"].concat());
        }
    }
    out
}

/// Columns of a query's line that are shown.
const SHOWN: usize = 60;
/// Columns that are left between the place and the end of what is shown.
const MARGIN: usize = 10;

/// Shows the line of the query that a position is in (counted in characters, from 1) and points at it.
fn pointer(query: &[u8], position: usize, out: &mut Vec<u8>) {
    let text: Vec<char> = String::from_utf8_lossy(query).chars().collect();
    let Some(at) = position.checked_sub(1).filter(|at| *at <= text.len()) else {
        return;
    };
    let is_end = |c: &char| *c == '\n' || *c == '\r';
    let start = text[..at].iter().rposition(is_end).map_or(0, |end| end + 1);
    let end = text[at..]
        .iter()
        .position(is_end)
        .map_or(text.len(), |end| at + end);
    let ends = (0..at).filter(|&i| match text[i] {
        '\r' => true,
        '\n' => i == 0 || text[i - 1] != '\r',
        _ => false,
    });
    let number = 1 + ends.count();
    let (mut from, mut to) = (start, end);
    if to - from > SHOWN {
        to = if from + SHOWN >= at + MARGIN {
            from + SHOWN
        } else {
            end.min(at + MARGIN)
        };
        from = from.max(to.saturating_sub(SHOWN));
    }
    let (before, after) = (
        if from > start { "..." } else { "" },
        if to < end { "..." } else { "" },
    );
    let blank = |c: &char| if *c == '\t' { ' ' } else { *c };
    let shown: String = text[from..to].iter().map(blank).collect();
    let head = format!("LINE {number}: {before}");
    out.extend(format!("{head}{shown}{after}\n").into_bytes());
    out.extend(format!("{}^\n", " ".repeat(head.chars().count() + at - from)).into_bytes());
}
