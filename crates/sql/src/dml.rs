//! What UPDATE, DELETE and MERGE change, and what triggers add. (INSERT is in [`crate::insert`], keys and references in
//! [`crate::relations`].)

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use crate::catalog::{Generated, TableKind};
use crate::effect::{Choice, Effect};
use crate::footprint::Strength;
use crate::relations::Keys;
use crate::rows::Column;
use crate::schema::{Relation, TableId};
use crate::scope::{Scope, Source};
use crate::statement::Doubt;
use crate::terms::term;
use crate::tree::{all_tokens, child, name, qualified, within};
use crate::triggers::reshapes;
use crate::value::Term;
use crate::walk::Walk;

/// Columns with what they are set to.
pub(crate) type Settings = Vec<(Column, Term)>;

impl<'a> Walk<'a> {
    /// The table that a name means as the target of a change.
    pub(crate) fn target(&mut self, node: &SyntaxNode) -> Option<TableId> {
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
    pub(crate) fn settings(&self, table: TableId, node: &SyntaxNode) -> Settings {
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
        let reshaped = self.fire(table, |trigger| trigger.update);
        let beyond = reshaped.into_iter().map(|column| (column, Term::Unknown));
        // What a trigger sets comes last, and so before what the statement sets is kept.
        let kept = set
            .iter()
            .filter(|(column, _)| !beyond.clone().any(|(name, _)| name == *column));
        let set: &Settings = &kept.cloned().chain(beyond.clone()).collect();
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
        self.keys(table, rows, Keys::Held);
        self.keys(table, &new, Keys::Set(&columns));
        self.parents(table, &new, Some(&columns));
        self.children(table, rows, Some(set));
        self.checked(table);
    }

    pub(crate) fn delete_rows(&mut self, table: TableId, rows: &Choice) {
        self.push(Effect::Change {
            table,
            old: Some(rows.clone()),
            new: None,
            strength: Strength::Update,
        });
        self.keys(table, rows, Keys::Held);
        self.children(table, rows, None);
        self.fire(table, |trigger| trigger.delete);
    }

    /// Functions that checks, index expressions and generated columns call.
    pub(crate) fn checked(&mut self, table: TableId) {
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

    /// Fires triggers. Returns the columns that they may set in the rows they fire for.
    pub(crate) fn fire(
        &mut self,
        table: TableId,
        fires: impl Fn(&crate::catalog::Trigger) -> bool,
    ) -> Vec<Column> {
        let schema = self.schema;
        let mut reshaped = Vec::new();
        for member in schema.members(table) {
            for trigger in schema
                .table(*member)
                .triggers
                .iter()
                .filter(|trigger| fires(trigger))
            {
                if let Some(columns) = reshapes(schema, &trigger.function) {
                    reshaped.extend(columns);
                    continue;
                }
                self.called(crate::calls::trigger(schema, &trigger.function));
                if trigger.deferrable {
                    self.push(Effect::AtCommit {
                        always: trigger.initially_deferred,
                    });
                }
            }
        }
        reshaped
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

/// Whether a value is the keyword DEFAULT.
pub(crate) fn is_default(value: &SyntaxNode) -> bool {
    all_tokens(value)
        .iter()
        .map(squawk_syntax::SyntaxToken::kind)
        .eq([K::DEFAULT_KW])
}
