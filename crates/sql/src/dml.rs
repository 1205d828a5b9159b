//! What INSERT, UPDATE, DELETE, MERGE and COPY change: rows, unique keys, and what foreign keys and triggers add.

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use crate::catalog::{Generated, TableKind};
use crate::effect::{Choice, Effect};
use crate::footprint::Strength;
use crate::rows::Column;
use crate::schema::{Relation, TableId};
use crate::scope::{Scope, Source};
use crate::statement::Doubt;
use crate::terms::term;
use crate::tree::{child, has_token, name, own_tokens, qualified, within};
use crate::value::{Class, Term, Value};
use crate::walk::Walk;

/// Columns with what they are set to.
pub(crate) type Settings = Vec<(Column, Term)>;

/// Rows of VALUES beyond this are not told apart.
const MOST_ROWS: usize = 64;

impl<'a> Walk<'a> {
    /// The table that a name means as the target of a change.
    fn target(&mut self, node: &SyntaxNode) -> Option<TableId> {
        self.quiet = false;
        let (of, relation) = qualified(node);
        match self.schema.relation(of.as_deref(), &relation) {
            Relation::Table(table)
                if matches!(
                    self.schema.table(table).kind,
                    TableKind::Plain | TableKind::Partitioned
                ) =>
            {
                let known = self.schema.table(table);
                if known.rules {
                    self.doubt(Doubt::Acts);
                }
                if known.row_security {
                    self.doubt(Doubt::Reads);
                }
                Some(table)
            }
            Relation::View(view) => {
                self.view(view);
                self.doubt(Doubt::Acts);
                None
            }
            _ => {
                self.beyond(format!("{relation} cannot be followed when it is written"));
                None
            }
        }
    }

