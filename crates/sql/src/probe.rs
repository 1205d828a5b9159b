//! The server's own count of what a session touched.
//!
//! `pg_stat_get_xact_*` count since the session last handed its counts over, which PostgreSQL 15 does between
//! transactions, at most once a second. So only differences between two probes mean something, and one must know
//! whether counts were handed over between them: each probe scans the catalogue `pg_transform` (which no client reads)
//! exactly once, so its scan counter is larger than at the probe before unless it started over.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::catalog::{Catalog, TableKind};

/// Rows of a probe: oid, count of reads, count of writes. The marker's oid is 0.
pub(crate) fn sql(catalog: &Catalog) -> Option<Arc<str>> {
    let tables = catalog
        .tables
        .iter()
        .filter(|table| table.kind != TableKind::Sequence);
    let oids: Vec<String> = tables
        .flat_map(|table| table.indexes.iter().chain([&table.oid]))
        .filter(|oid| **oid != 0)
        .map(u32::to_string)
        .collect();
    if oids.is_empty() {
        return None;
    }
    let mut sql = String::from("SELECT o, r, w FROM (SELECT o, ");
    let count = |names: [&str; 3], of: &str| {
        names
            .map(|name| format!("pg_catalog.pg_stat_get_xact_{name}({of})"))
            .join(" OPERATOR(pg_catalog.+) ")
    };
    let reads = ["numscans", "tuples_returned", "tuples_fetched"];
    let _ = write!(
        sql,
        "{} AS r, {} AS w FROM pg_catalog.unnest('{{{}}}'::pg_catalog.oid[]) AS u(o) OFFSET 0) AS t \
         WHERE r OPERATOR(pg_catalog.<>) 0 OR w OPERATOR(pg_catalog.<>) 0 ",
        count(reads, "o"),
        count(["tuples_inserted", "tuples_updated", "tuples_deleted"], "o"),
        oids.join(","),
    );
    // 3576 is pg_transform, 3574 and 3575 are its indexes: whichever way it is scanned, one of them counts.
    let scans =
        ["3576", "3574", "3575"].map(|oid| format!("pg_catalog.pg_stat_get_xact_numscans({oid})"));
    let _ = write!(
        sql,
        "UNION ALL SELECT 0::pg_catalog.oid, {}, pg_catalog.count(*) FROM pg_catalog.pg_transform",
        scans.join(" OPERATOR(pg_catalog.+) ")
    );
    Some(sql.into())
}

/// What a probe said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    marker: i64,
    by_oid: BTreeMap<u32, (i64, i64)>,
}

/// What was touched between two probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Touched {
    /// Oid of a table or index, whether it was read, whether it was written.
    pub(crate) relations: Vec<(u32, bool, bool)>,
    /// The counters started over in between: what came before that is not in them.
    pub(crate) restarted: bool,
}

impl Counts {
    /// Reads the rows of a probe. `None`: they are not a probe's.
    pub(crate) fn read(rows: &[Vec<Option<String>>]) -> Option<Self> {
        let mut counts = Self::default();
        let mut marked = false;
        for row in rows {
            let [Some(oid), Some(reads), Some(writes)] = row.as_slice() else {
                return None;
            };
            let (oid, reads, writes): (u32, i64, i64) =
                (oid.parse().ok()?, reads.parse().ok()?, writes.parse().ok()?);
            if oid == 0 {
                counts.marker = reads;
                marked = true;
            } else {
                counts.by_oid.insert(oid, (reads, writes));
            }
        }
        marked.then_some(counts)
    }

    /// What was touched since the probe before (`None`: there was none).
    pub(crate) fn since(&self, before: Option<&Self>) -> Touched {
        let kept = before.filter(|before| self.marker > before.marker);
        let then = |oid: &u32| {
            kept.and_then(|before| before.by_oid.get(oid))
                .copied()
                .unwrap_or_default()
        };
        let relations = self.by_oid.iter().map(|(oid, (reads, writes))| {
            let (reads_then, writes_then) = then(oid);
            (*oid, *reads != reads_then, *writes != writes_then)
        });
        let relations = relations
            .filter(|(_, read, wrote)| *read || *wrote)
            .collect();
        Touched {
            relations,
            restarted: kept.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: &[(u32, i64, i64)]) -> Counts {
        let row = |(oid, reads, writes): &(u32, i64, i64)| {
            [oid.to_string(), reads.to_string(), writes.to_string()]
                .map(Some)
                .to_vec()
        };
        Counts::read(&rows.iter().map(row).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn only_what_grew_was_touched() {
        let before = counts(&[(0, 4, 0), (10, 5, 1), (11, 1, 0)]);
        let after = counts(&[(0, 5, 0), (10, 5, 2), (11, 1, 0)]);
        assert_eq!(
            after.since(Some(&before)),
            Touched {
                relations: vec![(10, false, true)],
                restarted: false
            }
        );
    }

    #[test]
    fn counters_that_started_over_count_from_nothing() {
        let before = counts(&[(0, 4, 0), (10, 5, 1)]);
        let after = counts(&[(0, 1, 0), (10, 5, 1)]);
        assert_eq!(
            after.since(Some(&before)),
            Touched {
                relations: vec![(10, true, true)],
                restarted: true
            }
        );
    }

    #[test]
    fn rows_that_are_no_probe_are_refused() {
        assert_eq!(Counts::read(&[vec![Some("x".to_owned())]]), None);
        assert_eq!(Counts::read(&[]), None);
    }
}
