//! The canonical outcome of a run: equal for two runs that differ only in what may differ.
//!
//! Everything becomes rows in groups: a table is a group, so is a reply (a row a value, its position in the row where
//! order counts). Groups are bags. Fresh values are renamed so that isomorphic outcomes become equal ([`crate::iso`]).

use std::collections::{BTreeMap, BTreeSet};

use deadheat_explore::Actor;
use deadheat_lab::record::Record;

use crate::body::{Flat, Leaf, flatten};
use crate::calibration::{Calibration, Part};
use crate::iso;
use crate::listing::Results;
use crate::pattern::without_clocks;
use crate::rules::Rules;

/// A table or a reply.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Group {
    Table(String),
    /// The actor's n-th reply, from 0.
    Reply(Actor, usize),
}

/// A part of a cell; fresh values by number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Atom {
    Text(String),
    Fresh(usize),
    Blank,
}

pub(crate) type Cell = Vec<Atom>;

/// Replies by actor and number, each as sorted rows.
pub(crate) type Heard = BTreeMap<Actor, BTreeMap<usize, Vec<Vec<Cell>>>>;

/// A row as it is compared (`cells`) and as it reads, cell by cell (`shown`).
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub cells: Vec<Cell>,
    pub shown: Vec<String>,
}

/// What a run left, up to renaming of generated values.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub(crate) groups: BTreeMap<Group, Vec<Row>>,
    pub(crate) actors: Vec<String>,
    /// What each reply answered, for texts.
    pub(crate) requests: BTreeMap<Group, String>,
    /// The comparable form: sorted rows of each group.
    form: BTreeMap<Group, Vec<Vec<Cell>>>,
}

impl PartialEq for Outcome {
    fn eq(&self, other: &Self) -> bool {
        self.form == other.form
    }
}

impl Eq for Outcome {}

impl std::hash::Hash for Outcome {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.form.hash(state);
    }
}

impl PartialOrd for Outcome {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Outcome {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.form.cmp(&other.form)
    }
}

impl Outcome {
    /// The canonical outcome of a record; replies of actors in `absent` are left out.
    pub fn of(
        record: &Record,
        calibration: &Calibration,
        rules: &Rules,
        absent: &BTreeSet<Actor>,
    ) -> Self {
        Self::build(record, calibration, rules, absent, false)
    }

    /// The same with everything that reads like a clock blanked.
    pub(crate) fn without_clocks(
        record: &Record,
        calibration: &Calibration,
        rules: &Rules,
        absent: &BTreeSet<Actor>,
    ) -> Self {
        Self::build(record, calibration, rules, absent, true)
    }

    fn build(
        record: &Record,
        calibration: &Calibration,
        rules: &Rules,
        absent: &BTreeSet<Actor>,
        no_clocks: bool,
    ) -> Self {
        let mut reader = Reader {
            calibration,
            no_clocks,
            fresh: BTreeMap::new(),
        };
        let mut groups = BTreeMap::new();
        let mut requests = BTreeMap::new();
        reader.tables(record, rules, &mut groups);
        for (n, replies) in record.replies.iter().enumerate() {
            let actor = Actor(n as u16);
            if absent.contains(&actor) {
                continue;
            }
            let results = Results::of(record, actor);
            for (n, reply) in replies.iter().enumerate() {
                let flat = flatten(reply, rules);
                let group = Group::Reply(actor, n);
                requests.insert(group.clone(), crate::words::asked(reply));
                groups.insert(group, reader.reply(&flat, &results.unordered(reply)));
            }
        }
        iso::rename(&mut groups, &reader.families());
        let form = groups
            .iter()
            .map(|(group, rows)| {
                let mut rows: Vec<Vec<Cell>> = rows.iter().map(|row| row.cells.clone()).collect();
                rows.sort();
                (group.clone(), rows)
            })
            .collect();
        Self {
            groups,
            actors: record.actors.clone(),
            requests,
            form,
        }
    }
}

impl Outcome {
    /// What each actor was told, with generated values blanked: what it was told does not depend on who comes later,
    /// how values are numbered does.
    pub(crate) fn heard(&self) -> Heard {
        let mut heard = Heard::new();
        for (group, rows) in &self.form {
            let Group::Reply(actor, n) = group else {
                continue;
            };
            let mut rows: Vec<Vec<Cell>> = rows
                .iter()
                .map(|row| row.iter().map(without_fresh).collect())
                .collect();
            rows.sort();
            heard.entry(*actor).or_default().insert(*n, rows);
        }
        heard
    }
}

fn without_fresh(cell: &Cell) -> Cell {
    let blanked = cell.iter().map(|atom| match atom {
        Atom::Fresh(_) => Atom::Blank,
        atom => atom.clone(),
    });
    blanked.collect()
}

struct Reader<'a> {
    calibration: &'a Calibration,
    no_clocks: bool,
    /// Number of each fresh value, by family and text.
    fresh: BTreeMap<(i64, String), usize>,
}

