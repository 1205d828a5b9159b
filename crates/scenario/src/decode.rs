//! From TOML to values, noting every problem on the way instead of stopping at the first.
//!
//! Here are the plain types; tables with known keys are declared in `section`.

use std::ops::Range;
use std::path::PathBuf;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::Problem;

/// What decoding needs and gathers.
#[derive(Debug)]
pub(crate) struct Context {
    /// Paths in the file are relative to this folder.
    pub folder: PathBuf,
    /// Everything found wrong so far.
    pub problems: Vec<Problem>,
}

impl Context {
    /// Notes a problem, once: the copies of an actor share their mistakes.
    pub fn report(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// A value in the file, with what is needed to speak about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'a> {
    /// The key it belongs to.
    pub key: &'a str,
    /// What the key is for.
    pub doc: &'a str,
    /// The value.
    pub value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Node<'a> {
    pub fn span(&self) -> Range<usize> {
        self.value.span()
    }

    /// The same key's inner value (an element of its array, an entry of its table).
    pub fn inner(&self, value: &'a Spanned<DeValue<'a>>) -> Self {
        Self { value, ..*self }
    }

    /// Notes that the value is not of the type it must be of.
    pub fn wrong_type(&self, expected: &str, cx: &mut Context) {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        let problem = Problem::at(self.span(), format!("`{}` must be {expected}", self.key))
            .label(format!("this is {found}"));
        cx.report(problem.help(format!("`{}`: {}", self.key, self.doc)));
    }
}

/// Entries of a table in the order they were written.
pub(crate) fn entries<'a>(
    table: &'a DeTable<'a>,
) -> Vec<(
    &'a Spanned<std::borrow::Cow<'a, str>>,
    &'a Spanned<DeValue<'a>>,
)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// A type that can be read from the file.
pub(crate) trait Decode: Sized {
    /// Reads the value; `None` after at least one problem was noted.
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self>;

    /// The value when the key is not there; `None` if it must be.
    fn missing() -> Option<Self> {
        None
    }

    /// What the value must look like.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

/// A value and where it stands.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct At<T> {
    #[serde(skip)]
    pub span: Range<usize>,
    pub value: T,
}

impl<T: Decode> Decode for At<T> {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        let value = T::decode(node, cx)?;
        Some(Self {
            span: node.span(),
            value,
        })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        T::decode(node, cx).map(Some)
    }

    fn missing() -> Option<Self> {
        Some(None)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

impl Decode for String {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        let text = node.value.get_ref().as_str();
        if text.is_none() {
            node.wrong_type("a string", cx);
        }
        text.map(str::to_owned)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl Decode for bool {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        let value = node.value.get_ref().as_bool();
        if value.is_none() {
            node.wrong_type("true or false", cx);
        }
        value
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "boolean" })
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Number<const MIN: u64, const MAX: u64>(pub u64);

impl<const MIN: u64, const MAX: u64> Decode for Number<MIN, MAX> {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        let DeValue::Integer(digits) = node.value.get_ref() else {
            node.wrong_type("a whole number", cx);
            return None;
        };
        let number = u64::from_str_radix(digits.as_str(), digits.radix()).ok();
        if let Some(number) = number.filter(|n| (MIN..=MAX).contains(n)) {
            return Some(Self(number));
        }
        let problem = Problem::at(node.span(), format!("`{}` is out of range", node.key));
        cx.report(problem.help(match MAX {
            ENDLESS => format!("use a whole number from {MIN}"),
            _ => format!("use a whole number from {MIN} to {MAX}"),
        }));
        None
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        match MAX {
            ENDLESS => json_schema!({ "type": "integer", "minimum": MIN }),
            _ => json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX }),
        }
    }
}

/// The largest number that TOML can hold: a range up to it has no bound of its own.
pub(crate) const ENDLESS: u64 = i64::MAX as u64;

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        let Some(array) = node.value.get_ref().as_array() else {
            node.wrong_type("an array", cx);
            return None;
        };
        let items: Vec<_> = array.iter().map(|v| T::decode(node.inner(v), cx)).collect();
        items.into_iter().collect()
    }

    fn missing() -> Option<Self> {
        Some(Vec::new())
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": T::schema(generator) })
    }
}

