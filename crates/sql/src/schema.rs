//! The catalogue, arranged for questions: what a name means, which tables are one, who refers to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::{Catalog, Function, Table, TableKind, View};
use crate::rows::Column;
use crate::value::Class;

/// Position of a table in the catalogue.
pub(crate) type TableId = usize;

/// What a relation's name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Table(TableId),
    View(usize),
    /// Of `pg_catalog` or `information_schema`: only DDL changes it.
    System,
    /// A window onto what other sessions do at the moment.
    Live,
    Unknown,
}

#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) catalog: Catalog,
    tables: BTreeMap<String, Vec<TableId>>,
    views: BTreeMap<String, Vec<usize>>,
    functions: BTreeMap<String, Vec<usize>>,
    /// By table: the number that it shares with its partitions and parents.
    family: Vec<u32>,
    members: BTreeMap<u32, Vec<TableId>>,
    /// By table: foreign keys that refer to it, as (child, position).
    referrers: Vec<Vec<(TableId, usize)>>,
    names: Vec<Arc<str>>,
    /// By oid of a table or of one of its indexes.
    by_oid: BTreeMap<u32, TableId>,
}

impl Schema {
    pub(crate) fn new(catalog: Catalog) -> Self {
        let mut by_oid = BTreeMap::new();
        for (id, table) in catalog.tables.iter().enumerate() {
            by_oid.extend(table.indexes.iter().map(|index| (*index, id)));
            by_oid.insert(table.oid, id);
        }
        let family = families(&catalog, &by_oid);
        let mut members: BTreeMap<u32, Vec<TableId>> = BTreeMap::new();
        for (id, family) in family.iter().enumerate() {
            members.entry(*family).or_default().push(id);
        }
        let mut referrers = vec![Vec::new(); catalog.tables.len()];
        for (child, table) in catalog.tables.iter().enumerate() {
            for (at, key) in table.foreign_keys.iter().enumerate() {
                if let Some(parent) = by_oid.get(&key.parent) {
                    referrers[*parent].push((child, at));
                }
            }
        }
        let names = members_names(&catalog, &family);
        Self {
            tables: index(catalog.tables.iter().map(|table| &table.name)),
            views: index(catalog.views.iter().map(|view| &view.name)),
            functions: index(catalog.functions.iter().map(|function| &function.name)),
            family,
            members,
            referrers,
            names,
            by_oid,
            catalog,
        }
    }

    pub(crate) fn table(&self, id: TableId) -> &Table {
        &self.catalog.tables[id]
    }

    pub(crate) fn view(&self, at: usize) -> &View {
        &self.catalog.views[at]
    }

    /// The number a table goes by in footprints.
    pub(crate) fn family(&self, id: TableId) -> u32 {
        self.family[id]
    }

    /// The table and all its partitions, children and parents.
    pub(crate) fn members(&self, id: TableId) -> &[TableId] {
        self.members
            .get(&self.family[id])
            .map_or(&[], Vec::as_slice)
    }

    /// Foreign keys that refer to the table or one of its family.
    pub(crate) fn referrers(&self, id: TableId) -> Vec<(TableId, usize)> {
        self.members(id)
            .iter()
            .flat_map(|member| self.referrers[*member].iter().copied())
            .collect()
    }

    /// Its name in footprints: that of its root.
    pub(crate) fn name(&self, id: TableId) -> &Arc<str> {
        &self.names[id]
    }

    pub(crate) fn by_oid(&self, oid: u32) -> Option<TableId> {
        self.by_oid.get(&oid).copied()
    }

    /// What a relation's name means here.
    pub(crate) fn relation(&self, schema: Option<&str>, name: &str) -> Relation {
        if let Some(found) = self.user_relation(schema, name) {
            return found;
        }
        match schema {
            Some("information_schema") => Relation::System,
            Some("pg_catalog") => system(name),
            None if name.starts_with("pg_") => system(name),
            _ => Relation::Unknown,
        }
    }

