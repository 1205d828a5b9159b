//! Cuts a script into statements, the way `psql` does.

/// One statement of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// Byte at which it begins in the script.
    pub(crate) at: usize,
    /// Its text, without the semicolon and what surrounds it.
    pub(crate) text: &'a str,
}

/// The statements of `script`. Quotes, dollar quotes, comments (nested ones too), parentheses and the bodies
/// of SQL-standard functions (`BEGIN ATOMIC … END`) keep their semicolons.
pub(crate) fn split(script: &str) -> Vec<Piece<'_>> {
    let mut cutter = Cutter {
        script,
        bytes: script.as_bytes(),
        at: 0,
        start: None,
        depth: 0,
        words: Words::default(),
    };
    let mut pieces = Vec::new();
    while cutter.at < cutter.bytes.len() {
        if let Some(piece) = cutter.next_token() {
            pieces.push(piece);
        }
    }
    pieces.extend(cutter.finish(script.len()));
    pieces
}

struct Cutter<'a> {
    script: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Where the current statement began; `None` before its first token.
    start: Option<usize>,
    depth: u32,
    words: Words,
}

/// What the words of the statement so far say about `BEGIN` and `END` in it.
#[derive(Default)]
struct Words {
    first: Vec<String>,
    blocks: u32,
}

impl Words {
    fn take(&mut self, word: &str) {
        let word = word.to_ascii_lowercase();
        if self.first.len() < 4 {
            self.first.push(word.clone());
        }
        if !self.makes_a_function() {
            return;
        }
        match word.as_str() {
            "begin" => self.blocks += 1,
            // CASE ends with END too; outside a body it is an expression of a default.
            "case" if self.blocks > 0 => self.blocks += 1,
            "end" => self.blocks = self.blocks.saturating_sub(1),
            _ => {}
        }
    }

    fn makes_a_function(&self) -> bool {
        let first: Vec<&str> = self.first.iter().map(String::as_str).collect();
        let (["create", "or", "replace", what, ..] | ["create", what, ..]) = first[..] else {
            return false;
        };
        what == "function" || what == "procedure"
    }
}

impl<'a> Cutter<'a> {
    fn next_token(&mut self) -> Option<Piece<'a>> {
        let rest = &self.bytes[self.at..];
        let begin = self.at;
        match rest[0] {
            byte if byte.is_ascii_whitespace() => self.at += 1,
            b'-' if rest.starts_with(b"--") => self.at += until(rest, b"\n"),
            b'/' if rest.starts_with(b"/*") => self.at += comment(rest),
            b';' if self.depth == 0 && self.words.blocks == 0 => {
                self.at += 1;
                return self.finish(begin);
            }
            byte => {
                self.start.get_or_insert(begin);
                self.at += self.token(byte, rest);
            }
        }
        None
    }

    /// Length of a token of a statement.
    fn token(&mut self, byte: u8, rest: &[u8]) -> usize {
        match byte {
            b'\'' => 1 + quoted(&rest[1..], b'\'', self.follows_e()),
            b'"' => 1 + quoted(&rest[1..], b'"', false),
            b'$' => dollar(rest).unwrap_or(1),
            b'(' | b'[' => {
                self.depth += 1;
                1
            }
            b')' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                1
            }
            _ if is_word(byte) => {
                // A dollar sign belongs to the word: `a$b$` opens no quote.
                let length = rest
                    .iter()
                    .take_while(|&&b| is_word(b) || b == b'$')
                    .count();
                self.words.take(&self.script[self.at..self.at + length]);
                length
            }
            _ => 1,
        }
    }

    /// Whether the quote at the current place is one of `E'…'`, in which a backslash escapes.
    fn follows_e(&self) -> bool {
        let before = &self.bytes[..self.at];
        let is_e = before
            .last()
            .is_some_and(|byte| byte.eq_ignore_ascii_case(&b'e'));
        is_e && !before
            .iter()
            .rev()
            .nth(1)
            .is_some_and(|&byte| is_word(byte))
    }

    fn finish(&mut self, end: usize) -> Option<Piece<'a>> {
        self.words = Words::default();
        self.depth = 0;
        let at = self.start.take()?;
        Some(Piece {
            at,
            text: self.script[at..end].trim_end(),
        })
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Bytes up to and including `end`.
fn until(bytes: &[u8], end: &[u8]) -> usize {
    bytes
        .windows(end.len())
        .position(|window| window == end)
        .map_or(bytes.len(), |found| found + end.len())
}

fn comment(bytes: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0);
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

/// Length of the rest of a quoted text, its end included. A doubled quote ends it and begins it anew, which
/// comes to the same.
fn quoted(bytes: &[u8], quote: u8, escapes: bool) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        if escapes && bytes[at] == b'\\' {
            at += 2;
        } else if bytes[at] == quote {
            // In E'…' a doubled quote must not begin a text without escapes.
            if escapes && bytes.get(at + 1) == Some(&quote) {
                at += 2;
            } else {
                return at + 1;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// Length of a dollar-quoted text at the start of `bytes`, if one begins there.
fn dollar(bytes: &[u8]) -> Option<usize> {
    let tag = bytes[1..].iter().take_while(|&&byte| is_word(byte)).count();
    let starts_with_digit = bytes.get(1).is_some_and(u8::is_ascii_digit);
    if starts_with_digit || bytes.get(1 + tag) != Some(&b'$') {
        return None;
    }
    let open = &bytes[..tag + 2];
    Some(open.len() + until(&bytes[open.len()..], open))
}

#[cfg(test)]
mod tests {
    use super::split;

    fn texts(script: &str) -> Vec<&str> {
        split(script).into_iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn semicolons_in_texts_names_and_comments_do_not_cut() {
        let script = "select ';', \"a;b\" -- ; \n, 1 /* ; /* ; */ ; */;select E'it\\'s; ''x'';'; select 'it''s;'";
        assert_eq!(
            texts(script),
            [
                "select ';', \"a;b\" -- ; \n, 1 /* ; /* ; */ ; */",
                "select E'it\\'s; ''x'';'",
                "select 'it''s;'"
            ]
        );
    }

    #[test]
    fn a_body_in_dollars_stays_whole() {
        let body =
            "create function f() returns int language plpgsql as $f$ begin return $$;$$; end; $f$";
        assert_eq!(
            texts(&format!("{body};\nselect f($1)")),
            [body, "select f($1)"]
        );
    }

    #[test]
    fn a_dollar_inside_a_name_opens_nothing() {
        assert_eq!(
            texts("select a$b$ from t; select 2"),
            ["select a$b$ from t", "select 2"]
        );
    }

    #[test]
    fn a_standard_body_stays_whole() {
        let body = "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END";
        assert_eq!(
            texts(&format!("{body}; begin; end;")),
            [body, "begin", "end"]
        );
    }

    #[test]
    fn a_rule_of_several_statements_stays_whole() {
        let rule =
            "create rule r as on insert to t do also (insert into u values (1); delete from v)";
        assert_eq!(texts(&format!("{rule};;  ; -- the end\n")), [rule]);
    }

    #[test]
    fn letters_beyond_ascii_are_no_trouble() {
        let pieces = split("select 'ä' as größe; sélect");
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces[1].text, "sélect");
    }

    #[test]
    fn an_open_quote_takes_the_rest() {
        assert_eq!(
            texts("select 1; select 'open; select $$ x"),
            ["select 1", "select 'open; select $$ x"]
        );
    }
}
