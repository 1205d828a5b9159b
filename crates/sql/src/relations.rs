//! What a change of rows means for unique keys and across foreign keys.

use std::sync::Arc;

use crate::catalog::{Action, ForeignKey};
use crate::dml::Settings;
use crate::effect::{Choice, Effect};
use crate::footprint::Strength;
use crate::rows::Column;
use crate::schema::{Schema, TableId};
use crate::value::{Term, Value};
use crate::walk::{DEEPEST, Walk};

/// Which keys of rows are meant.
#[derive(Clone, Copy)]
pub(crate) enum Keys<'a> {
    /// Of new rows: all.
    New,
    /// Of changed rows: those that a change of these columns puts anew.
    Set(&'a [Column]),
    /// Of rows as they were before they are changed or deleted.
    Held,
}

impl Walk<'_> {
    /// Keys of rows like these.
    pub(crate) fn keys(&mut self, table: TableId, rows: &Choice, keys: Keys<'_>) {
        let schema = self.schema;
        let held = matches!(keys, Keys::Held);
        for member in schema.members(table) {
            let known = schema.table(*member);
            for key in &known.unique {
                let set = |column: &String| match keys {
                    Keys::New | Keys::Held => true,
                    Keys::Set(set) => set.iter().any(|name| **name == **column),
                };
                // What an expression or a condition makes of a change is not known.
                if !(key.expression || key.partial || key.columns.iter().any(set)) {
                    continue;
                }
                let mark = if key.expression {
                    format!(" {}", key.name)
                } else {
                    String::new()
                };
                let index: Arc<str> =
                    format!("{}({}){mark}", schema.name(table), key.columns.join(", ")).into();
                let nulls_equal = key.nulls_not_distinct || key.expression;
                for values in key_values(&key.columns, rows, key.expression) {
                    self.push(Effect::Key {
                        table,
                        index: index.clone(),
                        values,
                        nulls_equal,
                        held,
                    });
                }
            }
            if known.exclusion {
                let index = format!("{} exclusion", schema.name(table)).into();
                self.push(Effect::Key {
                    table,
                    index,
                    values: vec![Term::Unknown],
                    nulls_equal: true,
                    held: false,
                });
            }
        }
    }

    /// The parents' rows that rows like these refer to are locked; `set`: only if one of these columns refers.
    pub(crate) fn parents(&mut self, table: TableId, rows: &Choice, set: Option<&[Column]>) {
        let schema = self.schema;
        for member in schema.members(table) {
            for key in &schema.table(*member).foreign_keys {
                let named = |column: &String| {
                    set.is_none_or(|set| set.iter().any(|name| **name == **column))
                };
                if !key.columns.iter().any(named) {
                    continue;
                }
                let Some(parent) = schema.by_oid(key.parent) else {
                    self.beyond(format!(
                        "the parent of the foreign key {} is not known",
                        key.name
                    ));
                    continue;
                };
                let rows = translated(rows, &key.columns, &key.parent_columns, true);
                let lock = |rows| Effect::Lock {
                    table: parent,
                    rows,
                    strength: Strength::KeyShare,
                    deferred: key.deferrable,
                };
                self.push(lock(rows));
            }
        }
    }

    /// The children of rows that vanish (`set` is `None`) or whose keys change.
    pub(crate) fn children(&mut self, table: TableId, rows: &Choice, set: Option<&Settings>) {
        let schema = self.schema;
        for (child, at) in schema.referrers(table) {
            let key = &schema.table(child).foreign_keys[at];
            let changed = |set: &Settings| {
                set.iter()
                    .any(|(column, _)| key.parent_columns.iter().any(|name| **name == **column))
            };
            if set.is_some_and(|set| !changed(set)) {
                continue;
            }
            let affected = translated(rows, &key.parent_columns, &key.columns, false);
            let lock = Effect::Lock {
                table: child,
                rows: affected.clone(),
                strength: Strength::KeyShare,
                deferred: key.deferrable,
            };
            self.push(lock);
            // A table that refers to itself: once all its rows are affected there is no more to say.
            if affected == Choice::All && !self.cascades.insert((child, at, set.is_some())) {
                continue;
            }
            if self.depth >= DEEPEST {
                self.beyond("foreign keys cascade too deep".to_owned());
                continue;
            }
            self.depth += 1;
            self.act(child, key, &affected, set);
            self.depth -= 1;
        }
    }

    fn act(&mut self, child: TableId, key: &ForeignKey, rows: &Choice, set: Option<&Settings>) {
        let to = |term: &dyn Fn(&str) -> Term| -> Settings {
            key.columns
                .iter()
                .zip(&key.parent_columns)
                .map(|(mine, theirs)| (mine.as_str().into(), term(theirs)))
                .collect()
        };
        let action = if set.is_some() {
            key.on_update
        } else {
            key.on_delete
        };
        match (action, set) {
            (Action::NoAction | Action::Restrict, _) => {}
            (Action::Cascade, None) => self.delete_rows(child, rows),
            (Action::Cascade, Some(set)) => {
                let new = |column: &str| {
                    set.iter()
                        .find(|(name, _)| **name == *column)
                        .map_or(Term::Unknown, |(_, term)| term.clone())
                };
                self.update_rows(child, rows, &to(&new));
            }
            (Action::SetNull, _) => {
                self.update_rows(child, rows, &to(&|_| Term::Known(Value::Null)));
            }
            (Action::SetDefault, _) => self.update_rows(child, rows, &to(&|_| Term::Unknown)),
        }
    }
}

