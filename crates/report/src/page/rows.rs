//! Rows that keep their place while they change: what the page shows of a table after each step.

use deadheat_verdict::{Change, History, Row};
use serde::Serialize;

/// A table and its life.
#[derive(Debug, Serialize)]
pub(crate) struct TableView {
    name: String,
    columns: Vec<String>,
    /// Rows at the start, in the places 0, 1, ….
    rows: Vec<Row>,
    changes: Vec<Moved>,
}

/// What a step did to a place.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Moved {
    step: usize,
    place: usize,
    /// The row before; none where one came.
    from: Option<Row>,
    /// The row after; none where one went.
    to: Option<Row>,
}

/// The tables of a history.
pub(crate) fn tables(history: &History) -> Vec<TableView> {
    history
        .start
        .iter()
        .map(|(name, table)| {
            let changes = history.changes.iter().filter(|one| one.table == *name);
            TableView {
                name: name.clone(),
                columns: table.columns.clone(),
                rows: table.rows.clone(),
                changes: moves(&table.rows, changes),
            }
        })
        .collect()
}

/// Rows that went are paired with those that came and resemble them most: then it is the same row, changed.
fn moves<'a>(start: &[Row], changes: impl Iterator<Item = &'a Change>) -> Vec<Moved> {
    let mut places: Vec<Option<Row>> = start.iter().cloned().map(Some).collect();
    let mut out = Vec::new();
    for change in changes {
        let mut came: Vec<&Row> = change.came.iter().collect();
        for gone in &change.gone {
            let Some(place) = places.iter().position(|row| row.as_ref() == Some(gone)) else {
                continue;
            };
            let to = closest(gone, &came).map(|at| came.remove(at).clone());
            places[place].clone_from(&to);
            out.push(Moved {
                step: change.step,
                place,
                from: Some(gone.clone()),
                to,
            });
        }
        for row in came {
            out.push(Moved {
                step: change.step,
                place: places.len(),
                from: None,
                to: Some(row.clone()),
            });
            places.push(Some(row.clone()));
        }
    }
    out
}

/// The row with the most cells in common, and its first cell, which mostly is the key.
fn closest(row: &Row, others: &[&Row]) -> Option<usize> {
    let alike = |other: &Row| row.iter().zip(other).filter(|(a, b)| a == b).count();
    let scored = others.iter().enumerate().filter_map(|(at, other)| {
        let key = row.first() == other.first();
        let alike = alike(other);
        (alike > 0).then_some(((key, alike), std::cmp::Reverse(at)))
    });
    scored.max().map(|(_, std::cmp::Reverse(at))| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Row {
        cells.iter().map(|cell| Some((*cell).to_owned())).collect()
    }

    fn change(step: usize, gone: &[&[&str]], came: &[&[&str]]) -> Change {
        let rows = |all: &[&[&str]]| all.iter().map(|cells| row(cells)).collect();
        Change {
            step,
            table: "accounts".to_owned(),
            gone: rows(gone),
            came: rows(came),
        }
    }

    #[test]
    fn a_changed_row_stays_in_its_place() {
        let start = [row(&["1", "ben", "10"]), row(&["2", "amy", "10"])];
        let changes = [
            change(
                0,
                &[&["1", "ben", "10"], &["2", "amy", "10"]],
                &[&["2", "amy", "0"], &["1", "ben", "20"]],
            ),
            change(3, &[&["2", "amy", "0"]], &[&["3", "eve", "5"]]),
        ];
        let moved = moves(&start, changes.iter());
        let seen: Vec<(usize, usize, bool, bool)> = moved
            .iter()
            .map(|one| (one.step, one.place, one.from.is_some(), one.to.is_some()))
            .collect();
        assert_eq!(
            seen,
            [
                (0, 0, true, true),
                (0, 1, true, true),
                (3, 1, true, false),
                (3, 2, false, true)
            ]
        );
        assert_eq!(moved[0].to, Some(row(&["1", "ben", "20"])));
    }
}
