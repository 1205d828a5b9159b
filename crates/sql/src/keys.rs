//! Keys of unique indexes: two statements that put (or free) the same key into one exclude each other.

use std::fmt;
use std::sync::Arc;

use crate::value::Value;

/// What is known of one column of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyValue {
    Known(Value),
    /// From a sequence: differs from all others of its kind, not from values that a statement names.
    Generated,
    Unknown,
}

impl KeyValue {
    fn may_equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(mine), Self::Known(theirs)) => mine == theirs,
            (Self::Generated, Self::Generated) => false,
            _ => true,
        }
    }
}

/// A key of a unique index that a statement puts there, or whose row it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyAccess {
    /// The table, as in the footprint's tables.
    pub(crate) table: u32,
    /// `table(column, …)`: names the index.
    pub(crate) index: Arc<str>,
    pub(crate) values: Vec<KeyValue>,
    /// The key of a row that was there and is changed or deleted: who puts an equal key waits for that. (Who changes the
    /// same row is kept out by the row's lock.) A sequence is taken to be ahead of all keys that are there.
    pub(crate) held: bool,
}

impl KeyAccess {
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let held = self.held || other.held;
        let equal = |(mine, theirs): (&KeyValue, &KeyValue)| {
            let generated = *mine == KeyValue::Generated || *theirs == KeyValue::Generated;
            !(held && generated) && mine.may_equal(theirs)
        };
        self.table == other.table
            && !(self.held && other.held)
            && self.index == other.index
            && self.values.iter().zip(&other.values).all(equal)
    }
}

impl fmt::Display for KeyAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}=(", if self.held { "of " } else { "" }, self.index)?;
        for (at, value) in self.values.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            match value {
                KeyValue::Known(value) => write!(f, "{comma}{value}")?,
                KeyValue::Generated => write!(f, "{comma}next")?,
                KeyValue::Unknown => write!(f, "{comma}?")?,
            }
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_puts_a_key_waits_for_changes_of_the_row_that_has_it() {
        let held = |value| KeyAccess {
            held: true,
            ..key(value)
        };
        let one = KeyValue::Known(Value::Integer(1));
        assert!(key(one.clone()).meets(&held(one.clone())));
        assert!(key(one.clone()).meets(&held(KeyValue::Unknown)));
        assert!(!held(one.clone()).meets(&held(one.clone())));
        assert!(!key(KeyValue::Generated).meets(&held(one)));
    }

    fn key(value: KeyValue) -> KeyAccess {
        KeyAccess {
            table: 1,
            index: "t(id)".into(),
            values: vec![value],
            held: false,
        }
    }

    #[test]
    fn generated_keys_meet_those_that_statements_name_but_not_each_other() {
        let (one, two) = (
            KeyValue::Known(Value::Integer(1)),
            KeyValue::Known(Value::Integer(2)),
        );
        assert!(!key(one.clone()).meets(&key(two)));
        assert!(key(one.clone()).meets(&key(KeyValue::Unknown)));
        assert!(key(one).meets(&key(KeyValue::Generated)));
        assert!(!key(KeyValue::Generated).meets(&key(KeyValue::Generated)));
    }
}
