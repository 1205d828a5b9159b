//! Rows that are there twice in a race and once in every serial order: what a unique index would refuse.

use std::collections::BTreeMap;

use deadheat_lab::record::{Record, Table};

/// A table, and the columns in which two rows of it must not be the same.
#[derive(Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The table's name, as in records.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
}

/// The columns in which two rows are the same in the race, and in no serial order nor at the start.
pub fn duplicate(
    race: &Record,
    serial: &[Record],
    start: &BTreeMap<String, Table>,
) -> Option<Duplicate> {
    let mut found: Option<Duplicate> = None;
    for (name, table) in &race.tables {
        let nothing = Table::default();
        let before = start.get(name).unwrap_or(&nothing);
        let others = serial
            .iter()
            .map(|record| record.tables.get(name).unwrap_or(before));
        let others: Vec<&Table> = others.chain([before]).collect();
        for (at, row) in table.rows.iter().enumerate() {
            for other in &table.rows[..at] {
                let columns = same(table, row, other);
                let new = !columns.is_empty() && !others.iter().any(|t| has_two(t, &columns));
                let better = found
                    .as_ref()
                    .is_none_or(|known| columns.len() < known.columns.len());
                if new && better {
                    found = Some(Duplicate {
                        table: name.clone(),
                        columns,
                    });
                }
            }
        }
    }
    found
}

type Row = Vec<Option<String>>;

/// The columns in which two rows have the same value.
fn same(table: &Table, one: &Row, other: &Row) -> Vec<String> {
    let cells = table.columns.iter().zip(one.iter().zip(other));
    cells
        .filter(|(_, (a, b))| a.is_some() && a == b)
        .map(|(column, _)| column.clone())
        .collect()
}

/// Whether two rows have the same values in these columns.
fn has_two(table: &Table, columns: &[String]) -> bool {
    let rows = table.rows.iter().enumerate();
    rows.into_iter().any(|(at, row)| {
        table.rows[..at].iter().any(|other| {
            let same = same(table, row, other);
            columns.iter().all(|column| same.contains(column))
        })
    })
}
