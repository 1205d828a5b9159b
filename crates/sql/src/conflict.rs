//! Which footprints do not commute, and why.
//!
//! An uncommitted write is invisible: it excludes other writers and lockers of the row at once, and readers only when it
//! is published. Every rule below is symmetric, because each is tried both ways round.

use deadheat_explore::{Actor, Footprint as Explored};

use crate::footprint::{Advisory, Fate, Footprint, Named, Parts, SequenceUse, TableAccess};
use crate::rows::Rows;

/// The first reason found.
enum Clash<'a> {
    Everything(&'a str),
    Snapshot,
    LookedAt,
    Serializable,
    ReadPublished(&'a TableAccess, &'a Rows),
    Watched(&'a TableAccess),
    Lying(&'a TableAccess),
    Numbers,
    RowLock(&'a TableAccess, &'a Rows),
    TableLock(&'a TableAccess),
    Key(String),
    Advisory(Advisory),
    Sequence(&'a Named),
    Channel(&'a Named),
    Waiting(Actor),
    Fate(Fate),
}

impl Explored for Footprint {
    fn conflicts(&self, other: &Self) -> bool {
        clash(&self.parts, &other.parts).is_some()
    }
}

impl Footprint {
    /// Why the two do not commute, in words; `None`: they do.
    pub fn why(&self, other: &Self) -> Option<String> {
        clash(&self.parts, &other.parts).map(|clash| clash.in_words())
    }
}

fn clash<'a>(one: &'a Parts, two: &'a Parts) -> Option<Clash<'a>> {
    if let Some(reason) = one.everything.as_ref().or(two.everything.as_ref()) {
        return Some(Clash::Everything(reason));
    }
    half(one, two)
        .or_else(|| half(two, one))
        .or_else(|| tables(one, two))
}

/// The rules that have two different sides.
fn half<'a>(one: &'a Parts, two: &'a Parts) -> Option<Clash<'a>> {
    if one.snapshot && two.tables.values().any(|table| !table.publishes.is_none()) {
        return Some(Clash::Snapshot);
    }
    if one.looked_at && two.looked_at {
        return Some(Clash::LookedAt);
    }
    if one.ends_serializable && (two.serializable || two.ends_serializable) {
        return Some(Clash::Serializable);
    }
    // Whether two serializable transactions overlap the server tells by ids: the oldest that was running when the one
    // took its snapshot, and the next one when the other ended (src/backend/storage/lmgr/predicate.c, finishedBefore).
    if one.ends_serializable && two.numbers || one.serializable && one.snapshot && two.ends_numbered
    {
        return Some(Clash::Numbers);
    }
    for actor in &one.stirs {
        if two.waits_for.contains(actor) || two.stirs.contains(actor) {
            return Some(Clash::Waiting(*actor));
        }
    }
    if let Some(fate) = one.fates.intersection(&two.fates).next() {
        return Some(Clash::Fate(*fate));
    }
    for key in &one.keys {
        if two.keys.iter().any(|other| key.meets(other)) {
            return Some(Clash::Key(key.to_string()));
        }
    }
    for (lock, exclusive) in &one.advisory {
        if two
            .advisory
            .iter()
            .any(|(other, too)| (*exclusive || *too) && lock.may_be(*other))
        {
            return Some(Clash::Advisory(*lock));
        }
    }
    for (name, how) in &one.sequences {
        if two
            .sequences
            .iter()
            .any(|(other, too)| how.excludes(*too) && may_be(name, other))
        {
            return Some(Clash::Sequence(name));
        }
    }
    one.channels
        .iter()
        .find(|name| two.channels.iter().any(|other| may_be(name, other)))
        .map(Clash::Channel)
}

fn tables<'a>(one: &'a Parts, two: &'a Parts) -> Option<Clash<'a>> {
    one.tables.iter().find_map(|(id, mine)| {
        let theirs = two.tables.get(id)?;
        table_half(mine, theirs)
            .or_else(|| table_half(theirs, mine))
            .or_else(|| row_locks(mine, theirs))
    })
}

fn table_half<'a>(one: &'a TableAccess, two: &'a TableAccess) -> Option<Clash<'a>> {
    if one.publishes.meets(&two.sees) {
        return Some(Clash::ReadPublished(one, &two.sees));
    }
    if one.watches && !(two.changes.is_none() && two.publishes.is_none()) {
        return Some(Clash::Watched(one));
    }
    if one.lies && !two.changes.is_none() {
        return Some(Clash::Lying(one));
    }
    let held = (0..8).filter(|bit| one.modes & (1 << bit) != 0);
    (held.fold(0, |mask, bit| mask | EXCLUDED[bit]) & two.modes != 0)
        .then_some(Clash::TableLock(one))
}

fn row_locks<'a>(one: &'a TableAccess, two: &'a TableAccess) -> Option<Clash<'a>> {
    for (mine, rows) in one.locks.iter().enumerate() {
        for (theirs, others) in two.locks.iter().enumerate() {
            if mine + theirs >= 3 && rows.meets(others) {
                return Some(Clash::RowLock(one, rows));
            }
        }
    }
    None
}

/// Table lock modes that each mode excludes (PostgreSQL's table 13.2), as masks.
const EXCLUDED: [u8; 8] = [
    0b1000_0000,
    0b1100_0000,
    0b1111_0000,
    0b1111_1000,
    0b1110_1100,
    0b1111_1100,
    0b1111_1110,
    0b1111_1111,
];

impl Advisory {
    fn may_be(self, other: Self) -> bool {
        self == Self::Any || other == Self::Any || self == other
    }
}

impl SequenceUse {
    fn excludes(self, other: Self) -> bool {
        !matches!((self, other), (Self::Look, Self::Look))
    }
}

fn may_be(one: &Named, two: &Named) -> bool {
    one.is_none() || two.is_none() || one == two
}

impl Clash<'_> {
    fn in_words(&self) -> String {
        match self {
            Self::Everything(reason) => format!("{reason}, so it may conflict with anything"),
            Self::Snapshot => "one takes its snapshot, the other commits".to_owned(),
            Self::LookedAt => {
                "both are commits after which all that is committed is looked at".to_owned()
            }
            Self::Serializable => {
                "one ends a serializable transaction, the other is part of one".to_owned()
            }
            Self::ReadPublished(table, rows) => {
                format!("one reads {}, which the other commits", place(table, rows))
            }
            Self::Watched(table) => format!(
                "a serializable transaction uses {}, which the other writes",
                table.name
            ),
            Self::Lying(table) => format!(
                "where rows of {} lie decides what serializable transactions are refused, and the other writes it",
                table.name
            ),
            Self::Numbers => {
                "a serializable transaction begins or ends, and the other gets or frees a transaction id".to_owned()
            }
            Self::RowLock(table, rows) => format!("both lock {}", place(table, rows)),
            Self::TableLock(table) => format!(
                "they lock the table {} in modes that exclude each other",
                table.name
            ),
            Self::Key(key) => format!("both use the unique key {key}"),
            Self::Advisory(Advisory::Any) => "both use advisory locks".to_owned(),
            Self::Advisory(Advisory::One(key)) => format!("both use the advisory lock {key}"),
            Self::Advisory(Advisory::Two(one, two)) => {
                format!("both use the advisory lock ({one}, {two})")
            }
            Self::Sequence(name) => format!(
                "one moves the sequence {} that the other uses",
                name.as_deref().unwrap_or("(any)")
            ),
            Self::Channel(name) => format!(
                "both use the channel {}",
                name.as_deref().unwrap_or("(any)")
            ),
            Self::Fate(Fate::Number) => {
                "both are faults, of which there are only so many".to_owned()
            }
            Self::Fate(Fate::Of(actor)) => {
                format!(
                    "one is a fault of actor {}, the other a step of it",
                    actor.0
                )
            }
            Self::Waiting(actor) => {
                format!(
                    "one waits for actor {}, whose waiting the other changes",
                    actor.0
                )
            }
        }
    }
}

fn place(table: &TableAccess, rows: &Rows) -> String {
    match rows {
        Rows::All | Rows::None => table.name.to_string(),
        Rows::Some(_) => format!("{} where {rows}", table.name),
    }
}
