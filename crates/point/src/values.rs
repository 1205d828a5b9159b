//! The values that a point shows, as a JSON object.

use std::fmt::{Debug, Write};

/// Values by name, in the order they were written.
#[derive(Debug, Default)]
pub struct Values(String);

impl Values {
    /// Adds one.
    pub fn add(&mut self, name: &str, value: &dyn Debug) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        string(&mut self.0, name);
        self.0.push(':');
        self.0.push_str(&shown(value));
    }

    /// All of them: `{}` when there are none.
    pub(crate) fn json(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }
}

/// A value in JSON: whole numbers, truth values and plain strings as such, all else as a string of its `Debug`.
pub fn shown(value: &dyn Debug) -> String {
    let text = format!("{value:?}");
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.is_empty()
        && (digits == "0" || !digits.starts_with('0'));
    if is_number || text == "true" || text == "false" {
        return text;
    }
    let mut json = String::new();
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    // A backslash is an escape of `Debug`; what it stands for is left to the reader.
    string(
        &mut json,
        inner.filter(|inner| !inner.contains('\\')).unwrap_or(&text),
    );
    json
}

fn string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            '\n' => json.push_str("\\n"),
            c if c < ' ' => {
                // Writing into a string does not fail.
                let _ = write!(json, "\\u{:04x}", c as u32);
            }
            c => json.push(c),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_json() {
        let mut values = Values::default();
        values.add("seat", &3);
        values.add("nick", &"ben");
        values.add("free", &true);
        values.add("left", &-0.5);
        values.add("who", &Some("to\"m"));
        values.add("line", &"a\nb");
        assert_eq!(
            values.json(),
            r#"{"seat":3,"nick":"ben","free":true,"left":"-0.5","who":"Some(\"to\\\"m\")","line":"\"a\\nb\""}"#
        );
        assert_eq!(Values::default().json(), "{}");
    }
}