/// What is known of the key columns, once for every alternative.
fn key_values(columns: &[String], rows: &Choice, expression: bool) -> Vec<Vec<Term>> {
    match rows {
        Choice::Where(alternatives) if !expression => {
            let value = |image: &Settings, column: &String| {
                image
                    .iter()
                    .find(|(name, _)| **name == **column)
                    .map_or(Term::Unknown, |(_, term)| term.clone())
            };
            alternatives
                .iter()
                .map(|image| columns.iter().map(|column| value(image, column)).collect())
                .collect()
        }
        _ => vec![vec![Term::Unknown; columns.len().max(1)]],
    }
}

/// The same equalities on the columns at the other end of a foreign key. A NULL refers to nothing (`nulls_refer_not`).
fn translated(rows: &Choice, from: &[String], to: &[String], nulls_refer_not: bool) -> Choice {
    let Choice::Where(alternatives) = rows else {
        return Choice::All;
    };
    let mut translated = Vec::new();
    for image in alternatives {
        let refers = |(name, term): &(Column, Term)| {
            from.iter().any(|column| **column == **name) && *term == Term::Known(Value::Null)
        };
        if nulls_refer_not && image.iter().any(refers) {
            continue;
        }
        let pairs = from.iter().zip(to).filter_map(|(from, to)| {
            let (_, term) = image.iter().find(|(name, _)| **name == **from)?;
            let usable = !matches!(term, Term::Unknown | Term::Generated);
            usable.then(|| (Column::from(to.as_str()), term.clone()))
        });
        translated.push(pairs.collect());
    }
    Choice::Where(translated)
}

/// What a change of unknown rows of a table does besides: keys, parents, children (whose own changes are counted).
pub(crate) fn whole_table(schema: &Schema, table: TableId) -> Vec<Effect> {
    let mut walk = Walk::new(schema);
    walk.keys(table, &Choice::All, Keys::New);
    walk.parents(table, &Choice::All, None);
    for (child, at) in schema.referrers(table) {
        let deferred = schema.table(child).foreign_keys[at].deferrable;
        walk.push(Effect::Lock {
            table: child,
            rows: Choice::All,
            strength: Strength::KeyShare,
            deferred,
        });
    }
    walk.effects
}
