//! Texts with holes: what two runs of the same schedule say about one value.
//!
//! `/orders/7` and `/orders/1007` with an offset of 1000 give `/orders/` and a hole for a generated id; two session
//! cookies give a hole for a token; two clock readings a blank. Ids and tokens are renamed, blanks are not compared.

use std::collections::BTreeSet;

/// A part of a learned text. Ordered so that sets of patterns have one order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Piece {
    /// Stays as it is.
    Literal(String),
    /// Moved by this offset together with a sequence.
    Id(i64),
    /// A random token: which one does not matter, whether it is the same one does.
    Token,
    /// A clock or something too short to be told from chance: not compared.
    Blank,
}

pub(crate) type Pattern = Vec<Piece>;

/// What is shorter may be equal by chance.
const SHORTEST_TOKEN: usize = 6;

/// What the two texts of one place have in common; `None` when they are equal.
pub(crate) fn learn(first: &str, second: &str, offsets: &BTreeSet<i64>) -> Option<Pattern> {
    if first == second {
        return None;
    }
    if let (Ok(a), Ok(b)) = (first.parse::<i64>(), second.parse::<i64>())
        && offsets.contains(&(b.wrapping_sub(a)))
    {
        return Some(vec![Piece::Id(b - a)]);
    }
    if first.parse::<f64>().is_ok() && second.parse::<f64>().is_ok() {
        return Some(vec![noise(first, second)]);
    }
    let (a, b) = (tokens(first), tokens(second));
    let same_shape = a.len() == b.len()
        && a.iter()
            .zip(&b)
            .all(|(x, y)| x.kind == y.kind && (x.kind != TokenKind::Other || x.text == y.text));
    let pieces = if same_shape {
        a.iter()
            .zip(&b)
            .flat_map(|(x, y)| learn_token(x, y, offsets))
            .collect()
    } else {
        around(&a, &b)
    };
    Some(widen(join(pieces)))
}

/// A token reaches to the next white space, quote, bracket or the like: what two signed or compressed values begin with
/// alike says nothing about a third, nor where in them a digit has moved.
fn widen(pattern: Pattern) -> Pattern {
    let inside = |c: char| c.is_ascii_alphanumeric() || "_-.+~=:".contains(c);
    let mut out = Pattern::new();
    for piece in pattern {
        match piece {
            Piece::Token => {
                while let Some(before) = out.pop() {
                    match before {
                        Piece::Token | Piece::Blank => {}
                        Piece::Literal(text) => {
                            let kept = text.trim_end_matches(inside);
                            if !kept.is_empty() {
                                out.push(Piece::Literal(kept.to_owned()));
                                break;
                            }
                        }
                        id @ Piece::Id(_) => {
                            out.push(id);
                            break;
                        }
                    }
                }
                out.push(Piece::Token);
            }
            Piece::Blank if out.last() == Some(&Piece::Token) => {}
            Piece::Literal(text) if out.last() == Some(&Piece::Token) => {
                let rest = text.trim_start_matches(inside);
                if !rest.is_empty() {
                    out.push(Piece::Literal(rest.to_owned()));
                }
            }
            piece => out.push(piece),
        }
    }
    out
}

fn learn_token(a: &Token, b: &Token, offsets: &BTreeSet<i64>) -> Vec<Piece> {
    if a.text == b.text {
        return vec![Piece::Literal(a.text.to_owned())];
    }
    if a.kind == TokenKind::Clock {
        return vec![Piece::Blank];
    }
    let (first, second) = (digit_runs(a.text), digit_runs(b.text));
    let is_digits = |run: &str| run.starts_with(|c: char| c.is_ascii_digit());
    let aligned = first.len() == second.len()
        && first
            .iter()
            .zip(&second)
            .all(|(x, y)| x == y || (is_digits(x) && is_digits(y)));
    if !aligned {
        return vec![noise(a.text, b.text)];
    }
    let piece = |before: &str, after: &str| {
        if before == after {
            return Piece::Literal(before.to_owned());
        }
        match (before.parse::<i64>(), after.parse::<i64>()) {
            (Ok(x), Ok(y)) if offsets.contains(&y.wrapping_sub(x)) => Piece::Id(y - x),
            _ => noise(before, after),
        }
    };
    first
        .iter()
        .zip(&second)
        .map(|(before, after)| piece(before, after))
        .collect()
}

