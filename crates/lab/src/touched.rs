//! Which tables matter: those that some run has written.
//!
//! A read of tables that nobody writes conflicts with nothing, whenever it runs. Once it is known which tables the
//! actors write, such reads are no steps any more: they come and go with a service's caches, and holding them would
//! only cost time. What is known may turn out to be too little: whoever searches must begin anew then.

use std::collections::BTreeSet;

/// Tables that were written, or that something else than reads and changes was done to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Index of the database and oid of the table.
    tables: BTreeSet<(usize, u32)>,
    /// Any other table may have been written as well.
    all: bool,
    /// Some transaction was serializable.
    serializable: bool,
}

impl Touched {
    /// These tables (index of the database and oid), or everything.
    pub fn of(tables: BTreeSet<(usize, u32)>, all: bool) -> Self {
        Self {
            tables,
            all,
            serializable: false,
        }
    }

    /// The same, and whether some transaction is serializable.
    #[must_use]
    pub fn and_serializable(self, serializable: bool) -> Self {
        Self {
            serializable,
            ..self
        }
    }

    /// Whether some transaction is serializable: then runs are made one at a time on a server, and begin with every row where
    /// it was.
    pub fn is_serializable(&self) -> bool {
        self.serializable
    }

    /// The tables: index of the database and oid.
    pub fn tables(&self) -> impl Iterator<Item = (usize, u32)> {
        self.tables.iter().copied()
    }

    /// Whether any other table may have been written as well.
    pub fn is_everything(&self) -> bool {
        self.all
    }

    /// Adds what another run has written; returns whether that is news.
    pub fn add(&mut self, other: &Self) -> bool {
        let before = (self.tables.len(), self.all, self.serializable);
        self.tables.extend(&other.tables);
        self.all |= other.all;
        self.serializable |= other.serializable;
        before != (self.tables.len(), self.all, self.serializable)
    }

    /// Adds tables of a database, or everything.
    pub(crate) fn add_tables(&mut self, database: usize, tables: &BTreeSet<u32>, all: bool) {
        self.tables
            .extend(tables.iter().map(|oid| (database, *oid)));
        self.all |= all;
    }

    /// Whether one of these tables is known to be written.
    pub(crate) fn has_any(&self, database: usize, tables: &BTreeSet<u32>) -> bool {
        self.all
            || tables
                .iter()
                .any(|oid| self.tables.contains(&(database, *oid)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_written_for_the_first_time_is_news() {
        let mut known = Touched::default();
        let mut run = Touched::default();
        run.add_tables(0, &BTreeSet::from([7]), false);
        assert!(known.add(&run));
        assert!(!known.add(&run));
        assert!(known.has_any(0, &BTreeSet::from([6, 7])));
        assert!(!known.has_any(1, &BTreeSet::from([7])));
    }
}
