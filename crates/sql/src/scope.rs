//! The tables of one query block, and which of their rows its conditions can accept.
//!
//! Constants come from the block's WHERE alone; they travel along equalities between columns, also those of ON, if these
//! compare the two sides of their join (an ON that looks at one side only accepts rows it does not hold for).

use squawk_syntax::{SyntaxKind, SyntaxNode};

use crate::effect::Choice;
use crate::rows::Column;
use crate::schema::{Relation, Schema, TableId};
use crate::terms::{any, list, term};
use crate::tree::{bare, child, conjuncts, has_token, name, own_tokens, path, qualified};
use crate::value::Term;

/// One entry of FROM (or USING, or the target).
#[derive(Debug)]
pub(crate) struct Source {
    /// The name its columns are qualified with.
    pub(crate) alias: String,
    /// The table it is, if it is one and its columns keep their names.
    pub(crate) table: Option<TableId>,
    pub(crate) node: SyntaxNode,
}

/// A query block with its sources.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    schema: &'a Schema,
    pub(crate) sources: Vec<Source>,
    equal: Vec<((usize, String), (usize, String))>,
    constants: Vec<(usize, String, Term)>,
    tuples: Vec<Vec<(usize, String, Term)>>,
}

impl<'a> Scope<'a> {
    /// Of a block (SELECT, UPDATE, DELETE). `target`: the table it changes, with its alias.
    pub(crate) fn of(
        schema: &'a Schema,
        block: &SyntaxNode,
        target: Option<Source>,
        ctes: &[String],
    ) -> Self {
        let mut scope = Scope {
            schema,
            sources: Vec::new(),
            equal: Vec::new(),
            constants: Vec::new(),
            tuples: Vec::new(),
        };
        scope.sources.extend(target);
        let mut joins = Vec::new();
        for clause in block
            .children()
            .filter(|n| matches!(n.kind(), SyntaxKind::FROM_CLAUSE | SyntaxKind::USING_CLAUSE))
        {
            scope.collect(&clause, ctes, &mut joins);
        }
        for join in joins {
            scope.join(&join);
        }
        if let Some(condition) =
            child(block, SyntaxKind::WHERE_CLAUSE).and_then(|clause| clause.first_child())
        {
            for conjunct in conjuncts(&condition) {
                scope.condition(&conjunct);
            }
        }
        scope
    }

    fn collect(&mut self, node: &SyntaxNode, ctes: &[String], joins: &mut Vec<SyntaxNode>) {
        use SyntaxKind as K;
        for item in node.children() {
            match item.kind() {
                K::RELATION_FROM_ITEM => {
                    let source = self.relation(item, ctes);
                    self.sources.push(source);
                }
                K::PAREN_FROM_ITEM if child(&item, K::PAREN_EXPR).is_some() => {
                    self.collect(&item, ctes, joins);
                }
                K::PAREN_EXPR | K::JOIN_EXPR => self.collect(&item, ctes, joins),
                K::JOIN => {
                    self.collect(&item, ctes, joins);
                    joins.push(item);
                }
                K::FUNCTION_FROM_ITEM
                | K::EXPR_FROM_ITEM
                | K::ROWS_FROM_ITEM
                | K::JSON_TABLE_FROM_ITEM
                | K::XML_TABLE_FROM_ITEM
                | K::GRAPH_TABLE_FROM_ITEM
                | K::PAREN_FROM_ITEM => {
                    let alias = alias(&item).unwrap_or_default();
                    self.sources.push(Source {
                        alias,
                        table: None,
                        node: item,
                    });
                }
                _ => {}
            }
        }
    }

    fn relation(&self, item: SyntaxNode, ctes: &[String]) -> Source {
        let (schema, relation) = child(&item, SyntaxKind::RELATION_NAME_REF)
            .map(|node| qualified(&node))
            .unwrap_or_default();
        let renamed = child(&item, SyntaxKind::FROM_ALIAS).is_some_and(|alias| {
            alias
                .children()
                .any(|part| part.kind() != SyntaxKind::TABLE_ALIAS)
        });
        let cte = schema.is_none() && ctes.contains(&relation);
        let table = match self.schema.relation(schema.as_deref(), &relation) {
            Relation::Table(table) if !renamed && !cte => Some(table),
            _ => None,
        };
        Source {
            alias: alias(&item).unwrap_or(relation),
            table,
            node: item,
        }
    }