    pub(crate) fn insert(&mut self, node: &SyntaxNode) {
        let Some(table) = child(node, K::RELATION_NAME_REF).and_then(|node| self.target(&node))
        else {
            return;
        };
        let images = self.inserted(table, node);
        self.insert_images(table, images.as_deref());
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
    fn default(&self, table: TableId, column: &str) -> Term {
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

    fn insert_images(&mut self, table: TableId, images: Option<&[Settings]>) {
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
                    how: crate::footprint::SequenceUse::Next,
                });
            } else if let Some(default) = &column.default {
                self.expression(default);
            }
        }
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
        self.keys(table, &all, None);
        self.parents(table, &all, None);
        self.checked(table);
        self.fire(table, |trigger| trigger.insert);
    }

    pub(crate) fn update(&mut self, node: &SyntaxNode) {
        let relation = child(node, K::RELATION_NAME);
        let table = relation
            .as_ref()
            .and_then(|node| within(node, K::RELATION_NAME_REF))
            .and_then(|node| self.target(&node));
        let scope = self.block(node, relation, table);
        self.sources(&scope, 1);
        let Some(table) = table else { return };
        let rows = if child(node, K::WHERE_CURRENT_OF).is_some() {
            Choice::All
        } else {
            scope.rows(0)
        };
        let set = self.settings(table, node);
        self.update_rows(table, &rows, &set);
    }

    pub(crate) fn delete(&mut self, node: &SyntaxNode) {
        let relation = child(node, K::RELATION_NAME);
        let table = relation
            .as_ref()
            .and_then(|node| within(node, K::RELATION_NAME_REF))
            .and_then(|node| self.target(&node));
        let scope = self.block(node, relation, table);
        self.sources(&scope, 1);
        let Some(table) = table else { return };
        let rows = if child(node, K::WHERE_CURRENT_OF).is_some() {
            Choice::All
        } else {
            scope.rows(0)
        };
        self.delete_rows(table, &rows);
    }

    fn block(
        &self,
        node: &SyntaxNode,
        relation: Option<SyntaxNode>,
        table: Option<TableId>,
    ) -> Scope<'a> {
        let alias = child(node, K::OPTIONAL_AS_ALIAS)
            .and_then(|alias| child(&alias, K::TABLE_ALIAS))
            .map(|alias| name(&alias.text().to_string()));
        let named = relation
            .as_ref()
            .and_then(|node| within(node, K::RELATION_NAME_REF))
            .map(|node| qualified(&node).1);
        let alias = alias.or(named).unwrap_or_default();
        let target = Source {
            alias,
            table,
            node: relation.unwrap_or_else(|| node.clone()),
        };
        Scope::of(self.schema, node, Some(target), &self.ctes)
    }

    pub(crate) fn merge(&mut self, node: &SyntaxNode) {
        let relation =
            child(node, K::TABLE_RELATION_NAME).and_then(|node| within(&node, K::TABLE_NAME_REF));
        let Some(table) = relation.and_then(|node| self.target(&node)) else {
            return;
        };
        self.push(Effect::Read {
            table,
            rows: Choice::All,
        });
        self.quiet = false;
        for clause in node.descendants() {
            match clause.kind() {
                K::MERGE_UPDATE => {
                    let set = self.settings(table, &clause);
                    self.update_rows(table, &Choice::All, &set);
                }
                K::MERGE_DELETE => self.delete_rows(table, &Choice::All),
                K::MERGE_INSERT => self.insert_images(table, None),
                _ => {}
            }
        }
    }

    /// What SET sets.
    fn settings(&self, table: TableId, node: &SyntaxNode) -> Settings {
        let mut set = Settings::new();
        let Some(list) =
            child(node, K::SET_CLAUSE).and_then(|clause| child(&clause, K::SET_COLUMN_LIST))
        else {
            return set;
        };
        for one in list.children() {
            let value = child(&one, K::SET_EXPR);
            if let Some(target) = child(&one, K::COLUMN_TARGET) {
                set.extend(self.setting(table, &target, value.as_ref()));
            } else if let Some(targets) = child(&one, K::COLUMN_TARGET_LIST) {
                let values: Vec<_> = child(&one, K::SET_EXPR_LIST)
                    .map(|list| list.children().collect())
                    .unwrap_or_default();
                for (at, target) in targets
                    .children()
                    .filter(|node| node.kind() == K::COLUMN_TARGET)
                    .enumerate()
                {
                    set.extend(self.setting(table, &target, values.get(at)));
                }
            }
        }
        set
    }

    fn setting(
        &self,
        table: TableId,
        target: &SyntaxNode,
        value: Option<&SyntaxNode>,
    ) -> Option<(Column, Term)> {
        let column =
            child(target, K::COLUMN_NAME_REF).map(|node| name(&node.text().to_string()))?;
        let whole = target.children().count() == 1;
        let term = match value {
            Some(value) if whole && is_default(value) => self.default(table, &column),
            Some(value) if whole => term(value, self.schema.class(table, &column)),
            _ => Term::Unknown,
        };
        Some((column.into(), term))
    }

    pub(crate) fn update_rows(&mut self, table: TableId, rows: &Choice, set: &Settings) {
        let schema = self.schema;
        let family = schema.family(table);
        self.changed
            .extend(set.iter().map(|(column, _)| (family, column.clone())));
        let sets = |name: &str| set.iter().any(|(column, _)| **column == *name);
        let new = renewed(rows, set, |column| {
            schema
                .table(table)
                .columns
                .iter()
                .any(|known| *known.name == **column && known.generated == Generated::Stored)
        });
        let members = schema
            .members(table)
            .iter()
            .map(|member| schema.table(*member));
        let partitioned = schema.members(table).len() > 1;
        let key = members
            .flat_map(|member| &member.unique)
            .any(|key| key.columns.iter().any(|column| sets(column)));
        let strength = if key || partitioned {
            Strength::Update
        } else {
            Strength::NoKeyUpdate
        };
        self.push(Effect::Change {
            table,
            old: Some(rows.clone()),
            new: Some(new.clone()),
            strength,
        });
        let columns: Vec<Column> = set.iter().map(|(column, _)| column.clone()).collect();
        self.keys(table, rows, Some(&columns));
        self.keys(table, &new, Some(&columns));
        self.parents(table, &new, Some(&columns));
        self.children(table, rows, Some(set));
        self.checked(table);
        self.fire(table, |trigger| trigger.update);
    }

    pub(crate) fn delete_rows(&mut self, table: TableId, rows: &Choice) {
        self.push(Effect::Change {
            table,
            old: Some(rows.clone()),
            new: None,
            strength: Strength::Update,
        });
        self.keys(table, rows, None);
        self.children(table, rows, None);
        self.fire(table, |trigger| trigger.delete);
    }

    /// Functions that checks, index expressions and generated columns call.
    fn checked(&mut self, table: TableId) {
        let schema = self.schema;
        for member in schema.members(table) {
            let known = schema.table(*member);
            let generated = known
                .columns
                .iter()
                .filter(|column| column.generated == Generated::Stored);
            for text in known
                .checks
                .iter()
                .chain(generated.filter_map(|column| column.default.as_ref()))
            {
                self.expression(text);
            }
        }
    }

    fn fire(&mut self, table: TableId, fires: impl Fn(&crate::catalog::Trigger) -> bool) {
        let schema = self.schema;
        for member in schema.members(table) {
            for trigger in schema
                .table(*member)
                .triggers
                .iter()
                .filter(|trigger| fires(trigger))
            {
                self.called(crate::calls::trigger(schema, &trigger.function));
                if trigger.deferrable {
                    self.push(Effect::AtCommit {
                        always: trigger.initially_deferred,
                    });
                }
            }
        }
    }
}

/// The rows after SET.
fn renewed(rows: &Choice, set: &Settings, derived: impl Fn(&Column) -> bool) -> Choice {
    let Choice::Where(alternatives) = rows else {
        return Choice::All;
    };
    let known: Settings = set
        .iter()
        .filter(|(_, term)| !matches!(term, Term::Unknown | Term::Generated))
        .cloned()
        .collect();
    let image = |old: &Settings| {
        let kept = old
            .iter()
            .filter(|(column, _)| !derived(column) && !set.iter().any(|(name, _)| name == column));
        kept.chain(&known).cloned().collect()
    };
    Choice::Where(alternatives.iter().map(image).collect())
}

fn targets(list: &SyntaxNode) -> Option<Vec<String>> {
    let targets = list
        .children()
        .filter(|node| node.kind() == K::COLUMN_TARGET);
    targets
        .map(|target| child(&target, K::COLUMN_NAME_REF).map(|node| name(&node.text().to_string())))
        .collect()
}

fn is_default(value: &SyntaxNode) -> bool {
    value.descendants().next().is_some()
        && own_tokens(
            &value
                .first_child()
                .filter(|_| value.kind() == K::SET_EXPR)
                .unwrap_or_else(|| value.clone()),
        )
        .iter()
        .map(squawk_syntax::SyntaxToken::kind)
        .eq([K::DEFAULT_KW])
}
