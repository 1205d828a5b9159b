//! What INSERT and COPY put into a table: rows as far as they are known, with their defaults.

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use crate::catalog::Generated;
use crate::dml::{Settings, is_default};
use crate::effect::{Choice, Effect};
use crate::footprint::{SequenceUse, Strength};
use crate::relations::Keys;
use crate::rows::Column;
use crate::schema::TableId;
use crate::terms::term;
use crate::tree::{child, has_token, name, within};
use crate::value::{Class, Term, Value};
use crate::walk::Walk;

/// Rows of VALUES beyond this are not told apart.
const MOST_ROWS: usize = 64;

impl Walk<'_> {
    pub(crate) fn insert(&mut self, node: &SyntaxNode) {
        let Some(table) = child(node, K::RELATION_NAME_REF).and_then(|node| self.target(&node))
        else {
            return;
        };
        let mut images = self.inserted(table, node);
        self.insert_images(table, images.as_deref_mut());
        let Some(conflict) = child(node, K::ON_CONFLICT_CLAUSE) else {
            return;
        };
        if let Some(update) = child(&conflict, K::CONFLICT_DO_UPDATE_SET) {
            let arbiter = self.arbiter(table, &conflict);
            let rows = match (images, arbiter) {
                (Some(images), Some(arbiter)) => {
                    let keep = |image: Settings| {
                        image.into_iter().filter(|(column, term)| {
                            arbiter.iter().any(|name| **name == **column)
                                && !matches!(term, Term::Unknown | Term::Generated)
                        })
                    };
                    Choice::Where(
                        images
                            .into_iter()
                            .map(|image| keep(image).collect())
                            .collect(),
                    )
                }
                _ => Choice::All,
            };
            let set = self.settings(table, &update);
            self.update_rows(table, &rows, &set);
        }
    }

    /// The columns by which ON CONFLICT finds the row that is there.
    fn arbiter(&self, table: TableId, conflict: &SyntaxNode) -> Option<Vec<String>> {
        if let Some(list) = within(conflict, K::CONFLICT_INDEX_ITEM_LIST) {
            let column = |item: SyntaxNode| {
                item.first_child()
                    .filter(|n| n.kind() == K::NAME_REF)
                    .map(|n| name(&n.text().to_string()))
            };
            return list.children().map(column).collect();
        }
        let constraint =
            within(conflict, K::CONSTRAINT_NAME_REF).map(|node| name(&node.text().to_string()))?;
        let key = self
            .schema
            .table(table)
            .unique
            .iter()
            .find(|key| key.name == constraint && !key.expression)?;
        Some(key.columns.clone())
    }

    /// What is known of the rows that an INSERT makes. `None`: nothing.
    fn inserted(&mut self, table: TableId, node: &SyntaxNode) -> Option<Vec<Settings>> {
        let columns: Vec<String> = match child(node, K::COLUMN_TARGET_LIST) {
            Some(list) => targets(&list)?,
            None => self
                .schema
                .table(table)
                .columns
                .iter()
                .map(|column| column.name.clone())
                .collect(),
        };
        let user_values_ignored = child(node, K::OVERRIDING_USER_VALUE).is_some();
        let image =
            |values: Vec<SyntaxNode>| self.image(table, &columns, &values, user_values_ignored);
        if child(node, K::DEFAULT_VALUES).is_some() {
            return Some(vec![image(Vec::new())]);
        }
        if let Some(values) = child(node, K::VALUES) {
            let list = child(&values, K::ROW_LIST)?;
            let rows: Vec<SyntaxNode> =
                list.children().filter(|row| row.kind() == K::ROW).collect();
            return (rows.len() <= MOST_ROWS).then(|| {
                rows.iter()
                    .map(|row| image(row.children().collect()))
                    .collect()
            });
        }
        let list = child(&child(node, K::SELECT)?, K::SELECT_CLAUSE)
            .and_then(|clause| child(&clause, K::TARGET_LIST))?;
        let mut values = Vec::new();
        for target in list.children().filter(|target| target.kind() == K::TARGET) {
            let value = target
                .first_child()
                .filter(|value| !has_token(value, K::STAR))?;
            values.push(value);
        }
        Some(vec![image(values)])
    }

    /// A new row: what is given, and defaults.
    fn image(
        &self,
        table: TableId,
        columns: &[String],
        values: &[SyntaxNode],
        user_values_ignored: bool,
    ) -> Settings {
        let known = self.schema.table(table);
        let settings = known.columns.iter().map(|column| {
            let given = columns
                .iter()
                .position(|name| *name == column.name)
                .and_then(|at| values.get(at));
            let identity = matches!(
                column.generated,
                Generated::IdentityAlways | Generated::IdentityByDefault
            );
            let term = match given {
                Some(value) if !(is_default(value) || identity && user_values_ignored) => {
                    term(value, self.schema.class(table, &column.name))
                }
                _ => self.default(table, &column.name),
            };
            (Column::from(column.name.as_str()), term)
        });
        settings.collect()
    }

    /// What a column is when nothing is given for it.
    pub(crate) fn default(&self, table: TableId, column: &str) -> Term {
        let Some(known) = self
            .schema
            .table(table)
            .columns
            .iter()
            .find(|known| known.name == column)
        else {
            return Term::Unknown;
        };
        match (known.generated, &known.default) {
            (Generated::IdentityAlways | Generated::IdentityByDefault, _) => Term::Generated,
            (Generated::No, Some(default)) if default.starts_with("nextval(") => Term::Generated,
            // A type that is not understood may be a domain with a default of its own.
            (Generated::No, None) if self.schema.class(table, column) != Class::Other => {
                Term::Known(Value::Null)
            }
            _ => Term::Unknown,
        }
    }

    /// Rows of which nothing is known are put into a table (COPY).
    pub(crate) fn insert_unknown(&mut self, node: &SyntaxNode) {
        if let Some(table) = self.target(node) {
            self.insert_images(table, None);
        }
    }

    /// What the defaults of columns call that are not given.
    fn defaults(&mut self, table: TableId, images: Option<&[Settings]>) {
        let schema = self.schema;
        for column in &schema.table(table).columns {
            let given = |image: &Settings| {
                image.iter().any(|(name, term)| {
                    **name == *column.name && !matches!(term, Term::Unknown | Term::Generated)
                })
            };
            if images.is_some_and(|images| images.iter().all(given)) {
                continue;
            }
            if matches!(
                column.generated,
                Generated::IdentityAlways | Generated::IdentityByDefault
            ) {
                self.push(Effect::Sequence {
                    name: None,
                    table: None,
                    how: SequenceUse::Next,
                });
            } else if let Some(default) = &column.default {
                self.expression(default);
            }
        }
    }

    pub(crate) fn insert_images(&mut self, table: TableId, images: Option<&mut [Settings]>) {
        self.defaults(table, images.as_deref());
        let reshaped = self.fire(table, |trigger| trigger.insert);
        let images = images.map(|images| {
            for (column, term) in images.iter_mut().flatten() {
                if reshaped.contains(column) {
                    *term = Term::Unknown;
                }
            }
            &*images
        });
        let rows = images.map_or(Choice::All, |images| {
            let known = |image: &Settings| {
                image
                    .iter()
                    .filter(|(_, term)| !matches!(term, Term::Unknown | Term::Generated))
                    .cloned()
                    .collect()
            };
            Choice::Where(images.iter().map(known).collect())
        });
        self.push(Effect::Change {
            table,
            old: None,
            new: Some(rows),
            strength: Strength::Update,
        });
        let all = images.map_or(Choice::All, |images| Choice::Where(images.to_vec()));
        self.keys(table, &all, Keys::New);
        self.parents(table, &all, None);
        self.checked(table);
    }
}

fn targets(list: &SyntaxNode) -> Option<Vec<String>> {
    let targets = list
        .children()
        .filter(|node| node.kind() == K::COLUMN_TARGET);
    targets
        .map(|target| child(&target, K::COLUMN_NAME_REF).map(|node| name(&node.text().to_string())))
        .collect()
}