impl Reader<'_> {
    /// The family of each fresh value, by its number.
    fn families(&self) -> Vec<i64> {
        let mut all: Vec<(usize, i64)> = self.fresh.iter().map(|((f, _), n)| (*n, *f)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, family)| family).collect()
    }

    fn tables(&mut self, record: &Record, rules: &Rules, groups: &mut BTreeMap<Group, Vec<Row>>) {
        for (name, table) in &record.tables {
            // A table that nobody named is as it was: so is one that is named but unchanged.
            if rules
                .start
                .get(name)
                .is_some_and(|start| start.same_rows(table))
            {
                continue;
            }
            let masked: Vec<bool> = table
                .columns
                .iter()
                .map(|c| rules.masks_column(name, c))
                .collect();
            let rows = self.rows(
                &format!("table {name}"),
                &table.columns,
                &table.rows,
                &masked,
            );
            groups.insert(Group::Table(name.clone()), rows);
        }
    }

    fn rows(
        &mut self,
        prefix: &str,
        columns: &[String],
        rows: &[Vec<Option<String>>],
        masked: &[bool],
    ) -> Vec<Row> {
        let places: Vec<String> = columns
            .iter()
            .map(|column| format!("{prefix}.{column}"))
            .collect();
        rows.iter()
            .map(|row| {
                let mut cells = Vec::with_capacity(row.len());
                let mut shown = Vec::with_capacity(row.len());
                for (n, cell) in row.iter().enumerate() {
                    let hidden = masked.get(n).copied().unwrap_or(false);
                    cells.push(match cell {
                        _ if hidden => vec![Atom::Blank],
                        None => Vec::new(),
                        Some(text) => self.cell(places.get(n).map_or("", String::as_str), text),
                    });
                    let name = columns.get(n).map_or("?", String::as_str);
                    shown.push(format!("{name}={}", cell.as_deref().unwrap_or("null")));
                }
                Row { cells, shown }
            })
            .collect()
    }

    /// `unordered`: paths of lists whose elements have no order.
    fn reply(&mut self, flat: &Flat, unordered: &BTreeSet<String>) -> Vec<Row> {
        let mut rows = vec![Row {
            cells: vec![fixed("head"), fixed(&flat.head)],
            shown: vec![match flat.head.parse::<u64>() {
                Ok(1) if flat.counts => "1 row".to_owned(),
                Ok(n) if flat.counts => format!("{n} rows"),
                _ => flat.head.clone(),
            }],
        }];
        // An element of such a list is one row, whatever its number.
        let mut elements: BTreeMap<&str, usize> = BTreeMap::new();
        for leaf in &flat.leaves {
            let value = self.leaf(&flat.shape, leaf);
            let shown = leaf.text.as_deref().unwrap_or("(masked)");
            let Some((list, element, rest)) = element_of(&leaf.at, unordered) else {
                rows.push(Row {
                    cells: vec![fixed(&leaf.at), value],
                    shown: vec![format!("{} {shown}", leaf.at)],
                });
                continue;
            };
            let row = *elements.entry(element).or_insert_with(|| {
                rows.push(Row {
                    cells: vec![fixed(list)],
                    shown: vec![format!("{list}[…]")],
                });
                rows.len() - 1
            });
            rows[row].cells.extend([fixed(rest), value]);
            if leaf.moves || !shown.starts_with(['{', '[']) {
                let text = format!(" {} {shown}", rest.trim_start_matches('.'));
                rows[row].shown[0].push_str(text.trim_end());
            }
        }
        if let Some(bag) = &flat.bag {
            rows.extend(self.rows(&flat.shape, &bag.columns, &bag.rows, &[]));
        }
        rows
    }

    fn leaf(&mut self, shape: &str, leaf: &Leaf) -> Cell {
        match &leaf.text {
            None => vec![Atom::Blank],
            Some(text) if leaf.moves => {
                let cell = self.cell(&format!("{shape} {}", leaf.place), text);
                if leaf.exact == leaf.place || cell != fixed(text) {
                    cell
                } else {
                    self.cell(&format!("{shape} {}", leaf.exact), text)
                }
            }
            Some(text) => fixed(text),
        }
    }

    fn cell(&mut self, place: &str, text: &str) -> Cell {
        let without = if self.no_clocks {
            without_clocks(text)
        } else {
            None
        };
        let text = without.as_deref().unwrap_or(text);
        self.calibration
            .read(place, text)
            .into_iter()
            .map(|part| match part {
                Part::Text(text) => Atom::Text(text.to_owned()),
                Part::Blank => Atom::Blank,
                Part::Fresh(family, text) => {
                    let next = self.fresh.len();
                    Atom::Fresh(*self.fresh.entry((family, text.to_owned())).or_insert(next))
                }
            })
            .collect()
    }
}

fn fixed(text: &str) -> Cell {
    vec![Atom::Text(text.to_owned())]
}

/// The list without an order that a place is in, the element with its number, and where in it the place is.
fn element_of<'p>(
    at: &'p str,
    unordered: &BTreeSet<String>,
) -> Option<(&'p str, &'p str, &'p str)> {
    unordered.iter().find_map(|list| {
        let inside = at.strip_prefix(list.as_str())?;
        let end = inside.strip_prefix('[')?.find(']')? + 2;
        let length = list.len();
        Some((&at[..length], &at[..length + end], &at[length + end..]))
    })
}