    /// Equalities between the two sides of a join.
    fn join(&mut self, join: &SyntaxNode) {
        let Some(on) = child(join, SyntaxKind::ON_CLAUSE).and_then(|clause| clause.first_child())
        else {
            return;
        };
        let right = join.text_range();
        for conjunct in conjuncts(&on) {
            let Some((left_side, right_side)) = equality(&conjunct) else {
                continue;
            };
            if let (Some(one), Some(two)) = (self.column(&left_side), self.column(&right_side)) {
                let inside = |at: usize| right.contains_range(self.sources[at].node.text_range());
                if inside(one.0) != inside(two.0) {
                    self.equal.push((one, two));
                }
            }
        }
    }

    /// One conjunct of WHERE.
    fn condition(&mut self, conjunct: &SyntaxNode) {
        if let Some((left, right)) = equality(conjunct) {
            match (self.column(&left), self.column(&right)) {
                (Some(one), Some(two)) => self.equal.push((one, two)),
                (Some(column), None) => self.constant(column, &right),
                (None, Some(column)) => self.constant(column, &left),
                (None, None) => self.row(&left, &right),
            }
        } else if conjunct.kind() == SyntaxKind::BIN_EXPR && has_token(conjunct, SyntaxKind::OR_KW)
        {
            self.alternatives(conjunct);
        } else if conjunct.kind() == SyntaxKind::BIN_EXPR
            && own_tokens(conjunct)
                .iter()
                .map(squawk_syntax::SyntaxToken::kind)
                .eq([SyntaxKind::IN_KW])
        {
            let mut sides = conjunct.children();
            if let (Some(left), Some(right), None) = (sides.next(), sides.next(), sides.next()) {
                self.membership(&bare(&left), &right);
            }
        }
    }

    fn constant(&mut self, (at, column): (usize, String), value: &SyntaxNode) {
        let Some(table) = self.sources[at].table else {
            return;
        };
        let class = self.schema.class(table, &column);
        let term = if value.kind() == SyntaxKind::CALL_EXPR {
            any(value, class)
        } else {
            term(value, class)
        };
        if term != Term::Unknown {
            self.constants.push((at, column, term));
        }
    }

    /// `a = 1 or a = 2`
    fn alternatives(&mut self, disjunct: &SyntaxNode) {
        let (mut column, mut terms, mut open) = (None, Vec::new(), vec![disjunct.clone()]);
        while let Some(side) = open.pop() {
            if side.kind() == SyntaxKind::BIN_EXPR && has_token(&side, SyntaxKind::OR_KW) {
                open.extend(side.children().map(|side| bare(&side)));
                continue;
            }
            let Some((left, right)) = equality(&side) else {
                return;
            };
            let (Some(found), None) = (self.column(&left), self.column(&right)) else {
                return;
            };
            let Some(table) = self.sources[found.0].table else {
                return;
            };
            terms.push(term(&right, self.schema.class(table, &found.1)));
            if column.get_or_insert_with(|| found.clone()) != &found
                || terms.contains(&Term::Unknown)
            {
                return;
            }
        }
        if let Some((at, column)) = column {
            self.constants.push((at, column, Term::OneOf(terms)));
        }
    }

    /// `(a, b) = (1, 2)`
    fn row(&mut self, left: &SyntaxNode, right: &SyntaxNode) {
        if left.kind() == SyntaxKind::TUPLE_EXPR && right.kind() == SyntaxKind::TUPLE_EXPR {
            for (left, right) in left.children().zip(right.children()) {
                if let Some(column) = self.column(&bare(&left)) {
                    self.constant(column, &bare(&right));
                }
            }
        }
    }

    /// `a in (1, 2)`, `(a, b) in ((1, 2), (3, 4))`
    fn membership(&mut self, left: &SyntaxNode, right: &SyntaxNode) {
        if let Some((at, column)) = self.column(left) {
            let Some(table) = self.sources[at].table else {
                return;
            };
            let term = list(right, self.schema.class(table, &column));
            if term != Term::Unknown {
                self.constants.push((at, column, term));
            }
        } else if left.kind() == SyntaxKind::TUPLE_EXPR && self.tuples.is_empty() {
            let columns: Vec<_> = left
                .children()
                .map(|side| self.column(&bare(&side)))
                .collect();
            let read = |tuple: SyntaxNode| -> Option<Vec<(usize, String, Term)>> {
                let tuple = bare(&tuple);
                if tuple.kind() != SyntaxKind::TUPLE_EXPR
                    || tuple.children().count() != columns.len()
                {
                    return None;
                }
                let known = tuple
                    .children()
                    .zip(&columns)
                    .filter_map(|(value, column)| {
                        let (at, column) = column.clone()?;
                        let class = self.schema.class(self.sources[at].table?, &column);
                        let term = term(&value, class);
                        (term != Term::Unknown).then_some((at, column, term))
                    });
                Some(known.collect())
            };
            let tuples: Option<Vec<_>> = match right.kind() {
                SyntaxKind::PAREN_EXPR | SyntaxKind::TUPLE_EXPR => {
                    right.children().map(read).collect()
                }
                _ => None,
            };
            self.tuples = tuples.unwrap_or_default();
        }
    }

