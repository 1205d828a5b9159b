//! From the text of a spec to words, names, numbers, marks and blocks of SQL, each with its place.

use std::ops::Range;

use crate::problem::Problem;

/// What a piece of the text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Keyword(Keyword),
    Name(String),
    Number(u64),
    Sql(String),
    Mark(char),
}

/// A word with a meaning; written as here, in lower case and without quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    Notices,
    Permutation,
    Session,
    Setup,
    Step,
    Teardown,
}

impl Keyword {
    const ALL: [(&'static str, Self); 6] = [
        ("notices", Self::Notices),
        ("permutation", Self::Permutation),
        ("session", Self::Session),
        ("setup", Self::Setup),
        ("step", Self::Step),
        ("teardown", Self::Teardown),
    ];

    pub(crate) fn word(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(_, keyword)| *keyword == self)
            .map_or("", |(word, _)| word)
    }
}

/// A piece of the text and where it stands, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) token: Token,
    pub(crate) span: Range<usize>,
}

/// Blanks that are trimmed at the ends of a block; a newline is none of them.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\u{c}'];

/// Takes a text apart.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece>, Problem> {
    let mut lexer = Lexer { text, at: 0 };
    let mut found = Vec::new();
    while let Some(piece) = lexer.next()? {
        found.push(piece);
    }
    Ok(found)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_while(&mut self, keep: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(keep).len();
    }

    fn next(&mut self) -> Result<Option<Piece>, Problem> {
        loop {
            self.skip_while(|c| c == '\n' || BLANKS.contains(&c));
            if !self.rest().starts_with('#') {
                break;
            }
            self.skip_while(|c| c != '\n' && c != '\r');
        }
        let start = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok(None);
        };
        let token = match first {
            '{' => self.sql()?,
            '"' => self.quoted()?,
            ',' | '(' | ')' | '*' => {
                self.at += 1;
                Token::Mark(first)
            }
            '0'..='9' => self.number()?,
            c if begins_name(c) => self.word(),
            c => {
                let problem = Problem::new(
                    format!("unexpected character {c:?}"),
                    start..start + c.len_utf8(),
                );
                let mend = "outside SQL there are only words, \"names\", numbers, { blocks }, ( ) , * and # comments";
                return Err(problem.mended_by(mend));
            }
        };
        Ok(Some(Piece {
            token,
            span: start..self.at,
        }))
    }

    fn sql(&mut self) -> Result<Token, Problem> {
        let start = self.at;
        self.at += 1;
        let Some(length) = self.rest().find('}') else {
            return Err(
                Problem::new("this block of SQL has no end", start..start + 1)
                    .mended_by("close it with }"),
            );
        };
        let sql = &self.rest()[..length];
        let sql = sql
            .trim_start_matches(BLANKS)
            .trim_end_matches(BLANKS)
            .to_owned();
        self.at += length + 1;
        Ok(Token::Sql(sql))
    }

    fn quoted(&mut self) -> Result<Token, Problem> {
        let start = self.at;
        self.at += 1;
        let mut name = String::new();
        let mut rest = self.rest().char_indices().peekable();
        while let Some((at, c)) = rest.next() {
            match c {
                '"' if rest.next_if(|(_, c)| *c == '"').is_some() => name.push('"'),
                '"' => {
                    self.at += at + 1;
                    return Ok(Token::Name(name));
                }
                '\n' => break,
                c => name.push(c),
            }
        }
        let end = start + 1 + self.rest().find('\n').unwrap_or(self.rest().len());
        Err(
            Problem::new("this quoted name does not end on its line", start..end)
                .mended_by("close it with \"; a quote within a name is written \"\""),
        )
    }

    fn number(&mut self) -> Result<Token, Problem> {
        let start = self.at;
        self.skip_while(|c| c.is_ascii_digit());
        let digits = &self.text[start..self.at];
        // The original reads a C int.
        match digits.parse::<i32>() {
            Ok(number) => Ok(Token::Number(u64::from(number.unsigned_abs()))),
            Err(_) => Err(Problem::new("this number is too large", start..self.at)
                .mended_by(format!("write at most {}", i32::MAX))),
        }
    }

    fn word(&mut self) -> Token {
        let start = self.at;
        self.skip_while(|c| begins_name(c) || c.is_ascii_digit() || c == '$');
        let word = &self.text[start..self.at];
        let mut keywords = Keyword::ALL.iter();
        keywords.find(|(known, _)| *known == word).map_or_else(
            || Token::Name(word.to_owned()),
            |(_, keyword)| Token::Keyword(*keyword),
        )
    }
}

fn begins_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        let found = pieces(text).unwrap_or_else(|problem| panic!("{problem}"));
        found.into_iter().map(|piece| piece.token).collect()
    }

    fn name(text: &str) -> Token {
        Token::Name(text.to_owned())
    }

    #[test]
    fn words_names_and_marks_are_told_apart() {
        assert_eq!(
            tokens("step \"step\" Step steps s1$(*, über notices 3)"),
            [
                Token::Keyword(Keyword::Step),
                name("step"),
                name("Step"),
                name("steps"),
                name("s1$"),
                Token::Mark('('),
                Token::Mark('*'),
                Token::Mark(','),
                name("über"),
                Token::Keyword(Keyword::Notices),
                Token::Number(3),
                Token::Mark(')'),
            ]
        );
    }

    #[test]
    fn blanks_at_the_ends_of_a_block_go_and_newlines_stay() {
        let sql = |text: &str| Token::Sql(text.to_owned());
        assert_eq!(tokens("{ \t\r\u{c}SELECT 1; \t}"), [sql("SELECT 1;")]);
        assert_eq!(tokens("{ \n  SELECT 1;\n }"), [sql("\n  SELECT 1;\n")]);
        assert_eq!(tokens("{}{ # no comment }"), [sql(""), sql("# no comment")]);
    }

    #[test]
    fn quotes_are_doubled_in_names_and_comments_end_with_their_line() {
        assert_eq!(
            tokens("\"a\"\"b\" # \"c\"\n\"\" \"\"\"\""),
            [name("a\"b"), name(""), name("\"")]
        );
    }

    #[test]
    fn what_does_not_end_is_told_with_its_place() {
        for (text, span) in [
            ("a { b", 2..3),
            ("a \"b\nc\"", 2..4),
            ("a \"b", 2..4),
            ("a ; b", 2..3),
        ] {
            assert_eq!(pieces(text).unwrap_err().span, span, "{text}");
        }
        assert_eq!(pieces("99999999999").unwrap_err().span, 0..11);
    }
}