    fn user_relation(&self, schema: Option<&str>, name: &str) -> Option<Relation> {
        let tables = self
            .tables
            .get(name)
            .into_iter()
            .flatten()
            .map(|id| (self.table(*id).schema.as_str(), Relation::Table(*id)));
        let views = self
            .views
            .get(name)
            .into_iter()
            .flatten()
            .map(|at| (self.view(*at).schema.as_str(), Relation::View(*at)));
        let found: Vec<(&str, Relation)> = tables.chain(views).collect();
        let in_schema = |schema: &str| {
            found
                .iter()
                .find(|(of, _)| *of == schema)
                .map(|(_, relation)| *relation)
        };
        match schema {
            Some(schema) => in_schema(schema),
            None => self
                .catalog
                .search_path
                .iter()
                .find_map(|schema| in_schema(schema)),
        }
    }

    /// The user's functions of this name.
    pub(crate) fn functions(&self, schema: Option<&str>, name: &str) -> Vec<&Function> {
        let all = self
            .functions
            .get(name)
            .into_iter()
            .flatten()
            .map(|at| &self.catalog.functions[*at]);
        all.filter(|function| schema.is_none_or(|schema| function.schema == schema))
            .collect()
    }

    /// The class of a column; [`Class::Other`] where equal values can look different.
    pub(crate) fn class(&self, id: TableId, column: &str) -> Class {
        match self
            .table(id)
            .columns
            .iter()
            .find(|known| known.name == column)
        {
            Some(column) if !column.loose => Class::of(&column.data_type, true),
            _ => Class::Other,
        }
    }

    /// Columns by which rows are told apart when they are locked: keys and references. (Whether any statement changes
    /// them is asked elsewhere.)
    pub(crate) fn identifies(&self, id: TableId, column: &str) -> bool {
        let table = self.table(id);
        table
            .unique
            .iter()
            .any(|key| key.columns.iter().any(|name| name == column))
            || table
                .foreign_keys
                .iter()
                .any(|key| key.columns.iter().any(|name| name == column))
    }
}

fn system(name: &str) -> Relation {
    let live = name.starts_with("pg_stat")
        || name.starts_with("pg_largeobject")
        || matches!(
            name,
            "pg_locks"
                | "pg_prepared_xacts"
                | "pg_replication_slots"
                | "pg_sequences"
                | "pg_notify"
        );
    if live && name != "pg_statistic" {
        Relation::Live
    } else {
        Relation::System
    }
}

fn index<'a>(names: impl Iterator<Item = &'a String>) -> BTreeMap<String, Vec<usize>> {
    let mut index: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, name) in names.enumerate() {
        index.entry(name.clone()).or_default().push(at);
    }
    index
}

/// Tables joined by inheritance get one number.
fn families(catalog: &Catalog, by_oid: &BTreeMap<u32, TableId>) -> Vec<u32> {
    let mut family: Vec<u32> = (0..catalog.tables.len() as u32).collect();
    loop {
        let mut settled = true;
        for (id, table) in catalog.tables.iter().enumerate() {
            for parent in table.parents.iter().filter_map(|oid| by_oid.get(oid)) {
                let least = family[id].min(family[*parent]);
                settled &= family[id] == least && family[*parent] == least;
                family[id] = least;
                family[*parent] = least;
            }
        }
        if settled {
            return family;
        }
    }
}

/// The name of each table's family: of the member that has no parent.
fn members_names(catalog: &Catalog, family: &[u32]) -> Vec<Arc<str>> {
    let mut roots: BTreeMap<u32, Arc<str>> = BTreeMap::new();
    for (id, table) in catalog.tables.iter().enumerate() {
        if table.parents.is_empty() {
            roots
                .entry(family[id])
                .or_insert_with(|| table.display_name().into());
        }
    }
    let name = |id: usize| {
        roots
            .get(&family[id])
            .cloned()
            .unwrap_or_else(|| catalog.tables[id].display_name().into())
    };
    (0..family.len()).map(name).collect()
}

/// Columns that any statement seen so far changes, by family: rows cannot be told apart by them when they are locked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changed(BTreeMap<u32, BTreeSet<Column>>);

impl Changed {
    pub(crate) fn insert(&mut self, family: u32, column: Column) {
        self.0.entry(family).or_default().insert(column);
    }

    pub(crate) fn contains(&self, family: u32, column: &str) -> bool {
        self.0
            .get(&family)
            .is_some_and(|columns| columns.contains(column))
    }
}

impl Schema {
    /// Whether the relation is a sequence.
    pub(crate) fn is_sequence(&self, id: TableId) -> bool {
        self.table(id).kind == TableKind::Sequence
    }
}