    /// Which source's column an expression is; `None` also for columns of an outer query.
    fn column(&self, expression: &SyntaxNode) -> Option<(usize, String)> {
        match expression.kind() {
            SyntaxKind::NAME_REF => {
                let column = name(&expression.text().to_string());
                let has = |source: &Source| {
                    source
                        .table
                        .is_some_and(|table| self.schema.table(table).column(&column).is_some())
                };
                if self.sources.len() > 1
                    && self.sources.iter().any(|source| source.table.is_none())
                {
                    return None;
                }
                let mut found = (0..self.sources.len()).filter(|at| has(&self.sources[*at]));
                match (found.next(), found.next()) {
                    (Some(at), None) => Some((at, column)),
                    _ => None,
                }
            }
            SyntaxKind::FIELD_EXPR => {
                let mut path = path(expression);
                let column = path.pop()?;
                let qualifier = path.pop()?;
                let at = self
                    .sources
                    .iter()
                    .position(|source| source.alias == qualifier)?;
                let table = self.sources[at].table?;
                self.schema
                    .table(table)
                    .column(&column)
                    .map(|_| (at, column))
            }
            _ => None,
        }
    }

    /// The rows of a source that the block's conditions can accept.
    pub(crate) fn rows(&self, source: usize) -> Choice {
        let Some(table) = self.sources[source].table else {
            return Choice::All;
        };
        let mut always = Vec::new();
        for column in &self.schema.table(table).columns {
            for (at, name) in self.reach(source, &column.name) {
                let same_class = self.sources[at]
                    .table
                    .map(|other| self.schema.class(other, &name))
                    == Some(self.schema.class(table, &column.name));
                let terms = self
                    .constants
                    .iter()
                    .filter(|(of, known, _)| same_class && *of == at && *known == name);
                always.extend(
                    terms.map(|(_, _, term)| (Column::from(column.name.as_str()), term.clone())),
                );
            }
        }
        if self.tuples.is_empty() {
            return if always.is_empty() {
                Choice::All
            } else {
                Choice::Where(vec![always])
            };
        }
        let with = |tuple: &Vec<(usize, String, Term)>| {
            let mine = tuple.iter().filter(|(at, _, _)| *at == source);
            let mine = mine.map(|(_, column, term)| (Column::from(column.as_str()), term.clone()));
            always.iter().cloned().chain(mine).collect::<Vec<_>>()
        };
        Choice::Where(self.tuples.iter().map(with).collect())
    }

    /// All columns that equal this one, itself included.
    fn reach(&self, source: usize, column: &str) -> Vec<(usize, String)> {
        let mut found = vec![(source, column.to_owned())];
        let mut at = 0;
        while at < found.len() {
            for (one, two) in &self.equal {
                for (from, to) in [(one, two), (two, one)] {
                    if *from == found[at] && !found.contains(to) {
                        found.push(to.clone());
                    }
                }
            }
            at += 1;
        }
        found
    }
}

/// The sides of `a = b`.
fn equality(expression: &SyntaxNode) -> Option<(SyntaxNode, SyntaxNode)> {
    if expression.kind() != SyntaxKind::BIN_EXPR
        || !has_token(expression, SyntaxKind::EQ)
        || own_tokens(expression).len() != 1
    {
        return None;
    }
    let mut sides = expression.children();
    match (sides.next(), sides.next(), sides.next()) {
        (Some(left), Some(right), None) => Some((bare(&left), bare(&right))),
        _ => None,
    }
}

/// The alias of an item of FROM.
fn alias(item: &SyntaxNode) -> Option<String> {
    let alias = child(item, SyntaxKind::FROM_ALIAS)?;
    child(&alias, SyntaxKind::TABLE_ALIAS).map(|alias| name(&alias.text().to_string()))
}
