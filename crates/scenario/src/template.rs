//! `{name}` in strings: what stands there is put in when the run comes to it.
//!
//! A name in braces is a template; any other brace stands for itself, so JSON and shell text need no escapes.
//! `{{name}}` is the text `{name}`.

use std::collections::BTreeMap;

use serde_json::Value;

/// Values that requests saved, by name. Those read from JSON keep their type.
pub type Saved = BTreeMap<String, Value>;

/// A template whose value is not there (yet).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing has saved `{name}`")]
pub struct Unfilled {
    /// The name between the braces.
    pub name: String,
}

/// A part of a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// Whether a text is a name: a letter or `_`, then letters, digits and `_`.
pub(crate) fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Length of `{name}` at the start of the text.
fn template_length(text: &str) -> Option<usize> {
    let end = text.strip_prefix('{')?.find('}')? + 1;
    is_name(&text[1..end]).then_some(end + 1)
}

fn pieces(mut text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    while let Some(open) = text.find('{') {
        let (before, rest) = text.split_at(open);
        let escaped = rest[1..].starts_with('{');
        let inner = template_length(&rest[usize::from(escaped)..]);
        let (piece, length) = match inner {
            Some(length) if escaped && rest[1 + length..].starts_with('}') => {
                (Piece::Text(&rest[1..=length]), length + 2)
            }
            Some(length) if !escaped => (Piece::Name(&rest[1..length - 1]), length),
            _ => (Piece::Text("{"), 1),
        };
        pieces.extend([Piece::Text(before), piece]);
        text = &rest[length..];
    }
    pieces.push(Piece::Text(text));
    pieces
}

/// Names of the templates in a text, in order.
pub(crate) fn names(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Name(name) => Some(name),
        Piece::Text(_) => None,
    })
}

/// Puts saved values in.
///
/// # Errors
/// If a name has no value.
pub fn fill(template: &str, saved: &Saved) -> Result<String, Unfilled> {
    let mut filled = String::new();
    for piece in pieces(template) {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Name(name) => match saved.get(name) {
                Some(Value::String(text)) => filled.push_str(text),
                Some(value) => filled.push_str(&value.to_string()),
                None => return Err(Unfilled { name: name.into() }),
            },
        }
    }
    Ok(filled)
}

/// Puts saved values into the strings of a JSON value. A string that is one template and nothing else becomes the
/// value as it was saved, with its type.
///
/// # Errors
/// If a name has no value.
pub fn fill_json(template: &Value, saved: &Saved) -> Result<Value, Unfilled> {
    Ok(match template {
        Value::String(text) if template_length(text) == Some(text.len()) => {
            let name = &text[1..text.len() - 1];
            let value = saved.get(name).cloned();
            value.ok_or_else(|| Unfilled { name: name.into() })?
        }
        Value::String(text) => Value::String(fill(text, saved)?),
        Value::Array(items) => {
            let items = items.iter().map(|item| fill_json(item, saved));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, item)| Ok((key.clone(), fill_json(item, saved)?)));
            Value::Object(fields.collect::<Result<_, _>>()?)
        }
        plain => plain.clone(),
    })
}

/// Replaces `{n}` by the number of a copy; `{{n}}` stays as it is, for [`fill`] to take its braces off.
pub(crate) fn number(text: &str, n: u64) -> String {
    let mut numbered = String::new();
    for piece in pieces(text) {
        match piece {
            Piece::Name("n") => numbered.push_str(&n.to_string()),
            Piece::Name(name) => numbered.extend(["{", name, "}"]),
            Piece::Text(text) if text.len() > 1 && text.starts_with('{') => {
                numbered.extend(["{", text, "}"]);
            }
            Piece::Text(text) => numbered.push_str(text),
        }
    }
    numbered
}

/// Where things are while a lab runs: what commands and environments may speak of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The service's own port: `{port}`.
    pub port: Option<u16>,
    /// Base URLs of the services: `{service.NAME}`.
    pub services: BTreeMap<String, String>,
    /// URLs of the databases, at the gate: `{database.NAME}`.
    pub databases: BTreeMap<String, String>,
}

impl Places {
    /// Puts the places in. Every other brace stays as it is, and so does `${port}`, which is the shell's.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        let mut put = |name: &str, value: &str| {
            filled = replace_unless_shell(&filled, &format!("{{{name}}}"), value);
        };
        if let Some(port) = self.port {
            put("port", &port.to_string());
        }
        for (name, url) in &self.services {
            put(&format!("service.{name}"), url);
        }
        for (name, url) in &self.databases {
            put(&format!("database.{name}"), url);
        }
        filled
    }
}

fn replace_unless_shell(text: &str, from: &str, to: &str) -> String {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let (before, after) = rest.split_at(at);
        replaced.push_str(before);
        replaced.push_str(if before.ends_with('$') { from } else { to });
        rest = &after[from.len()..];
    }
    replaced + rest
}

/// The `{service.NAME}` and `{database.NAME}` of a text: what they name, and the name.
pub(crate) fn places(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for part in text.split('{').skip(1) {
        let name = part
            .split_once('}')
            .and_then(|(inside, _)| inside.split_once('.'));
        found.extend(name.filter(|(what, _)| matches!(*what, "service" | "database")));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn saved() -> Saved {
        Saved::from([("seat".into(), json!(4)), ("token".into(), json!("a b"))])
    }

    #[test]
    fn a_saved_seat_is_put_into_the_next_request() {
        assert_eq!(
            fill("/seats/{seat}?t={token}", &saved()).unwrap(),
            "/seats/4?t=a b"
        );
    }

    #[test]
    fn json_and_shell_text_need_no_escapes() {
        let body = r#"{"a":{"b":{seat}},"c":{}}"#;
        assert_eq!(fill(body, &saved()).unwrap(), r#"{"a":{"b":4},"c":{}}"#);
        assert_eq!(
            fill("awk '{ print $1 }'", &saved()).unwrap(),
            "awk '{ print $1 }'"
        );
        assert_eq!(fill("}{ {{", &saved()).unwrap(), "}{ {{");
    }

    #[test]
    fn doubled_braces_are_the_text_itself() {
        assert_eq!(fill("query {{seat}}", &saved()).unwrap(), "query {seat}");
        assert_eq!(fill("{{seat}", &saved()).unwrap(), "{4");
    }

    #[test]
    fn a_name_that_nobody_saved_is_told() {
        let unfilled = fill("{seta}", &saved()).unwrap_err();
        assert_eq!(unfilled.to_string(), "nothing has saved `seta`");
    }

    #[test]
    fn a_number_stays_a_number_in_json() {
        let body = json!({ "seat": "{seat}", "text": ["seat {seat}"], "n": 1 });
        let filled = fill_json(&body, &saved()).unwrap();
        assert_eq!(filled, json!({ "seat": 4, "text": ["seat 4"], "n": 1 }));
    }

    #[test]
    fn copies_are_numbered_and_leave_other_templates_alone() {
        assert_eq!(number("p{n} {seat} {{n}} {} {", 3), "p3 {seat} {{n}} {} {");
    }

    #[test]
    fn places_fill_and_shell_variables_stay() {
        let places = Places {
            port: Some(8101),
            services: BTreeMap::from([("web".into(), "http://127.0.0.1:8101".into())]),
            databases: BTreeMap::from([("logs".into(), "postgres://x/logs".into())]),
        };
        let text = "serve -p {port} ${port} {service.web}/x {database.logs} {other}";
        let filled = "serve -p 8101 ${port} http://127.0.0.1:8101/x postgres://x/logs {other}";
        assert_eq!(places.fill(text), filled);
    }
}
