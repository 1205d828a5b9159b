//! Collects what a statement does: every relation it reads, every function it calls, every row it locks, wherever in
//! it they stand. (What it changes is in [`crate::dml`].)

use std::collections::BTreeSet;

use squawk_syntax::{SyntaxKind as K, SyntaxNode};

use crate::calls::{Called, call};
use crate::catalog::TableKind;
use crate::effect::{Choice, Effect};
use crate::footprint::{Mode, SequenceUse, Strength};
use crate::rows::Column;
use crate::schema::{Relation, Schema, TableId};
use crate::scope::Scope;
use crate::statement::{Doubt, Kind, One};
use crate::tree::{child, name, qualified, with_tree};

/// What was found so far.
pub(crate) struct Walk<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) ctes: Vec<String>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) doubt: Doubt,
    /// Nothing but reads so far.
    pub(crate) quiet: bool,
    defines: bool,
    strange: bool,
    pub(crate) changed: Vec<(u32, Column)>,
    /// Foreign keys, by child and position, that a deletion (or change: `true`) of any row was followed along.
    pub(crate) cascades: BTreeSet<(TableId, usize, bool)>,
    /// Views in views, cascades in cascades.
    pub(crate) depth: usize,
}

/// Views (or cascades) nested deeper than this are not followed.
pub(crate) const DEEPEST: usize = 12;

impl<'a> Walk<'a> {
    pub(crate) fn new(schema: &'a Schema) -> Self {
        Self {
            schema,
            ctes: Vec::new(),
            effects: Vec::new(),
            doubt: Doubt::None,
            quiet: true,
            defines: false,
            strange: false,
            changed: Vec::new(),
            cascades: BTreeSet::new(),
            depth: 0,
        }
    }

    /// Over a whole statement.
    pub(crate) fn over(schema: &'a Schema, node: &SyntaxNode) -> Self {
        let mut walk = Self::new(schema);
        walk.scan(node);
        walk
    }

    pub(crate) fn finish(self, kind: Kind) -> One {
        if self.defines {
            return One::definition("it makes a table");
        }
        One {
            gap: matches!(kind, Kind::Query | Kind::Change),
            reads_only: kind == Kind::Query && self.quiet && self.doubt == Doubt::None,
            effects: self.effects,
            doubt: self.doubt,
            strange: self.strange,
            changed: self.changed,
            ..One::of(kind)
        }
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        if !matches!(effect, Effect::Read { .. }) {
            self.quiet = false;
        }
        if !self.effects.contains(&effect) {
            self.effects.push(effect);
        }
    }

    pub(crate) fn doubt(&mut self, doubt: Doubt) {
        if self.doubt < doubt {
            self.doubt = doubt;
        }
    }

    pub(crate) fn beyond(&mut self, reason: String) {
        self.doubt(Doubt::Beyond(reason.into()));
    }

    pub(crate) fn called(&mut self, called: Called) {
        self.doubt(called.doubt);
        self.strange |= called.configures;
        for effect in called.effects {
            self.push(effect);
        }
    }

    fn scan(&mut self, node: &SyntaxNode) {
        for with in node
            .descendants()
            .filter(|node| node.kind() == K::WITH_TABLE)
        {
            self.ctes
                .extend(child(&with, K::CTE_NAME).map(|cte| name(&cte.text().to_string())));
        }
        for node in node.descendants() {
            match node.kind() {
                K::SELECT => self.select(&node),
                K::TABLE => {
                    if let Some(relation) = node
                        .descendants()
                        .find(|node| node.kind() == K::RELATION_NAME_REF)
                    {
                        self.read_named(&relation, Choice::All);
                    }
                }
                K::RELATION_FROM_ITEM if !in_select(&node) => {
                    if let Some(relation) = child(&node, K::RELATION_NAME_REF) {
                        self.read_named(&relation, Choice::All);
                    }
                }
                K::LOCKING_CLAUSE
                    if node
                        .parent()
                        .is_some_and(|parent| parent.kind() != K::SELECT) =>
                {
                    if let (Some(parent), Some(strength)) = (node.parent(), strength(&node)) {
                        self.lock_all_within(&parent, strength);
                    }
                }
                K::CALL_EXPR => self.called(call(self.schema, &node)),
                K::INSERT => self.insert(&node),
                K::UPDATE => self.update(&node),
                K::DELETE => self.delete(&node),
                K::MERGE => self.merge(&node),
                K::SELECT_INTO => self.defines = true,
                _ => {}
            }
        }
    }

    fn select(&mut self, node: &SyntaxNode) {
        let scope = Scope::of(self.schema, node, None, &self.ctes);
        self.sources(&scope, 0);
        for clause in node
            .children()
            .filter(|node| node.kind() == K::LOCKING_CLAUSE)
        {
            if let Some(strength) = strength(&clause) {
                self.locking(&scope, &clause, strength);
            }
        }
    }

    /// Reads the sources of a block from `first` on.
    pub(crate) fn sources(&mut self, scope: &Scope<'_>, first: usize) {
        for (at, source) in scope.sources.iter().enumerate().skip(first) {
            if let Some(relation) = child(&source.node, K::RELATION_NAME_REF) {
                self.read_named(&relation, scope.rows(at));
            }
        }
    }

    fn locking(&mut self, scope: &Scope<'_>, clause: &SyntaxNode, strength: Strength) {
        let of: Option<Vec<String>> = child(clause, K::LOCKING_OF)
            .map(|of| of.children().map(|node| qualified(&node).1).collect());
        for (at, source) in scope.sources.iter().enumerate() {
            if of.as_ref().is_some_and(|of| !of.contains(&source.alias)) {
                continue;
            }
            match (source.table, child(&source.node, K::RELATION_NAME_REF)) {
                (Some(table), _) => self.push(Effect::Lock {
                    table,
                    rows: scope.rows(at),
                    strength,
                    deferred: false,
                }),
                (None, Some(relation)) => self.lock_named(&relation, strength),
                (None, None) => self.lock_all_within(&source.node, strength),
            }
        }
    }

