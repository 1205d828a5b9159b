//! JSON for people: short things on one line, long ones opened up, keys in the order in which they were written.

/// A list or an object up to this many characters stays on one line.
const SHORT: usize = 110;

/// Lists up to this many characters do not keep an object from standing on one line.
const TINY: usize = 60;

/// Lays out compact JSON (as `serde_json::to_string` writes it): whatever is short stands on one line, and so does an
/// object that holds nothing else of any size; everything else has a line for each of its parts.
pub(crate) fn lay_out(compact: &str) -> String {
    let mut out = String::with_capacity(compact.len() * 2);
    value(compact, 0, &mut out);
    out.push('\n');
    out
}

fn value(text: &str, depth: usize, out: &mut String) {
    let (Some(open), Some(close)) = (text.chars().next(), text.chars().next_back()) else {
        return;
    };
    let parts = match open {
        '{' | '[' => parts(&text[1..text.len() - 1]),
        _ => return out.push_str(text),
    };
    let more = |part: &&str| inside(part).starts_with(['{', '[']) && inside(part).len() > TINY;
    let plain = open == '{' && !parts.iter().any(more);
    if parts.is_empty() || plain || text.chars().count() <= SHORT {
        return one_line(text, out);
    }
    let indent = |depth: usize, out: &mut String| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    out.push(open);
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        indent(depth + 1, out);
        let inner = inside(part);
        let key = &part[..part.len() - inner.len()];
        if !key.is_empty() {
            out.extend([key, " "]);
        }
        value(inner, depth + 1, out);
    }
    indent(depth, out);
    out.push(close);
}

/// The same with a blank behind every comma and colon.
fn one_line(text: &str, out: &mut String) {
    let mut quoted = Quoted::default();
    for c in text.chars() {
        let plain = quoted.step(c);
        out.push(c);
        if plain && matches!(c, ',' | ':') {
            out.push(' ');
        }
    }
}

/// What is between the commas of this level.
fn parts(inside: &str) -> Vec<&str> {
    let (mut quoted, mut depth, mut from) = (Quoted::default(), 0_usize, 0);
    let mut out = Vec::new();
    for (at, c) in inside.char_indices() {
        if !quoted.step(c) {
            continue;
        }
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                out.push(&inside[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    if !inside.is_empty() {
        out.push(&inside[from..]);
    }
    out
}

/// The value of a part: what is behind its key, if it has one.
fn inside(part: &str) -> &str {
    let mut quoted = Quoted::default();
    let colon = part
        .char_indices()
        .find(|(_, c)| quoted.step(*c) && matches!(c, ':' | '{' | '['));
    match colon {
        Some((at, ':')) => &part[at + 1..],
        _ => part,
    }
}

/// Whether a scan is inside a text.
#[derive(Default)]
struct Quoted {
    on: bool,
    escaped: bool,
}

impl Quoted {
    /// Takes the next character; returns whether it is outside of texts.
    fn step(&mut self, c: char) -> bool {
        if self.on {
            let ends = c == '"' && !self.escaped;
            self.escaped = c == '\\' && !self.escaped;
            self.on = !ends;
            return false;
        }
        self.on = c == '"';
        !self.on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_stands_on_a_line_and_texts_stay_as_they_are() {
        let step = |n: u32| {
            format!(
                r#"{{"actor":"ben","label":"a, \"b\": {{{n}","by":["{}"]}}"#,
                "x".repeat(40)
            )
        };
        let compact = format!(r#"{{"steps":[{},{}],"empty":[],"n":1}}"#, step(1), step(2));
        let laid = lay_out(&compact);
        let line = r#"    {"actor": "ben", "label": "a, \"b\": {2", "by": ["xx"#;
        assert!(laid.lines().any(|l| l.starts_with(line)), "{laid}");
        assert_eq!(laid.lines().count(), 8, "{laid}");
        let same = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(same(&laid), same(&compact));
    }
}
