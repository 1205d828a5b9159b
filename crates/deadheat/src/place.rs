//! Places in a scenario's text: where the value stands that a trouble of a lab is about.

use std::ops::Range;
use std::path::Path;

use deadheat_sandbox::SetupError;

/// A place in a file.
pub struct Place {
    /// The file, as it is shown.
    pub file: String,
    /// Its text.
    pub text: String,
    /// Bytes of the text.
    pub span: Range<usize>,
}

/// The value in the first section that begins with `header` (`[service.web]`; `[database` for any database), or the
/// section's first line where the value is written otherwise than it reads.
pub fn of_value(scenario: &Path, header: &str, value: &str) -> Option<Place> {
    let text = read(scenario)?;
    let section = section(&text, header)?;
    let from = section.start;
    let span = match text[from..].find(value) {
        Some(at) if !value.is_empty() => from + at..from + at + value.len(),
        _ => section,
    };
    Some(Place {
        file: scenario.display().to_string(),
        text,
        span,
    })
}

/// A statement as it was sent, in the first section that begins with `header` or after it: what was `:seats` in the file
/// is a value in `sent`.
pub fn of_sent(scenario: &Path, header: &str, sent: &str) -> Option<Place> {
    let text = read(scenario)?;
    let from = section(&text, header)?.start;
    let span = statement(&text[from..], sent)?;
    Some(Place {
        file: scenario.display().to_string(),
        span: from + span.start..from + span.end,
        text,
    })
}

/// The line of the first section that begins with `header` on which `key` is set.
pub fn of_key(scenario: &Path, header: &str, key: &str) -> Option<Place> {
    let text = read(scenario)?;
    let mut at = section(&text, header)?.end;
    for line in text[at..].split_inclusive('\n') {
        let shown = line.trim();
        let rest = shown.strip_prefix(key).map(str::trim_start);
        if rest.is_some_and(|rest| rest.starts_with('=')) {
            let start = at + line.len() - line.trim_start().len();
            return Some(Place {
                file: scenario.display().to_string(),
                span: start..start + shown.len(),
                text,
            });
        }
        at += line.len();
    }
    None
}

/// The statement of a setup that failed: the word that the server points at, or all of it.
pub fn of_statement(error: &SetupError) -> Option<Place> {
    if error.statement.is_empty() {
        return None;
    }
    // SQL of the scenario itself comes from `lobby.toml [database.main] sql`.
    let section = error.origin.strip_suffix("] sql");
    let (file, inline) = match section.and_then(|section| section.rsplit_once(" [")) {
        Some((scenario, _)) => (scenario, true),
        None => (error.origin.as_str(), false),
    };
    let text = read(Path::new(file))?;
    let statement = error.statement.trim_end_matches('…');
    let start = text
        .match_indices(statement)
        .map(|(at, _)| at)
        // A file may hold the same statement twice; lines of an inline text are not those of the file.
        .find(|at| inline || line(&text, at + error.offset) == error.line)?;
    let span = match statement.get(error.offset..) {
        Some(rest) if error.offset > 0 => {
            let at = start + error.offset;
            at..at + word(rest)
        }
        _ => start..start + statement.len(),
    };
    Some(Place {
        file: file.to_owned(),
        text,
        span,
    })
}

/// The text of a file, with `*` for the passwords in its URLs: what is shown may end up in a log that others read.
fn read(file: &Path) -> Option<String> {
    let mut bytes = std::fs::read(file).ok()?;
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(3).position(|three| three == b"://") {
        at += found + 3;
        let ends = |byte: &u8| byte.is_ascii_whitespace() || b"/'\"@".contains(byte);
        let Some(length) = bytes[at..].iter().position(ends) else {
            break;
        };
        let end = at + length;
        if bytes[end] == b'@'
            && let Some(colon) = bytes[at..end].iter().position(|byte| *byte == b':')
        {
            bytes[at + colon + 1..end].fill(b'*');
        }
        at = end;
    }
    String::from_utf8(bytes).ok()
}

