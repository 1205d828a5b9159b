//! Statements as people and replays know them: a fingerprint that does not depend on values, and a one-line label.

use crate::lexer::{Kind, Token, tokens};

/// Hash of a text in which every literal and parameter is `?`, lists of them are one, names are in lower case and
/// comments are gone. FNV-1a: the same on every machine and in every build.
pub(crate) fn fingerprint(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in normalise(text).bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

/// The text that is hashed.
fn normalise(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let all = tokens(text);
    for (at, token) in all.iter().enumerate() {
        match token.kind {
            Kind::Value | Kind::Number => push_value(&mut words),
            Kind::Quoted | Kind::Word if is_passing_name(&all, at) => words.push("?".to_owned()),
            Kind::Quoted => words.push(token.text.to_owned()),
            Kind::Word => words.push(token.text.to_lowercase()),
            Kind::Sign if token.text == "-" && is_sign_of_number(&all, at) => {}
            Kind::Sign => {
                words.push(token.text.to_owned());
                if token.text == ")" {
                    join_rows(&mut words);
                }
            }
        }
    }
    while words.last().is_some_and(|word| word == ";") {
        words.pop();
    }
    words.join(" ")
}

/// Whether the token is the name of something that a session makes for itself and drivers number as they go: a
/// savepoint, a cursor, a prepared statement.
fn is_passing_name(all: &[Token<'_>], at: usize) -> bool {
    let start = all[..at]
        .iter()
        .rposition(|token| token.text == ";")
        .map_or(0, |end| end + 1);
    let verb = all[start].text.to_ascii_lowercase();
    let is = |token: Option<&Token<'_>>, word: &str| {
        token.is_some_and(|token| token.text.eq_ignore_ascii_case(word))
    };
    let before = at.checked_sub(1).and_then(|before| all.get(before));
    let ends = all.get(at + 1).is_none_or(|token| token.text == ";");
    at > start
        && match verb.as_str() {
            "savepoint" | "release" | "fetch" | "move" => ends,
            "rollback" => ends && (is(before, "to") || is(before, "savepoint")),
            "declare" | "execute" => at == start + 1,
            "prepare" => at == start + 1 && !is(all.get(at), "transaction"),
            "close" => at == start + 1 && !is(all.get(at), "all"),
            "deallocate" => ends && !is(all.get(at), "all"),
            _ => false,
        }
}

/// `?, ?` is `?`.
fn push_value(words: &mut Vec<String>) {
    if let [.., before, comma] = words.as_slice()
        && comma == ","
        && before == "?"
    {
        words.pop();
    } else {
        words.push("?".to_owned());
    }
}

/// `(?), (?)` is `(?)`.
fn join_rows(words: &mut Vec<String>) {
    const TWO: [&str; 7] = ["(", "?", ")", ",", "(", "?", ")"];
    if words.ends_with(&TWO.map(str::to_owned)) {
        words.truncate(words.len() - 4);
    }
}

/// A minus that belongs to the number after it, not to what is before it.
fn is_sign_of_number(all: &[Token<'_>], at: usize) -> bool {
    let number = all
        .get(at + 1)
        .is_some_and(|next| next.kind == Kind::Number);
    let free = at == 0 || matches!(all[at - 1].text, "(" | "," | "=" | "<" | ">" | "[");
    number && free
}

/// The statement on one line of at most `width` characters, comments left out.
pub fn shorten(text: &str, width: usize) -> String {
    let mut line = String::new();
    let mut before: Option<Token<'_>> = None;
    let mut end_before = 0;
    for token in tokens(text) {
        // Both texts are slices of `text`: their distance tells whether something stood between them.
        let start = token.text.as_ptr() as usize - text.as_ptr() as usize;
        if before.is_some() && start > end_before {
            line.push(' ');
        }
        line.extend(
            token
                .text
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c }),
        );
        end_before = start + token.text.len();
        before = Some(token);
        if line.len() > width.saturating_mul(4) {
            break;
        }
    }
    while line.ends_with([';', ' ']) {
        line.pop();
    }
    if line.chars().count() <= width {
        return line;
    }
    let mut short: String = line.chars().take(width.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_savepoints_and_cursors_are_alike() {
        assert_eq!(
            normalise("ROLLBACK TO SAVEPOINT \"s1400_x3\""),
            normalise("rollback to savepoint \"s1400_x4\"")
        );
        assert_eq!(normalise("SAVEPOINT a1"), "savepoint ?");
        assert_eq!(normalise("fetch 100 from \"_cur_1\""), "fetch ? from ?");
        assert_eq!(
            normalise("declare c1 cursor for select 1"),
            "declare ? cursor for select ?"
        );
        assert_eq!(normalise("rollback"), "rollback");
        assert_eq!(normalise("select 1; savepoint a"), "select ? ; savepoint ?");
    }

    #[test]
    fn values_and_lengths_of_lists_do_not_matter() {
        let one = normalise("SELECT * FROM t WHERE id IN (1, 2, -3) AND n = 'x' -- why");
        assert_eq!(one, "select * from t where id in ( ? ) and n = ?");
        assert_eq!(
            one,
            normalise("select * from t\nwhere id in ($1) and n = $2;")
        );
        assert_eq!(
            normalise("insert into t values (1, 'a'), (2, 'b')"),
            normalise("insert into t values ($1, $2)")
        );
        assert_ne!(
            fingerprint("select a from t"),
            fingerprint("select b from t")
        );
    }

    #[test]
    fn labels_are_one_line() {
        assert_eq!(
            shorten("select *\n  from t /* x */ where id=1;", 80),
            "select * from t where id=1"
        );
        assert_eq!(shorten("select something", 8), "select…");
    }
}
