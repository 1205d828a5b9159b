//! Knows the catalogue and remembers what it has parsed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::classify::statements;
use crate::effect::Effect;
use crate::point::point;
use crate::probe;
use crate::schema::{Changed, Schema};
use crate::statement::{Kind, One, Parsed};
use crate::tree::with_tree;

/// Parses statements against a catalogue; each text once.
#[derive(Debug)]
pub struct Analyst {
    pub(crate) schema: Schema,
    pub(crate) changed: Changed,
    cache: BTreeMap<Arc<str>, Arc<Parsed>>,
    probe: Option<Arc<str>>,
}

/// Texts remembered; a service that writes values into its statements would fill any memory.
const REMEMBERED: usize = 20_000;

impl Analyst {
    /// For a database with this schema. When the schema has changed, make a new one.
    pub fn new(catalog: Catalog) -> Self {
        let probe = probe::sql(&catalog);
        Self {
            schema: Schema::new(catalog),
            changed: Changed::default(),
            cache: BTreeMap::new(),
            probe,
        }
    }

    /// The catalogue it was made for.
    pub fn catalog(&self) -> &Catalog {
        &self.schema.catalog
    }

    /// Understands a text; what is not understood conflicts with everything.
    pub fn parse(&mut self, sql: &str) -> Arc<Parsed> {
        if let Some(known) = self.cache.get(sql) {
            return known.clone();
        }
        let schema = &self.schema;
        let statements = if point(sql).is_some() {
            vec![One::of(Kind::Point)]
        } else {
            with_tree(sql, |root| statements(schema, root)).unwrap_or_else(|| {
                vec![One::beyond(Kind::Other, "the statement is not understood")]
            })
        };
        for (family, column) in statements.iter().flat_map(|one| &one.changed) {
            self.changed.insert(*family, column.clone());
        }
        let parsed = Arc::new(Parsed::new(sql, statements));
        if self.cache.len() >= REMEMBERED {
            self.cache.clear();
        }
        self.cache.insert(sql.into(), parsed.clone());
        parsed
    }

    /// The tables that a text reads, with their partitions and parents, if it certainly does nothing but read.
    pub fn reads(&self, parsed: &Parsed) -> Option<BTreeSet<u32>> {
        if !parsed.reads_only() || !parsed.explained() {
            return None;
        }
        let mut oids = BTreeSet::new();
        for effect in parsed.statements.iter().flat_map(|one| &one.effects) {
            let Effect::Read { table, .. } = effect else {
                return None;
            };
            let members = self.schema.members(*table).iter();
            oids.extend(members.map(|member| self.schema.table(*member).oid));
            oids.insert(self.schema.table(*table).oid);
        }
        Some(oids)
    }

    /// SQL that asks the server's per-table counters of the current transaction; its rows go into
    /// [`Facts::probe`](crate::Facts::probe). `None`: the catalogue has no tables.
    pub fn probe(&self) -> Option<Arc<str>> {
        self.probe.clone()
    }
}
