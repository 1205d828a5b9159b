//! How the tables changed, step by step: rows at the start, and what each step committed.
//!
//! Only changes are kept, so that the file of a race stays short; what was too large is named instead.

use std::collections::{BTreeMap, BTreeSet};

use deadheat_lab::record::{Record, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::cut;

/// Cells are cut here.
const LONGEST_CELL: usize = 120;
/// Rows that all changes of a run may have together.
const MOST_CHANGED: usize = 2000;
/// Rows that a table may have at the start.
const MOST_ROWS: usize = 100;

/// A row in text form; `None` is NULL.
pub type Row = Vec<Option<String>>;

/// The committed rows of the written tables, from the start of a run to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// What the tables held before the first step.
    pub start: BTreeMap<String, Table>,
    /// What became different, in the order of the steps.
    pub changes: Vec<Change>,
    /// Tables that are not shown, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// What a step changed in a table, as others could see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Index of the step.
    pub step: usize,
    /// The table.
    pub table: String,
    /// Rows that are no longer there.
    pub gone: Vec<Row>,
    /// Rows that are there now; a row that was changed is both.
    pub came: Vec<Row>,
}

impl History {
    /// From the looks of a run; `None` when it was not looked at after every step.
    pub fn of(record: &Record) -> Option<Self> {
        let (first, rest) = record.looks.split_first()?;
        if rest.len() != record.steps.len() {
            return None;
        }
        let names: BTreeSet<&String> = record.looks.iter().flat_map(BTreeMap::keys).collect();
        let mut history = Self::default();
        let mut budget = MOST_CHANGED;
        for name in names {
            let Some(tables) = all(&record.looks, name) else {
                let why = "it was locked, made or dropped, or has too many rows";
                history.left_out.push(format!("{name}: {why}"));
                continue;
            };
            if first[name].rows.len() > MOST_ROWS {
                let rows = first[name].rows.len();
                history.left_out.push(format!("{name}: it has {rows} rows"));
                continue;
            }
            let changes: Vec<Change> = tables
                .windows(2)
                .enumerate()
                .filter_map(|(step, pair)| change(step, name, pair[0], pair[1]))
                .collect();
            let rows: usize = changes
                .iter()
                .map(|one| one.gone.len() + one.came.len())
                .sum();
            if rows > budget {
                history
                    .left_out
                    .push(format!("{name}: too many rows change"));
                continue;
            }
            budget -= rows;
            history.start.insert(name.clone(), shortened(&first[name]));
            history.changes.extend(changes);
        }
        history.changes.sort_by_key(|change| change.step);
        Some(history)
    }
}

/// The table in every look, if it is in all and has the same columns in all.
fn all<'a>(looks: &'a [BTreeMap<String, Table>], name: &str) -> Option<Vec<&'a Table>> {
    let tables: Option<Vec<&Table>> = looks.iter().map(|look| look.get(name)).collect();
    tables.filter(|tables| {
        tables
            .windows(2)
            .all(|pair| pair[0].columns == pair[1].columns)
    })
}

fn change(step: usize, name: &str, before: &Table, after: &Table) -> Option<Change> {
    let gone = without(&before.rows, &after.rows);
    let came = without(&after.rows, &before.rows);
    (!gone.is_empty() || !came.is_empty()).then(|| Change {
        step,
        table: name.to_owned(),
        gone,
        came,
    })
}

/// The rows of the first that the second has not, as bags.
fn without(rows: &[Row], others: &[Row]) -> Vec<Row> {
    let mut count: BTreeMap<&Row, usize> = BTreeMap::new();
    for row in others {
        *count.entry(row).or_default() += 1;
    }
    let mut out = Vec::new();
    for row in rows {
        match count.get_mut(row) {
            Some(left) if *left > 0 => *left -= 1,
            _ => out.push(short(row)),
        }
    }
    out
}

fn short(row: &Row) -> Row {
    row.iter()
        .map(|cell| cell.as_deref().map(|text| cut(text, LONGEST_CELL)))
        .collect()
}

fn shortened(table: &Table) -> Table {
    Table {
        columns: table.columns.clone(),
        rows: table.rows.iter().map(short).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::story::Story;

    fn table(rows: &[(&str, &str)]) -> Table {
        let cell = |text: &str| Some(text.to_owned());
        Table {
            columns: vec!["id".to_owned(), "v".to_owned()],
            rows: rows.iter().map(|(id, v)| vec![cell(id), cell(v)]).collect(),
        }
    }

    fn seen(looks: &[&[(&str, &str)]]) -> Record {
        let steps = looks.len() - 1;
        let story = (0..steps).fold(Story::of(&["ben"]), |story, _| story.sql(0, "select 1"));
        let mut record = story.done();
        record.looks = looks
            .iter()
            .map(|rows| BTreeMap::from([("counter".to_owned(), table(rows))]))
            .collect();
        record
    }

    #[test]
    fn a_changed_row_goes_and_comes_and_the_order_of_rows_is_no_change() {
        let record = seen(&[
            &[("1", "a"), ("2", "b")],
            &[("2", "b"), ("1", "a")],
            &[("2", "b"), ("1", "c")],
        ]);
        let history = History::of(&record).expect("it was looked at");
        assert_eq!(history.changes.len(), 1);
        let change = &history.changes[0];
        assert_eq!((change.step, change.table.as_str()), (1, "counter"));
        assert_eq!(change.gone, table(&[("1", "a")]).rows);
        assert_eq!(change.came, table(&[("1", "c")]).rows);
    }

    #[test]
    fn what_is_too_large_is_named() {
        let many: Vec<(&str, &str)> = std::iter::repeat_n(("1", "a"), MOST_ROWS + 1).collect();
        let history = History::of(&seen(&[&many, &many])).expect("it was looked at");
        assert!(history.start.is_empty());
        assert_eq!(history.left_out, ["counter: it has 101 rows"]);
    }

    #[test]
    fn a_run_that_nobody_looked_at_has_no_history() {
        let mut record = seen(&[&[("1", "a")], &[("1", "a")]]);
        record.looks.pop();
        assert_eq!(History::of(&record), None);
    }
}
