//! The part of JSON path that saving and masking need: `$`, `.name`, `['name']`, `[0]` and `[*]`.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

/// A path into a JSON value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(String),
    Index(usize),
    Each,
}

/// A path that is not written as one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a path is written like $.items[0].id, with $ first, then .name, ['name'], [0] or [*]")]
pub struct BadPath;

impl JsonPath {
    /// Parses a path.
    ///
    /// # Errors
    /// If it is not written like `$.items[0].id`.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        let mut rest = text.strip_prefix('$').ok_or(BadPath)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let step;
            (step, rest) = Step::parse(rest).ok_or(BadPath)?;
            steps.push(step);
        }
        Ok(Self { steps })
    }

    /// All values the path leads to, in order.
    pub fn all<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let mut here = vec![value];
        for step in &self.steps {
            here = here
                .into_iter()
                .flat_map(|value| step.follow(value))
                .collect();
        }
        here
    }

    /// The first value the path leads to.
    pub fn get<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.all(value).into_iter().next()
    }

    /// Changes every value the path leads to; says how many there were.
    pub fn change(&self, value: &mut Value, change: &mut dyn FnMut(&mut Value)) -> usize {
        change_at(&self.steps, value, change)
    }
}

fn change_at(steps: &[Step], value: &mut Value, change: &mut dyn FnMut(&mut Value)) -> usize {
    let Some((step, rest)) = steps.split_first() else {
        change(value);
        return 1;
    };
    let mut at = |value: &mut Value| change_at(rest, value, change);
    match (step, value) {
        (Step::Key(key), Value::Object(fields)) => fields.get_mut(key).map_or(0, at),
        (Step::Index(index), Value::Array(items)) => items.get_mut(*index).map_or(0, at),
        (Step::Each, Value::Array(items)) => items.iter_mut().map(at).sum(),
        (Step::Each, Value::Object(fields)) => fields.values_mut().map(&mut at).sum(),
        _ => 0,
    }
}

impl Step {
    /// The first step of a path and what comes after it.
    fn parse(text: &str) -> Option<(Self, &str)> {
        if let Some(rest) = text.strip_prefix('.') {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            let plain = !name.is_empty()
                && !name.contains(|c: char| c.is_whitespace() || "]'\"*$@()?,:".contains(c));
            return plain.then(|| (Self::Key(name.into()), rest));
        }
        let rest = text.strip_prefix('[')?;
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            let (name, rest) = rest[1..].split_once(quote)?;
            return Some((Self::Key(name.into()), rest.strip_prefix(']')?));
        }
        let (inside, rest) = rest.split_once(']')?;
        match inside {
            "*" => Some((Self::Each, rest)),
            digits => Some((Self::Index(digits.parse().ok()?), rest)),
        }
    }

    fn follow<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match (self, value) {
            (Self::Key(key), Value::Object(fields)) => fields.get(key).into_iter().collect(),
            (Self::Index(index), Value::Array(items)) => items.get(*index).into_iter().collect(),
            (Self::Each, Value::Array(items)) => items.iter().collect(),
            (Self::Each, Value::Object(fields)) => fields.values().collect(),
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for step in &self.steps {
            match step {
                Step::Key(key) if crate::template::is_name(key) => write!(f, ".{key}")?,
                Step::Key(key) if key.contains('\'') => write!(f, "[\"{key}\"]")?,
                Step::Key(key) => write!(f, "['{key}']")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Each => f.write_str("[*]")?,
            }
        }
        Ok(())
    }
}

impl Serialize for JsonPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> JsonPath {
        JsonPath::parse(text).unwrap()
    }

    fn order() -> Value {
        json!({ "id": 7, "lines": [{ "sku": "a" }, { "sku": "b" }], "it's": { "a.b": true } })
    }

    #[test]
    fn a_path_leads_to_its_value() {
        assert_eq!(path("$.id").get(&order()), Some(&json!(7)));
        assert_eq!(path("$.lines[1].sku").get(&order()), Some(&json!("b")));
        assert_eq!(path("$[\"it's\"]['a.b']").get(&order()), Some(&json!(true)));
        assert_eq!(path("$").get(&order()), Some(&order()));
    }

    #[test]
    fn a_path_may_lead_to_many_or_nowhere() {
        assert_eq!(
            path("$.lines[*].sku").all(&order()),
            [&json!("a"), &json!("b")]
        );
        for nowhere in [
            "$.nobody",
            "$.id.deeper",
            "$.lines[2]",
            "$.lines.sku",
            "$.id[*]",
        ] {
            assert_eq!(path(nowhere).get(&order()), None, "{nowhere}");
        }
    }

    #[test]
    fn every_match_is_masked_and_counted() {
        let mut value = order();
        let count = path("$.lines[*].sku").change(&mut value, &mut |sku| *sku = json!("…"));
        assert_eq!(count, 2);
        assert_eq!(value["lines"], json!([{ "sku": "…" }, { "sku": "…" }]));
        assert_eq!(
            path("$.nobody[0]").change(&mut value, &mut |_| panic!("there is none")),
            0
        );
        assert_eq!(
            path("$['it\"s'][*]").change(&mut json!({ "it\"s": { "a": 1 } }), &mut |_| ()),
            1
        );
    }

    #[test]
    fn other_ways_to_write_a_path_are_refused() {
        for bad in [
            "", "id", "$.", "$..id", "$[", "$['a", "$['a'", "$[-1]", "$[x]", "$id", "$.a b", "$.*",
        ] {
            assert_eq!(JsonPath::parse(bad), Err(BadPath), "{bad}");
        }
    }

    #[test]
    fn a_path_prints_as_it_is_written() {
        for text in ["$", "$.a.b[0].c", "$['a.b'][*]", "$[\"it's\"]"] {
            assert_eq!(path(text).to_string(), text);
        }
    }
}
