//! The least that must be known of SQL text without parsing it: its tokens. Used to normalise and shorten statements,
//! to bound how deep a parse can go, and to see which names the body of a function mentions.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or keyword, not quoted.
    Word,
    /// A quoted name.
    Quoted,
    /// A string of any kind, a number, or a parameter.
    Value,
    /// A number.
    Number,
    /// One character of an operator or punctuation.
    Sign,
}

/// A token and its text; white space and comments are left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
}

/// Splits a text into tokens.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at].is_ascii_whitespace() || bytes[at] == 0x0b {
            at += 1;
            continue;
        }
        if bytes[at..].starts_with(b"--") {
            at += bytes[at..]
                .iter()
                .position(|b| *b == b'\n')
                .unwrap_or(bytes.len() - at);
            continue;
        }
        if bytes[at..].starts_with(b"/*") {
            at = comment_end(bytes, at);
            continue;
        }
        let (kind, end) = token_end(bytes, at);
        // A token ends before an ASCII byte or at the end of a run of non-ASCII ones, so on a character boundary.
        if let Some(text) = text.get(at..end) {
            found.push(Token { kind, text });
        }
        at = end;
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn token_end(bytes: &[u8], at: usize) -> (Kind, usize) {
    let next = bytes.get(at + 1).copied().unwrap_or(0);
    match bytes[at] {
        b'\'' => (Kind::Value, quoted_end(bytes, at, false)),
        b'"' => (Kind::Quoted, quoted_end(bytes, at, false)),
        b'e' | b'E' if next == b'\'' => (Kind::Value, quoted_end(bytes, at + 1, true)),
        b'b' | b'B' | b'x' | b'X' | b'n' | b'N' if next == b'\'' => {
            (Kind::Value, quoted_end(bytes, at + 1, false))
        }
        b'u' | b'U' if next == b'&' && matches!(bytes.get(at + 2), Some(b'\'')) => {
            (Kind::Value, quoted_end(bytes, at + 2, false))
        }
        b'u' | b'U' if next == b'&' && matches!(bytes.get(at + 2), Some(b'"')) => {
            (Kind::Quoted, quoted_end(bytes, at + 2, false))
        }
        b'$' if next.is_ascii_digit() => {
            let digits = bytes[at + 1..]
                .iter()
                .take_while(|b| b.is_ascii_digit())
                .count();
            (Kind::Value, at + 1 + digits)
        }
        b'$' => match dollar_end(bytes, at) {
            Some(end) => (Kind::Value, end),
            None => (Kind::Sign, at + 1),
        },
        b'0'..=b'9' => (Kind::Number, number_end(bytes, at)),
        b'.' if next.is_ascii_digit() => (Kind::Number, number_end(bytes, at)),
        byte if is_word(byte) => (
            Kind::Word,
            at + bytes[at..].iter().take_while(|b| is_word(**b)).count(),
        ),
        _ => (Kind::Sign, at + 1),
    }
}

/// Comments nest.
fn comment_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// End of what the quote at `at` opens; a doubled quote stands for itself, and so does, if `escapes`, one after `\`.
fn quoted_end(bytes: &[u8], at: usize, escapes: bool) -> usize {
    let quote = bytes[at];
    let mut at = at + 1;
    while at < bytes.len() {
        if escapes && bytes[at] == b'\\' {
            at += 2;
        } else if bytes[at] != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    bytes.len()
}

fn dollar_end(bytes: &[u8], at: usize) -> Option<usize> {
    let tag = bytes[at + 1..]
        .iter()
        .take_while(|b| is_word(**b) && **b != b'$')
        .count();
    if bytes.get(at + 1 + tag) != Some(&b'$') {
        return None;
    }
    let mark = &bytes[at..=at + 1 + tag];
    let body = at + mark.len();
    let end = bytes[body..]
        .windows(mark.len())
        .position(|window| window == mark);
    Some(end.map_or(bytes.len(), |end| body + end + mark.len()))
}

fn number_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at;
    while end < bytes.len() {
        let exponent = matches!(bytes[end], b'+' | b'-')
            && matches!(bytes[end - 1], b'e' | b'E')
            && bytes[at..end]
                .iter()
                .filter(|b| b.is_ascii_alphabetic())
                .count()
                == 1;
        if !(bytes[end].is_ascii_alphanumeric() || matches!(bytes[end], b'.' | b'_') || exponent)
            || end > at && bytes[end - 1..].starts_with(b"..")
        {
            break;
        }
        end += 1;
    }
    end.max(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        tokens(sql).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn strings_names_and_comments_end_where_postgres_ends_them() {
        assert_eq!(
            texts("select 'it''s', \"a\"\"b\" -- no\n, 1"),
            ["select", "'it''s'", ",", "\"a\"\"b\"", ",", "1"]
        );
        assert_eq!(
            texts(r"select E'\'x', $a$ ' $a$, $1 /* /* */ */ +1.5e-3"),
            [
                "select",
                r"E'\'x'",
                ",",
                "$a$ ' $a$",
                ",",
                "$1",
                "+",
                "1.5e-3"
            ]
        );
        assert_eq!(texts("a$1 é1 'open"), ["a$1", "é1", "'open"]);
    }
}