/// A pair of values that have nothing in common: a token when long enough not to be equal by chance.
fn noise(a: &str, b: &str) -> Piece {
    let shortest = a.len().min(b.len());
    let number = a.parse::<f64>().is_ok() && b.parse::<f64>().is_ok();
    // Seconds, milli-, micro- and nanoseconds since 1970 all start like this until 2033.
    let epoch = number && a.starts_with('1') && b.starts_with('1') && a.get(..2) == b.get(..2);
    if shortest < SHORTEST_TOKEN || (number && (shortest < 10 || epoch)) {
        Piece::Blank
    } else {
        Piece::Token
    }
}

/// Common beginning and end, one hole between.
fn around(a: &[Token], b: &[Token]) -> Vec<Piece> {
    let front = a
        .iter()
        .zip(b)
        .take_while(|(x, y)| x.text == y.text)
        .count();
    let rest = a.len().min(b.len()) - front;
    let back = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take(rest)
        .take_while(|(x, y)| x.text == y.text)
        .count();
    let text = |tokens: &[Token]| tokens.iter().map(|t| t.text).collect::<String>();
    let middle = [
        text(&a[front..a.len() - back]),
        text(&b[front..b.len() - back]),
    ];
    // Several words are prose, or a list: no token that could be met again.
    let prose = middle
        .iter()
        .any(|m| m.contains(char::is_whitespace) || m.len() < SHORTEST_TOKEN);
    vec![
        Piece::Literal(text(&a[..front])),
        if prose { Piece::Blank } else { Piece::Token },
        Piece::Literal(text(&a[a.len() - back..])),
    ]
}

/// Joins literals, and tokens that are only apart by what base64 and the like are made of.
fn join(pieces: Vec<Piece>) -> Pattern {
    let mut out: Pattern = Vec::new();
    for piece in pieces {
        let glued = matches!(&piece, Piece::Token | Piece::Blank)
            && match out.as_slice() {
                [.., Piece::Token | Piece::Blank] => true,
                [.., Piece::Token | Piece::Blank, Piece::Literal(between)] => {
                    !between.is_empty() && between.chars().all(|c| "+/=.~".contains(c))
                }
                _ => false,
            };
        if glued {
            if matches!(out.last(), Some(Piece::Literal(_))) {
                out.pop();
            }
            if piece == Piece::Token {
                out.pop();
                out.push(Piece::Token);
            }
            continue;
        }
        let piece = match (out.last(), piece) {
            (Some(Piece::Token | Piece::Blank), Piece::Literal(text)) => {
                Piece::Literal(unpadded(&text))
            }
            (_, piece) => piece,
        };
        match (out.last_mut(), piece) {
            (_, Piece::Literal(text)) if text.is_empty() => {}
            (Some(Piece::Literal(before)), Piece::Literal(text)) => before.push_str(&text),
            (_, piece) => out.push(piece),
        }
    }
    out
}

/// The padding of base64 belongs to the token before it: another token may have none.
fn unpadded(after: &str) -> String {
    let rest = after.trim_start_matches('=');
    if rest.starts_with(char::is_alphanumeric) {
        after.to_owned()
    } else {
        rest.to_owned()
    }
}

/// The texts in the holes, if the text fits the pattern.
pub(crate) fn fit<'t>(pattern: &[Piece], text: &'t str) -> Option<Vec<&'t str>> {
    let Some((piece, rest)) = pattern.split_first() else {
        return text.is_empty().then(Vec::new);
    };
    let with = |value: &'t str, after: &'t str| {
        let mut found = fit(rest, after)?;
        found.insert(0, value);
        Some(found)
    };
    match piece {
        Piece::Literal(literal) => fit(rest, text.strip_prefix(literal.as_str())?),
        Piece::Id(_) => {
            let end = text
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len());
            (end > 0).then(|| with(&text[..end], &text[end..]))?
        }
        Piece::Token | Piece::Blank => {
            let takes = |value: &str| {
                *piece == Piece::Blank
                    || (value.len() >= SHORTEST_TOKEN && !value.contains(char::is_whitespace))
            };
            let ends: Vec<usize> = match rest.first() {
                None => vec![text.len()],
                Some(Piece::Literal(next)) => {
                    text.match_indices(next.as_str()).map(|m| m.0).collect()
                }
                Some(_) => text.char_indices().map(|c| c.0).collect(),
            };
            ends.into_iter()
                .filter(|at| *at > 0 && takes(&text[..*at]))
                .find_map(|at| with(&text[..at], &text[at..]))
        }
    }
}