/// Where `sent` stands in `text`, a value of it perhaps as the name of a parameter.
fn statement(text: &str, sent: &str) -> Option<Range<usize>> {
    let first = sent.split([' ', '\n', '\'']).next()?;
    let starts = text.match_indices(first).filter(|_| !first.is_empty());
    starts.map(|(at, _)| at).find_map(|start| {
        let length = reads_as(&text[start..], sent)?;
        Some(start..start + length)
    })
}

/// How much of `text` says what was sent, if it begins with that.
fn reads_as(text: &str, sent: &str) -> Option<usize> {
    let (mut text_left, mut sent_left) = (text, sent);
    while let Some(next) = sent_left.chars().next() {
        if let Some(same) = text_left.strip_prefix(next) {
            text_left = same;
            sent_left = &sent_left[next.len_utf8()..];
        } else {
            let name = text_left.strip_prefix(':')?;
            text_left = name.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
            sent_left = sent_left
                .strip_prefix("NULL")
                .or_else(|| behind_string(sent_left))?;
        }
    }
    Some(text.len() - text_left.len())
}

/// What comes after the quoted string that `sql` begins with, which may be one with escapes.
fn behind_string(sql: &str) -> Option<&str> {
    let mut rest = sql.strip_prefix(" E").unwrap_or(sql).strip_prefix('\'')?;
    loop {
        rest = rest.split_once('\'')?.1;
        match rest.strip_prefix('\'') {
            Some(more) => rest = more,
            None => return Some(rest),
        }
    }
}

/// The line that begins with `header`, blanks aside.
fn section(text: &str, header: &str) -> Option<Range<usize>> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let shown = line.trim();
        if shown.starts_with(header) {
            let start = at + line.len() - line.trim_start().len();
            return Some(start..start + shown.len());
        }
        at += line.len();
    }
    None
}

/// Line of a byte, counted from 1.
fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// Length of the word at the beginning, at least one character.
fn word(text: &str) -> usize {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    let first = text.chars().next().map_or(0, char::len_utf8);
    end.unwrap_or(text.len()).max(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_found_by_its_first_line() {
        let text = "title = \"x\"\n  [service.web]\nrun = \"y\"\n";
        assert_eq!(
            section(text, "[service.web]").map(|span| &text[span]),
            Some("[service.web]")
        );
        assert_eq!(section(text, "[database"), None);
    }

    #[test]
    fn a_statement_is_found_with_names_for_its_parameters() {
        let text =
            "steps = [\"select n from g\", \"select n from g where n < :seats and id = :g_1\"]";
        let found = |sent: &str| statement(text, sent).map(|span| &text[span]);
        let second = Some("select n from g where n < :seats and id = :g_1");
        assert_eq!(found("select n from g where n < '4' and id = '1'"), second);
        assert_eq!(
            found("select n from g where n < NULL and id = 'it''s'"),
            second
        );
        assert_eq!(
            found("select n from g where n < '4' and id =  E'\\\\'"),
            second
        );
        assert_eq!(found("select n from g"), Some("select n from g"));
        assert_eq!(found("select n from g where n < '4' or id = '1'"), None);
        assert_eq!(found("select n from g where n < 4 and id = '1'"), None);
        assert_eq!(found("select n from g where n < '4"), None);
        assert_eq!(found(""), None);
    }

    #[test]
    fn a_key_is_found_by_its_name_however_it_is_spaced() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("x.toml");
        std::fs::write(&file, "[database]\nserver_name = 1\n  server=\"x\" # y\n")
            .expect("written");
        let place = of_key(&file, "[database", "server").expect("is there");
        assert_eq!(&place.text[place.span], "server=\"x\" # y");
    }

    #[test]
    fn passwords_are_not_shown() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("x.toml");
        let text =
            "a = \"postgres://ben:grün@h:1/x\" b = 'http://h:80/@' c = 'x://ben@h' d = 'y://";
        std::fs::write(&file, text).expect("written");
        assert_eq!(
            read(&file).expect("is there"),
            text.replace("grün", "*****")
        );
    }

    #[test]
    fn a_word_ends_where_the_name_does() {
        assert_eq!(word("größe(1)"), "größe".len());
        assert_eq!(word(") from t"), 1);
    }
}
