//! Values in statements, as far as two of them can be told apart for certain.

use std::fmt;
use std::sync::Arc;

/// Types for which equality is understood; of all others no two values are known to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    /// `smallint`, `integer`, `bigint`.
    Integer,
    /// `text`, `character varying` with a deterministic collation.
    Text,
    /// `uuid`.
    Uuid,
    /// `boolean`.
    Boolean,
    /// Anything else.
    Other,
}

impl Class {
    /// The class of a type as `format_type` or a statement writes it. A length (`varchar(3)`) cuts values in a cast, so
    /// only `stored` columns may have one.
    pub(crate) fn of(data_type: &str, stored: bool) -> Self {
        let name = data_type
            .trim()
            .trim_start_matches("pg_catalog.")
            .to_ascii_lowercase();
        let (bare, length) = match name.split_once('(') {
            Some((bare, _)) => (bare.trim(), true),
            None => (name.as_str(), false),
        };
        match bare {
            "smallint" | "integer" | "bigint" | "int" | "int2" | "int4" | "int8" => Self::Integer,
            "text" | "character varying" | "varchar" if stored || !length => Self::Text,
            "uuid" => Self::Uuid,
            "boolean" | "bool" => Self::Boolean,
            _ => Self::Other,
        }
    }
}

/// A value in a form in which equal ones are identical.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Value {
    Integer(i128),
    Text(Arc<str>),
    Boolean(bool),
    Null,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
            Self::Boolean(truth) => write!(f, "{truth}"),
            Self::Null => f.write_str("null"),
        }
    }
}

impl Value {
    /// Reads the text form of a value of a class. `None`: not understood, may equal anything.
    pub(crate) fn read(class: Class, text: &str) -> Option<Self> {
        match class {
            Class::Integer => text.trim().parse().ok().map(Self::Integer),
            // `\x` is how a binary value of unknown type is shown: it may be any text.
            // Trailing blanks can be cut when a value is stored.
            Class::Text if text.starts_with("\\x") || text.ends_with(' ') => None,
            Class::Text => Some(Self::Text(text.into())),
            Class::Uuid => uuid(text).map(|text| Self::Text(text.into())),
            Class::Boolean => match text.trim().to_ascii_lowercase().as_str() {
                "t" | "true" | "y" | "yes" | "on" | "1" => Some(Self::Boolean(true)),
                "f" | "false" | "n" | "no" | "off" | "0" => Some(Self::Boolean(false)),
                _ => None,
            },
            Class::Other => None,
        }
    }
}

fn uuid(text: &str) -> Option<String> {
    let hex: String = text
        .chars()
        .filter(|c| !matches!(c, '-' | '{' | '}'))
        .collect();
    (hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
        .then(|| hex.to_ascii_lowercase())
}

/// A value as a statement writes it, to be read once the parameters are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    /// A literal, already read.
    Known(Value),
    /// Parameter `$n`, counted from 0.
    Param(usize, Class),
    /// One of several.
    OneOf(Vec<Term>),
    /// An element of the array that parameter `$n` holds.
    Element(usize, Class),
    /// The next value of a sequence: differs from all others made the same way.
    Generated,
    /// Not understood.
    Unknown,
}

/// Parameters as text; `None` is NULL.
pub(crate) type Params = [Option<String>];

impl Term {
    /// All values it may have. `None`: not known.
    pub(crate) fn values(&self, params: &Params) -> Option<Vec<Value>> {
        match self {
            Self::Known(value) => Some(vec![value.clone()]),
            Self::Param(at, class) => match params.get(*at)? {
                None => Some(vec![Value::Null]),
                Some(text) => Value::read(*class, text).map(|value| vec![value]),
            },
            Self::OneOf(terms) => {
                let mut all = Vec::with_capacity(terms.len());
                for term in terms {
                    all.extend(term.values(params)?);
                }
                Some(all)
            }
            Self::Element(at, class) => array_elements(params.get(*at)?.as_deref()?, *class),
            Self::Generated | Self::Unknown => None,
        }
    }

    /// Its value, if there is just one.
    pub(crate) fn value(&self, params: &Params) -> Option<Value> {
        let mut values = self.values(params)?;
        if values.len() == 1 {
            values.pop()
        } else {
            None
        }
    }
}

/// Reads `{1,2,3}`; arrays with quotes, escapes, NULLs or more than one dimension are not understood.
pub(crate) fn array_elements(text: &str, class: Class) -> Option<Vec<Value>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    if inner.trim().is_empty() {
        return Some(Vec::new());
    }
    if inner.contains(['"', '\\', '{', '}']) {
        return None;
    }
    let read = |element: &str| {
        let element = element.trim();
        if element.eq_ignore_ascii_case("null") {
            None
        } else {
            Value::read(class, element)
        }
    };
    inner.split(',').map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_identical_whatever_they_look_like() {
        assert_eq!(Value::read(Class::Integer, " 007"), Some(Value::Integer(7)));
        assert_eq!(
            Value::read(Class::Uuid, "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}"),
            Value::read(Class::Uuid, "a0eebc999c0b4ef8bb6d6bb9bd380a11")
        );
        assert_eq!(
            Value::read(Class::Boolean, "TRUE"),
            Value::read(Class::Boolean, "t")
        );
        assert_eq!(Value::read(Class::Integer, "1.0"), None);
    }

    #[test]
    fn a_cast_that_cuts_is_not_understood() {
        assert_eq!(Class::of("varchar(3)", false), Class::Other);
        assert_eq!(Class::of("character varying(3)", true), Class::Text);
        assert_eq!(Class::of("citext", true), Class::Other);
    }

    #[test]
    fn array_parameters_give_their_elements() {
        let params = [Some("{1, 2}".to_owned())];
        let term = Term::Element(0, Class::Integer);
        assert_eq!(
            term.values(&params),
            Some(vec![Value::Integer(1), Value::Integer(2)])
        );
        assert_eq!(array_elements("{\"a,b\"}", Class::Text), None);
    }
}