    fn lock_all_within(&mut self, node: &SyntaxNode, strength: Strength) {
        for relation in node
            .descendants()
            .filter(|node| node.kind() == K::RELATION_NAME_REF)
        {
            self.lock_named(&relation, strength);
        }
    }

    /// Locks all rows of a relation; those of a view in the tables it reads.
    fn lock_named(&mut self, relation: &SyntaxNode, strength: Strength) {
        let mut inside = Walk::new(self.schema);
        inside.depth = self.depth;
        inside.ctes.clone_from(&self.ctes);
        inside.read_named(relation, Choice::All);
        for effect in std::mem::take(&mut inside.effects) {
            if let Effect::Read { table, .. } = effect {
                self.push(Effect::Lock {
                    table,
                    rows: Choice::All,
                    strength,
                    deferred: false,
                });
            }
        }
        self.doubt(inside.doubt);
    }

    /// Reads a relation by name.
    pub(crate) fn read_named(&mut self, node: &SyntaxNode, rows: Choice) {
        let (of, relation) = qualified(node);
        let found = self.schema.relation(of.as_deref(), &relation);
        // A name that is a CTE's somewhere in the statement may be the table's elsewhere in it: then both are meant.
        if of.is_none()
            && self.ctes.contains(&relation)
            && !matches!(found, Relation::Table(_) | Relation::View(_))
        {
            return;
        }
        match found {
            Relation::Table(table) => self.read_table(table, rows),
            Relation::View(view) => self.view(view),
            Relation::System => {}
            Relation::Live => self.beyond(format!("{relation} shows what others do at the moment")),
            Relation::Unknown => self.beyond(format!("the relation {relation} is not known")),
        }
    }

    fn read_table(&mut self, table: TableId, rows: Choice) {
        let known = self.schema.table(table);
        match known.kind {
            TableKind::Foreign => {
                return self.beyond(format!("{} is in another database", known.name));
            }
            TableKind::Sequence => {
                let name = Some(self.schema.name(table).clone());
                return self.push(Effect::Sequence {
                    name,
                    table: None,
                    how: SequenceUse::Look,
                });
            }
            _ => {}
        }
        if known.row_security {
            self.doubt(Doubt::Reads);
        }
        self.push(Effect::Read { table, rows });
    }

    /// Reads what a view reads.
    pub(crate) fn view(&mut self, at: usize) {
        let view = self.schema.view(at);
        if self.depth >= DEEPEST {
            return self.beyond(format!("the view {} is nested too deep", view.name));
        }
        if view.rules {
            self.doubt(Doubt::Reads);
        }
        let (schema, depth) = (self.schema, self.depth + 1);
        let inside = with_tree(&view.definition, |root| {
            let mut inside = Walk::new(schema);
            inside.depth = depth;
            inside.scan(root);
            (inside.effects, inside.doubt, inside.quiet)
        });
        match inside {
            Some((effects, doubt, quiet)) => {
                self.quiet &= quiet;
                self.doubt(doubt);
                for effect in effects {
                    self.push(effect);
                }
            }
            None => self.beyond(format!("the view {} is not understood", view.name)),
        }
    }

    /// Calls that an expression of the catalogue (a default, a check) makes.
    pub(crate) fn expression(&mut self, text: &str) {
        let (schema, depth) = (self.schema, self.depth + 1);
        let inside = with_tree(&format!("select {text}"), |root| {
            let mut inside = Walk::new(schema);
            inside.depth = depth;
            inside.scan(root);
            (inside.effects, inside.doubt)
        });
        match inside {
            Some((effects, doubt)) => {
                self.doubt(doubt);
                for effect in effects {
                    self.push(effect);
                }
            }
            None => self.beyond("an expression of the schema is not understood".to_owned()),
        }
    }

    /// LOCK TABLE.
    pub(crate) fn lock_relation(&mut self, node: &SyntaxNode, mode: Mode) {
        let (of, relation) = qualified(node);
        match self.schema.relation(of.as_deref(), &relation) {
            Relation::Table(table) => self.push(Effect::LockTable { table, mode }),
            Relation::System => self.beyond("it locks a system catalogue".to_owned()),
            _ => {
                let mut inside = Walk::new(self.schema);
                inside.read_named(node, Choice::All);
                for effect in std::mem::take(&mut inside.effects) {
                    if let Effect::Read { table, .. } = effect {
                        self.push(Effect::LockTable { table, mode });
                    }
                }
                self.doubt(inside.doubt);
            }
        }
    }
}

/// Whether an item of FROM belongs to a block that reads its sources itself.
fn in_select(node: &SyntaxNode) -> bool {
    let owner = node.ancestors().skip(1).find(|node| {
        matches!(
            node.kind(),
            K::SELECT
                | K::SELECT_INTO
                | K::UPDATE
                | K::DELETE
                | K::MERGE
                | K::INSERT
                | K::PAREN_SELECT
        )
    });
    owner.is_some_and(|owner| matches!(owner.kind(), K::SELECT | K::UPDATE | K::DELETE))
}

fn strength(clause: &SyntaxNode) -> Option<Strength> {
    clause.children().find_map(|node| match node.kind() {
        K::FOR_UPDATE => Some(Strength::Update),
        K::FOR_NO_KEY_UPDATE => Some(Strength::NoKeyUpdate),
        K::FOR_SHARE => Some(Strength::Share),
        K::FOR_KEY_SHARE => Some(Strength::KeyShare),
        _ => None,
    })
}