/// How much of the pattern is fixed: the more, the earlier it is tried.
pub(crate) fn literal_length(pattern: &[Piece]) -> usize {
    pattern
        .iter()
        .map(|piece| match piece {
            Piece::Literal(text) => text.len(),
            _ => 0,
        })
        .sum()
}

/// The text with everything that reads like a clock cut out; `None` when nothing does.
pub(crate) fn without_clocks(text: &str) -> Option<String> {
    let tokens = tokens(text);
    tokens.iter().any(|t| t.kind == TokenKind::Clock).then(|| {
        tokens
            .iter()
            .map(|t| {
                if t.kind == TokenKind::Clock {
                    "(time)"
                } else {
                    t.text
                }
            })
            .collect()
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TokenKind {
    Word,
    Clock,
    Other,
}

struct Token<'t> {
    text: &'t str,
    kind: TokenKind,
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let clock = clock_length(rest);
        let (length, kind) = if clock > 0 {
            (clock, TokenKind::Clock)
        } else if word(first) {
            (
                rest.find(|c| !word(c)).unwrap_or(rest.len()),
                TokenKind::Word,
            )
        } else {
            (rest.find(word).unwrap_or(rest.len()), TokenKind::Other)
        };
        out.push(Token {
            text: &rest[..length],
            kind,
        });
        rest = &rest[length..];
    }
    out
}

fn digit_runs(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digit = first.is_ascii_digit();
        let length = rest
            .find(|c: char| c.is_ascii_digit() != digit)
            .unwrap_or(rest.len());
        out.push(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

/// Length of a date with a time of day at the start of the text (ISO 8601 or RFC 9110), 0 if there is none.
fn clock_length(text: &str) -> usize {
    let iso = shape_length(text, "dddd-dd-dd")
        .and_then(|date| {
            let rest = text[date..].strip_prefix(['T', ' ', 't'])?;
            shape_length(rest, "dd:dd").map(|time| date + 1 + time)
        })
        .map_or(0, |length| length + clock_tail(&text[length..]));
    if iso > 0 {
        return iso;
    }
    [
        "aaa, dd aaa dddd dd:dd:dd GMT",
        "aaa, dd-aaa-dddd dd:dd:dd GMT",
    ]
    .iter()
    .find_map(|shape| shape_length(text, shape))
    .unwrap_or(0)
}

/// Seconds, fraction and time zone.
fn clock_tail(text: &str) -> usize {
    let digits = |at: usize| text[at..].bytes().take_while(u8::is_ascii_digit).count();
    let mut at = shape_length(text, ":dd").unwrap_or(0);
    if at > 0 && text[at..].starts_with('.') && digits(at + 1) > 0 {
        at += 1 + digits(at + 1);
    }
    let zone = &text[at..];
    if zone.starts_with(['Z', 'z']) {
        return at + 1;
    }
    for shape in ["+dd:dd", "-dd:dd", "+dddd", "-dddd", "+dd", "-dd"] {
        if let Some(length) = shape_length(zone, shape) {
            return at + length;
        }
    }
    at
}

/// Whether the text starts with the shape: `d` a digit, `a` a letter, anything else itself.
fn shape_length(text: &str, shape: &str) -> Option<usize> {
    let bytes = text.as_bytes().get(..shape.len())?;
    let fits = shape.bytes().zip(bytes).all(|(want, have)| match want {
        b'd' => have.is_ascii_digit(),
        b'a' => have.is_ascii_alphabetic(),
        other => other == *have,
    });
    fits.then_some(shape.len())
}
