//! Just enough of SQL's surface to tell statements apart and to find `:n` in them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::template::Unfilled;

/// One statement of a SQL session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SqlStep {
    /// A condition; the statement is left out when it is not true. `:n` stands for a value as in `run`.
    pub when: Option<String>,
    /// The statement. `:n` stands for the column `n` of the latest one-row result that had one.
    pub run: String,
}

/// How far a quoted text, a comment or a dollar-quoted text at the start reaches; 0 if there is none.
fn opaque(text: &str) -> usize {
    let until = |end: &str, skip: usize| {
        text[skip..]
            .find(end)
            .map_or(text.len(), |at| skip + at + end.len())
    };
    if text.starts_with('\'') || text.starts_with('"') {
        return until(&text[..1], 1);
    }
    if text.starts_with("E'") || text.starts_with("e'") {
        return escape_string(text);
    }
    if text.starts_with("--") {
        return until("\n", 2);
    }
    if text.starts_with("/*") {
        return block_comment(text);
    }
    let tag = text.strip_prefix('$').and_then(|rest| rest.find('$'));
    match tag.map(|end| &text[..end + 2]) {
        Some(tag) if tag == "$$" || crate::template::is_name(&tag[1..tag.len() - 1]) => {
            until(tag, tag.len())
        }
        _ => 0,
    }
}

/// Reach of `E'…'`, in which a backslash takes the next character with it.
fn escape_string(text: &str) -> usize {
    let mut chars = text.char_indices().skip(2);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '\'' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Reach of a comment, which may hold others.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    text.len()
}

/// A part of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// Text in which nothing is special: quoted, or plain.
    Text(&'a str),
    /// White space and comments.
    Blank(&'a str),
    /// `:name`
    Variable(&'a str),
    /// `;`
    End,
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn first_piece(text: &str, before: Option<char>) -> (Piece<'_>, usize) {
    let first = text.chars().next().map_or(0, char::len_utf8);
    let in_word = before.is_some_and(|c| is_word(c) || c == '$');
    let special = if in_word && !text.starts_with(['\'', '"', '-', '/']) {
        0
    } else {
        opaque(text)
    };
    if special > 0 {
        let blank = text.starts_with("--") || text.starts_with("/*");
        let piece = if blank {
            Piece::Blank(&text[..special])
        } else {
            Piece::Text(&text[..special])
        };
        return (piece, special);
    }
    if text.starts_with("::") {
        return (Piece::Text("::"), 2);
    }
    if let Some(rest) = text.strip_prefix(':') {
        let name = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
        // After a word or a bracket the colon is an array's slice: `a[1:n]` has none.
        if crate::template::is_name(name) && !in_word {
            return (Piece::Variable(name), name.len() + 1);
        }
    }
    match text.chars().next() {
        Some(';') => (Piece::End, 1),
        Some(c) if c.is_whitespace() => (Piece::Blank(&text[..first]), first),
        _ => (Piece::Text(&text[..first]), first),
    }
}

fn pieces(mut text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut before = None;
    while !text.is_empty() {
        let (piece, length) = first_piece(text, before);
        before = text[..length].chars().next_back();
        text = &text[length..];
        pieces.push(piece);
    }
    pieces
}

/// How many statements a text holds; comments and empty ones do not count.
pub(crate) fn count_statements(text: &str) -> usize {
    let pieces = pieces(text);
    let statements = pieces.split(|piece| *piece == Piece::End);
    statements
        .filter(|part| part.iter().any(|piece| !matches!(piece, Piece::Blank(_))))
        .count()
}

/// Puts the values of `:n` variables in, as quoted literals (`None` is NULL). `::type` and what stands in quotes,
/// dollar quotes and comments is left as it is.
///
/// # Errors
/// If a variable has no value.
pub fn fill_sql(text: &str, values: &BTreeMap<String, Option<String>>) -> Result<String, Unfilled> {
    let mut filled = String::new();
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) | Piece::Blank(text) => filled.push_str(text),
            Piece::End => filled.push(';'),
            Piece::Variable(name) => match values.get(name) {
                Some(Some(value)) => filled.push_str(&literal(value)),
                Some(None) => filled.push_str("NULL"),
                None => return Err(Unfilled { name: name.into() }),
            },
        }
    }
    Ok(filled)
}

/// A value as a literal that means the same whatever `standard_conforming_strings` says.
fn literal(value: &str) -> String {
    let quoted = value.replace('\'', "''");
    if quoted.contains('\\') {
        format!(" E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_counted_as_the_server_would() {
        assert_eq!(count_statements("select 1"), 1);
        assert_eq!(
            count_statements("select 1; -- done;\n ; /* ; /* ; */ ; */"),
            1
        );
        assert_eq!(
            count_statements("select ';', \";\", E'\\';', $$;$$, $a$;$$;$a$"),
            1
        );
        assert_eq!(count_statements("begin; commit"), 2);
        assert_eq!(count_statements("select a$b;$b"), 2);
        assert_eq!(count_statements(" -- nothing"), 0);
        assert_eq!(count_statements("select 'never closed; really"), 1);
    }

    #[test]
    fn a_count_is_used_in_the_next_statement() {
        let values = BTreeMap::from([
            ("n".into(), Some("3".into())),
            ("nick".into(), Some("o'neil\\".into())),
            ("gone".into(), None),
        ]);
        let fill = |text| fill_sql(text, &values);
        assert_eq!(fill(":n < 4").unwrap(), "'3' < 4");
        assert_eq!(
            fill("select :n::int, ':n', x::n, a[1:n] -- :n").unwrap(),
            "select '3'::int, ':n', x::n, a[1:n] -- :n"
        );
        assert_eq!(
            fill("values (:nick,:gone)").unwrap(),
            "values ( E'o''neil\\\\',NULL)"
        );
        assert_eq!(
            fill("select :m").unwrap_err().to_string(),
            "nothing has saved `m`"
        );
    }
}
