//! What a run left in the tables: whole tables, in an order that does not depend on the run.
//!
//! Columns that the database fills by itself, from a sequence, a clock or at random, are left out, and so are those whose
//! values differ between two runs of one schedule.

use std::collections::BTreeSet;
use std::fmt::Write;

use tokio_postgres::{Client, Error, SimpleQueryMessage};

/// The tables of the user, each with the columns that count.
const LISTED: &str = "select c.oid::regclass::text, array(select quote_ident(a.attname) from pg_attribute a \
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attidentity = '' \
    and (d.adbin is null or pg_get_expr(d.adbin, d.adrelid) !~* \
    'nextval|now\\(|timestamp\\(|timeofday|current_|localtime|random|uuid') order by a.attnum) \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema', 'deadheat') \
    and n.nspname !~ '^pg_' order by 1";

/// Columns that do not count, by table and column.
pub(crate) type Mask = BTreeSet<(String, String)>;

/// A table and what counts of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub name: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// The rows as text, in order, without what is masked.
    pub fn shown(&self, mask: &Mask) -> Vec<String> {
        let counts = |column: &String| !mask.contains(&(self.name.clone(), column.clone()));
        let counting: Vec<bool> = self.columns.iter().map(counts).collect();
        let row = |row: &Vec<Option<String>>| {
            let cells = row.iter().zip(&counting).filter(|(_, counts)| **counts);
            let cells: Vec<&str> = cells
                .map(|(cell, _)| cell.as_deref().unwrap_or("NULL"))
                .collect();
            format!("({})", cells.join(", "))
        };
        let mut rows: Vec<String> = self.rows.iter().map(row).collect();
        rows.sort_unstable();
        rows
    }

    /// The columns whose values are others in another run of the same schedule.
    pub fn differing<'t>(&'t self, other: &'t Self) -> impl Iterator<Item = (String, String)> + 't {
        let values = |table: &Self, column: usize| {
            let mut values: Vec<Option<String>> = table
                .rows
                .iter()
                .filter_map(|row| row.get(column).cloned())
                .collect();
            values.sort_unstable();
            values
        };
        let is_same = self.name == other.name
            && self.columns == other.columns
            && self.rows.len() == other.rows.len();
        let columns = self.columns.iter().enumerate().filter(move |_| is_same);
        columns
            .filter(move |(index, _)| values(self, *index) != values(other, *index))
            .map(|(_, column)| (self.name.clone(), column.clone()))
    }
}

/// Names and columns of all tables.
pub(super) async fn list(control: &Client) -> Result<Vec<Table>, Error> {
    let rows = control.query(LISTED, &[]).await?;
    let table = |row: &tokio_postgres::Row| Table {
        name: row.get(0),
        columns: row.get(1),
        rows: Vec::new(),
    };
    Ok(rows.iter().map(table).collect())
}

/// The rows of these tables as they are now.
pub(super) async fn read(control: &Client, listed: &[Table]) -> Result<Vec<Table>, Error> {
    let mut tables = listed.to_vec();
    let mut query = String::new();
    for table in &tables {
        let columns = table.columns.join(", ");
        // Writing into a string does not fail.
        let _ = write!(query, "select {columns} from only {};", table.name);
    }
    let mut reading = tables.iter_mut();
    let mut table = reading.next();
    for message in control.simple_query(&query).await? {
        match message {
            SimpleQueryMessage::Row(row) => {
                let cells = (0..row.len()).map(|cell| row.get(cell).map(str::to_owned));
                if let Some(table) = &mut table {
                    table.rows.push(cells.collect());
                }
            }
            SimpleQueryMessage::CommandComplete(_) => table = reading.next(),
            _ => {}
        }
    }
    Ok(tables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[[&str; 2]]) -> Table {
        Table {
            name: "players".to_owned(),
            columns: vec!["nick".to_owned(), "joined".to_owned()],
            rows: rows
                .iter()
                .map(|row| row.map(|cell| Some(cell.to_owned())).to_vec())
                .collect(),
        }
    }

    #[test]
    fn a_clock_is_masked_and_the_order_of_rows_does_not_count() {
        let one = table(&[["ben", "10:01"], ["tom", "10:02"]]);
        let other = table(&[["tom", "11:30"], ["ben", "11:29"]]);
        let mask: Mask = one.differing(&other).collect();
        assert_eq!(
            mask,
            Mask::from([("players".to_owned(), "joined".to_owned())])
        );
        assert_eq!(one.shown(&mask), ["(ben)", "(tom)"]);
        assert_eq!(one.shown(&mask), other.shown(&mask));
    }

    #[test]
    fn another_number_of_rows_masks_nothing() {
        let one = table(&[["ben", "10:01"]]);
        let other = table(&[["ben", "10:01"], ["tom", "10:02"]]);
        assert_eq!(one.differing(&other).count(), 0);
    }
}