/// A part of the file that is judged on its own: what is wrong with it keeps no other part from being judged.
#[derive(Clone, Debug)]
pub(crate) struct Part<T>(pub Option<T>);

impl<T: Decode> Decode for Part<T> {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        Some(Self(T::decode(node, cx)))
    }

    fn missing() -> Option<Self> {
        Some(Self(None))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

/// One value, or an array of them.
#[derive(Clone, Debug)]
pub(crate) struct OneOrMany<T>(pub Vec<T>);

impl<T: Decode> Decode for OneOrMany<T> {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        match node.value.get_ref() {
            DeValue::Array(_) => Vec::decode(node, cx).map(Self),
            _ => T::decode(node, cx).map(|one| Self(vec![one])),
        }
    }

    fn missing() -> Option<Self> {
        Some(Self(Vec::new()))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let one = T::schema(generator);
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

/// A table of names and values, in the order they were written.
#[derive(Clone, Debug)]
pub(crate) struct Named<T>(pub Vec<(At<String>, T)>);

impl<T: Decode> Decode for Named<T> {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        let Some(table) = node.value.get_ref().as_table() else {
            node.wrong_type("a table", cx);
            return None;
        };
        let mut named = Vec::new();
        for (key, value) in entries(table) {
            let name = At {
                span: key.span(),
                value: key.get_ref().to_string(),
            };
            let node = Node {
                key: &name.value,
                doc: node.doc,
                value,
            };
            named.push(T::decode(node, cx).map(|value| (name.clone(), value)));
        }
        named.into_iter().collect::<Option<_>>().map(Self)
    }

    fn missing() -> Option<Self> {
        Some(Self(Vec::new()))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": T::schema(generator) })
    }
}

/// A string, number or boolean, as text.
#[derive(Clone, Debug)]
pub(crate) struct Scalar(pub String);

impl Decode for Scalar {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        match Json::decode(node, cx)?.value {
            Value::String(text) => Some(Self(text)),
            value @ (Value::Number(_) | Value::Bool(_)) => Some(Self(value.to_string())),
            _ => {
                node.wrong_type("a string, a number or a boolean", cx);
                None
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

/// Any value, as JSON; dates become strings.
#[derive(Clone, Debug)]
pub(crate) struct Json {
    pub value: Value,
    /// The strings in it, for those who look for templates.
    pub strings: Vec<At<String>>,
}

impl Decode for Json {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        let mut strings = Vec::new();
        let value = json(node, &mut strings, cx)?;
        Some(Self { value, strings })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}

fn json(node: Node<'_>, strings: &mut Vec<At<String>>, cx: &mut Context) -> Option<Value> {
    let value = match node.value.get_ref() {
        DeValue::String(text) => {
            let value = text.to_string();
            strings.push(At {
                span: node.span(),
                value,
            });
            Some(Value::from(text.as_ref()))
        }
        DeValue::Integer(digits) => {
            let number = i64::from_str_radix(digits.as_str(), digits.radix());
            number.ok().map(Value::from)
        }
        DeValue::Float(digits) => {
            let number = digits
                .as_str()
                .parse()
                .ok()
                .and_then(serde_json::Number::from_f64);
            number.map(Value::Number)
        }
        DeValue::Boolean(value) => Some(Value::from(*value)),
        DeValue::Datetime(date) => Some(Value::from(date.to_string())),
        DeValue::Array(array) => {
            let items = array.iter().map(|item| json(node.inner(item), strings, cx));
            return items.collect::<Option<Vec<_>>>().map(Value::from);
        }
        DeValue::Table(table) => {
            let mut fields = Map::new();
            for (key, item) in entries(table) {
                fields.insert(
                    key.get_ref().to_string(),
                    json(node.inner(item), strings, cx)?,
                );
            }
            return Some(Value::from(fields));
        }
    };
    if value.is_none() {
        cx.report(Problem::at(node.span(), "JSON has no such number"));
    }
    value
}
