//! Which values move from run to run although nothing that matters has changed.
//!
//! Every serial order is run twice, the second time with each sequence advanced by an [`offset`] of its own. A value
//! that moved by exactly such an offset is a generated id; one that moved otherwise is noise; one that stayed is
//! compared as it is. That is how an id 5 and a count 5 are told apart. Offsets that differ from sequence to sequence
//! also tell player 5 from order 5.

use std::collections::{BTreeMap, BTreeSet};

use deadheat_lab::record::{Record, Table};
use deadheat_lab::{FIRST_OFFSET, NEXT_OFFSET};

use crate::body::{Bag, flatten};
use crate::pattern::{self, Pattern, Piece};
use crate::rules::Rules;

/// How far to advance the `n`-th sequence of the database for the second run of a serial order.
pub const fn offset(n: usize) -> i64 {
    FIRST_OFFSET + NEXT_OFFSET * n as i64
}

/// What was learned so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calibration {
    places: BTreeMap<String, Place>,
    /// Smallest value that was ever generated, by offset: what is below was there before.
    first_generated: BTreeMap<i64, i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    unmoved: BTreeSet<String>,
    patterns: Vec<Pattern>,
}

/// A value as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part<'t> {
    Text(&'t str),
    /// A value that is compared up to renaming: its family (offset; 0 for tokens) and text.
    Fresh(i64, &'t str),
    Blank,
}

impl Calibration {
    /// Learns from two runs of the same schedule: a serial order and its second run with the sequences advanced
    /// by `offsets`, or any schedule run twice as it is (`offsets` empty).
    ///
    /// Returns what differs in a way that no renaming explains, in words: not empty means that the schedule does
    /// not repeat.
    pub fn learn(
        &mut self,
        first: &Record,
        second: &Record,
        offsets: &[i64],
        rules: &Rules,
    ) -> Vec<String> {
        let offsets: BTreeSet<i64> = offsets.iter().copied().filter(|o| *o != 0).collect();
        let mut surprises = Vec::new();
        let names: BTreeSet<&String> = first.tables.keys().chain(second.tables.keys()).collect();
        for name in names {
            let start = rules.start.get(name);
            let (a, b) = (
                first.tables.get(name).or(start),
                second.tables.get(name).or(start),
            );
            match (a, b) {
                (Some(a), Some(b)) if a.columns == b.columns && a.rows.len() == b.rows.len() => {
                    self.learn_rows(&format!("table {name}"), a, b, &offsets);
                }
                (Some(a), Some(b)) => surprises.push(format!(
                    "{name} had {} rows after the first run and {} after the second",
                    a.rows.len(),
                    b.rows.len()
                )),
                _ => surprises.push(format!("{name} was written in one run only")),
            }
        }
        for (actor, (a, b)) in first.replies.iter().zip(&second.replies).enumerate() {
            let name = first.actors.get(actor).map_or("?", String::as_str);
            if a.len() != b.len() {
                surprises.push(format!("{name} got {} replies, then {}", a.len(), b.len()));
            }
            for (n, (a, b)) in a.iter().zip(b).enumerate() {
                let (a, b) = (flatten(a, rules), flatten(b, rules));
                if let Some(what) = self.learn_reply(&a, &b, &offsets) {
                    surprises.push(format!("reply {} of {name}: {what}", n + 1));
                }
            }
        }
        self.forget_luck(rules);
        surprises
    }

    /// Where tokens are made, one that two runs had in common was made by luck: the same second was signed, say. Only
    /// what was there at the start is old.
    fn forget_luck(&mut self, rules: &Rules) {
        let mut old: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for (name, table) in &rules.start {
            for (c, column) in table.columns.iter().enumerate() {
                let values = table.rows.iter().filter_map(|row| row.get(c)?.as_deref());
                old.insert(format!("table {name}.{column}"), values.collect());
            }
        }
        for (name, place) in &mut self.places {
            if place.patterns.iter().any(|p| p.contains(&Piece::Token)) {
                let old = old.get(name);
                place
                    .unmoved
                    .retain(|text| old.is_some_and(|old| old.contains(text.as_str())));
            }
        }
    }

    fn learn_reply(
        &mut self,
        a: &crate::body::Flat,
        b: &crate::body::Flat,
        offsets: &BTreeSet<i64>,
    ) -> Option<String> {
        if a.head != b.head {
            return Some(format!("{}, then {}", a.head, b.head));
        }
        if a.leaves.len() != b.leaves.len() {
            return Some("its content has another length the second time".to_owned());
        }
        for (x, y) in a.leaves.iter().zip(&b.leaves) {
            let (Some(p), Some(q)) = (&x.text, &y.text) else {
                continue;
            };
            if x.at != y.at || (!(x.moves && y.moves) && p != q) {
                return Some(format!("{} is {p}, then {} is {q}", x.at, y.at));
            }
            if x.moves {
                // A line that is a hole from end to end says nothing about the other lines.
                let whole = pattern::learn(p, q, offsets)
                    .is_some_and(|pattern| pattern::literal_length(&pattern) == 0);
                let place = if whole { &x.exact } else { &x.place };
                self.learn_value(&format!("{} {place}", a.shape), p, q, offsets);
            }
        }
        match (&a.bag, &b.bag) {
            (Some(x), Some(y)) if x.rows.len() == y.rows.len() && x.columns == y.columns => {
                self.learn_rows(&a.shape, &as_table(x), &as_table(y), offsets);
                None
            }
            (None, None) => None,
            _ => Some("its rows are other ones the second time".to_owned()),
        }
    }

    /// Rows are paired by what stayed the same; rows that are equal in that, by position.
    fn learn_rows(&mut self, prefix: &str, a: &Table, b: &Table, offsets: &BTreeSet<i64>) {
        let stable: Vec<usize> = (0..a.columns.len())
            .filter(|c| column(a, *c) == column(b, *c))
            .collect();
        let sorted = |table: &Table| {
            let mut rows: Vec<Vec<Option<String>>> = table.rows.clone();
            rows.sort_by_key(|row| {
                stable
                    .iter()
                    .map(|c| row.get(*c).cloned().flatten())
                    .collect::<Vec<_>>()
            });
            rows
        };
        for (x, y) in sorted(a).iter().zip(&sorted(b)) {
            for (name, (p, q)) in a.columns.iter().zip(x.iter().zip(y)) {
                if let (Some(p), Some(q)) = (p, q) {
                    self.learn_value(&format!("{prefix}.{name}"), p, q, offsets);
                }
            }
        }
    }

    fn learn_value(&mut self, place: &str, first: &str, second: &str, offsets: &BTreeSet<i64>) {
        let place = self.places.entry(place.to_owned()).or_default();
        let Some(pattern) = pattern::learn(first, second, offsets) else {
            // Where no sequence was moved, an id stays the same as well.
            if !offsets.is_empty() {
                place.unmoved.insert(first.to_owned());
            }
            return;
        };
        if let Some(values) = pattern::fit(&pattern, first) {
            let holes = pattern.iter().filter(|p| !matches!(p, Piece::Literal(_)));
            for (hole, value) in holes.zip(values) {
                if let (Piece::Id(offset), Ok(value)) = (hole, value.parse::<i64>()) {
                    let least = self.first_generated.entry(*offset).or_insert(value);
                    *least = (*least).min(value);
                }
            }
        }
        if !place.patterns.contains(&pattern) {
            place.patterns.push(pattern);
            place
                .patterns
                .sort_by_key(|p| (std::cmp::Reverse(pattern::literal_length(p)), p.clone()));
        }
    }

    /// The value as it is compared at this place.
    pub(crate) fn read<'t>(&self, place: &str, text: &'t str) -> Vec<Part<'t>> {
        let Some(place) = self.places.get(place) else {
            return vec![Part::Text(text)];
        };
        // What was not compared once is never compared, even where two readings were equal by luck.
        let old = place.unmoved.contains(text);
        for pattern in place
            .patterns
            .iter()
            .filter(|p| !old || p.contains(&Piece::Blank))
        {
            if let Some(values) = pattern::fit(pattern, text)
                && let Some(parts) = self.parts(pattern, &values, text)
            {
                return parts;
            }
        }
        vec![Part::Text(text)]
    }

    fn parts<'t>(
        &self,
        pattern: &Pattern,
        values: &[&'t str],
        text: &'t str,
    ) -> Option<Vec<Part<'t>>> {
        let mut parts = Vec::new();
        let mut rest = text;
        let mut values = values.iter();
        for piece in pattern {
            let length = match piece {
                Piece::Literal(literal) => literal.len(),
                _ => values.clone().next().map_or(0, |value| value.len()),
            };
            let (here, after) = rest.split_at(length);
            rest = after;
            if !matches!(piece, Piece::Literal(_)) {
                values.next();
            }
            parts.push(match piece {
                Piece::Literal(_) => Part::Text(here),
                Piece::Id(offset) => {
                    let least = self.first_generated.get(offset)?;
                    if here.parse::<i64>().ok()? < *least {
                        return None;
                    }
                    Part::Fresh(*offset, here)
                }
                Piece::Token => Part::Fresh(0, here),
                Piece::Blank => Part::Blank,
            });
        }
        Some(parts)
    }
}

fn as_table(bag: &Bag) -> Table {
    Table {
        columns: bag.columns.clone(),
        rows: bag.rows.clone(),
    }
}

fn column(table: &Table, n: usize) -> Vec<Option<&String>> {
    let mut cells: Vec<Option<&String>> = table
        .rows
        .iter()
        .map(|row| row.get(n).and_then(Option::as_ref))
        .collect();
    cells.sort();
    cells
}
