//! Renames fresh values so that outcomes that differ only in which value stands for what become equal.
//!
//! Colour refinement: a value is coloured by the rows it stands in and where, a row by its values' colours, until
//! nothing is told apart any more. Values that are still alike are told apart by trying each of them first and taking
//! the smallest result; values whose rows mention nothing else undecided are twins, and any of them may be first.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::canon::{Atom, Cell, Group, Row};

/// How many complete namings are tried for outcomes with much symmetry; beyond, the first of equals is taken.
const NAMINGS: usize = 24;

struct Graph {
    /// Rows with at least one fresh value.
    rows: Vec<(Group, Vec<Cell>)>,
    /// For each fresh value, the rows it stands in and where.
    stands: Vec<Vec<(usize, usize, usize)>>,
}

/// Replaces the numbers of fresh values by canonical ones. `families` has the family of each number.
pub(crate) fn rename(groups: &mut BTreeMap<Group, Vec<Row>>, families: &[i64]) {
    if families.is_empty() {
        return;
    }
    let graph = Graph::new(groups, families.len());
    let colours = graph.refine(families.iter().map(digest).collect());
    let mut budget = NAMINGS;
    let names = graph.name(colours, &mut budget);
    for row in groups.values_mut().flatten() {
        for atom in row.cells.iter_mut().flatten() {
            if let Atom::Fresh(n) = atom {
                *n = names[*n];
            }
        }
    }
}

fn digest(value: &impl Hash) -> u64 {
    // Fixed keys: the same in every run of the program.
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Graph {
    fn new(groups: &BTreeMap<Group, Vec<Row>>, values: usize) -> Self {
        let mut rows = Vec::new();
        let mut stands = vec![Vec::new(); values];
        for (group, members) in groups {
            for row in members {
                let mut mentions = false;
                for (c, cell) in row.cells.iter().enumerate() {
                    for (p, atom) in cell.iter().enumerate() {
                        if let Atom::Fresh(n) = atom {
                            stands[*n].push((rows.len(), c, p));
                            mentions = true;
                        }
                    }
                }
                if mentions {
                    rows.push((group.clone(), row.cells.clone()));
                }
            }
        }
        Self { rows, stands }
    }

    fn row_colour(&self, row: usize, colours: &[u64]) -> u64 {
        let (group, cells) = &self.rows[row];
        let mut hasher = DefaultHasher::new();
        group.hash(&mut hasher);
        for cell in cells {
            cell.len().hash(&mut hasher);
            for atom in cell {
                match atom {
                    Atom::Text(text) => (0u8, text).hash(&mut hasher),
                    Atom::Fresh(n) => (1u8, colours[*n]).hash(&mut hasher),
                    Atom::Blank => 2u8.hash(&mut hasher),
                }
            }
        }
        hasher.finish()
    }

    fn refine(&self, mut colours: Vec<u64>) -> Vec<u64> {
        let mut count = distinct(&colours);
        loop {
            let rows: Vec<u64> = (0..self.rows.len())
                .map(|row| self.row_colour(row, &colours))
                .collect();
            let next: Vec<u64> = self
                .stands
                .iter()
                .zip(&colours)
                .map(|(stands, colour)| {
                    let mut seen: Vec<_> = stands
                        .iter()
                        .map(|(row, c, p)| (rows[*row], *c, *p))
                        .collect();
                    seen.sort_unstable();
                    digest(&(colour, seen))
                })
                .collect();
            let now = distinct(&next);
            colours = next;
            if now == count {
                return colours;
            }
            count = now;
        }
    }

    /// Canonical number of each value.
    fn name(&self, mut colours: Vec<u64>, budget: &mut usize) -> Vec<usize> {
        loop {
            let mut classes: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
            for (n, colour) in colours.iter().enumerate() {
                classes.entry(*colour).or_default().push(n);
            }
            let Some(class) = classes.values().find(|class| class.len() > 1).cloned() else {
                *budget = budget.saturating_sub(1);
                let order: Vec<u64> = classes.into_keys().collect();
                return colours
                    .iter()
                    .map(|colour| order.binary_search(colour).unwrap_or_default())
                    .collect();
            };
            if self.are_twins(&class, &classes, &colours) {
                for (k, n) in class.iter().enumerate() {
                    colours[*n] = digest(&(colours[*n], "twin", k));
                }
                continue;
            }
            let tries = if *budget == 0 { 1 } else { class.len() };
            let best = class[..tries]
                .iter()
                .map(|chosen| {
                    let mut with = colours.clone();
                    with[*chosen] = digest(&(with[*chosen], "chosen"));
                    let names = self.name(self.refine(with), budget);
                    (self.form(&names), names)
                })
                .min();
            return best.map(|(_, names)| names).unwrap_or_default();
        }
    }

    fn are_twins(
        &self,
        class: &[usize],
        classes: &BTreeMap<u64, Vec<usize>>,
        colours: &[u64],
    ) -> bool {
        class.iter().all(|n| {
            self.stands[*n].iter().all(|(row, ..)| {
                self.rows[*row].1.iter().flatten().all(|atom| match atom {
                    Atom::Fresh(other) => other == n || classes[&colours[*other]].len() == 1,
                    _ => true,
                })
            })
        })
    }

    fn form(&self, names: &[usize]) -> Vec<(Group, Vec<Cell>)> {
        let mut rows: Vec<(Group, Vec<Cell>)> = self
            .rows
            .iter()
            .map(|(group, cells)| {
                let renamed = cells
                    .iter()
                    .map(|cell| {
                        cell.iter()
                            .map(|atom| match atom {
                                Atom::Fresh(n) => Atom::Fresh(names[*n]),
                                other => other.clone(),
                            })
                            .collect()
                    })
                    .collect();
                (group.clone(), renamed)
            })
            .collect();
        rows.sort();
        rows
    }
}

fn distinct(colours: &[u64]) -> usize {
    let mut sorted = colours.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.len()
}
