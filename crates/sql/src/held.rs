//! Row locks that a transaction certainly has. To take one again changes nothing for anybody: a statement of another
//! session that waits for the row waits for the same transaction before and after, so the two commute.
//!
//! A row counts when it is named by a whole unique key, and the server said that the statement found it: who tries to
//! lock a row that is not there has no lock.

use crate::effect::{Choice, Effect};
use crate::footprint::Strength;
use crate::rows::{Image, Rows};
use crate::schema::{Schema, TableId};
use crate::statement::{Doubt, Kind, One};
use crate::value::Params;

/// The row locks of one transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(Vec<(u32, Image, Strength)>);

impl Held {
    /// Notes what a statement locked that ran to its end with this command tag.
    pub(crate) fn note(&mut self, schema: &Schema, one: &One, params: &Params, tag: &str) {
        let found = tag
            .strip_prefix("SELECT ")
            .or_else(|| tag.strip_prefix("UPDATE "))
            .is_some_and(|count| count.parse::<u64>().is_ok_and(|count| count > 0));
        if !found || !one.direct || one.doubt != Doubt::None {
            return;
        }
        if let Some((table, rows, strength)) = locked(one)
            && let Some(image) = key_of(schema, table, &rows.rows(params))
        {
            self.0.push((schema.family(table), image, strength));
        }
    }

    /// Whether all of these rows are locked, this strongly at least.
    pub(crate) fn covers(&self, family: u32, rows: &Rows, strength: Strength) -> bool {
        let held = |image: &Image| {
            self.0.iter().any(|(table, key, at)| {
                *table == family && *at >= strength && key.0.iter().all(|one| image.0.contains(one))
            })
        };
        matches!(rows, Rows::Some(images) if images.iter().all(held))
    }
}

/// The one set of rows that the statement itself locks when it finds them, and how strongly at least.
fn locked(one: &One) -> Option<(TableId, &Choice, Strength)> {
    let mut changes = one.effects.iter().filter_map(|effect| match effect {
        // It locks as an update of key columns does only if their values change.
        Effect::Change {
            table,
            old: Some(rows),
            ..
        } => Some((*table, rows, Strength::NoKeyUpdate)),
        _ => None,
    });
    let mut locks = one.effects.iter().filter_map(|effect| match effect {
        Effect::Lock {
            table,
            rows,
            strength,
            ..
        } => Some((*table, rows, *strength)),
        _ => None,
    });
    // What cascades, and what is joined, says nothing of what was found.
    match one.kind {
        Kind::Change => changes.next().filter(|_| changes.next().is_none()),
        Kind::Query => locks
            .next()
            .filter(|_| locks.next().is_none())
            .filter(|(locked, ..)| {
                one.effects.iter().all(|effect| match effect {
                    Effect::Lock { table, .. } | Effect::Read { table, .. } => table == locked,
                    _ => false,
                })
            }),
        _ => None,
    }
}

/// The unique key by which these rows are one row, with its values.
fn key_of(schema: &Schema, table: TableId, rows: &Rows) -> Option<Image> {
    let Rows::Some(images) = rows else {
        return None;
    };
    let [image] = images.as_slice() else {
        return None;
    };
    // A key of a partition or a child table says nothing of the others.
    if schema.members(table).len() > 1 {
        return None;
    }
    let keys = schema.table(table).unique.iter();
    keys.filter(|key| !(key.expression || key.partial || key.deferrable))
        .find_map(|key| {
            let named = |column: &str| key.columns.iter().any(|name| name == column);
            let pairs: Vec<_> = image
                .0
                .iter()
                .filter(|(column, _)| named(column))
                .cloned()
                .collect();
            (!key.columns.is_empty() && pairs.len() == key.columns.len()).then(|| Image::new(pairs))
        })
}
