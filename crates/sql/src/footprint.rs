//! What a step read, published, locked and waited for. Which of these exclude each other is in [`crate::conflict`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::sync::Arc;

use deadheat_explore::Actor;

use crate::keys::KeyAccess;
use crate::rows::Rows;

/// Row lock strengths, weakest first (PostgreSQL's table 13.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Strength {
    KeyShare,
    Share,
    NoKeyUpdate,
    Update,
}

/// Table lock modes, weakest first (PostgreSQL's table 13.2); the discriminant is the bit in a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

impl Mode {
    pub(crate) fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What a step did to one table (with its partitions and parents: they are one).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableAccess {
    pub(crate) name: Arc<str>,
    /// Table locks taken, held or freed, as a mask of [`Mode`]s.
    pub(crate) modes: u8,
    /// Committed rows it depends on.
    pub(crate) sees: Rows,
    /// Rows it reads as of a snapshot that its transaction already has: what others do makes no difference to it any
    /// more. For explanations.
    pub(crate) recalls: Rows,
    /// Rows whose new state it makes visible to others.
    pub(crate) publishes: Rows,
    /// Rows it wrote, visible to nobody else yet.
    pub(crate) changes: Rows,
    /// Row locks taken, held or freed, by [`Strength`].
    pub(crate) locks: [Rows; 4],
    /// Read (or written and committed) by a serializable transaction, which notices writes at once.
    pub(crate) watches: bool,
    /// Where its rows lie matters: what is written to the table moves them at once.
    pub(crate) lies: bool,
}

/// An advisory lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Advisory {
    One(i64),
    Two(i32, i32),
    /// Which one is not known.
    Any,
}

/// How a sequence is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SequenceUse {
    /// Takes the next value: who is first has the lower one, and somebody may go by that order.
    Next,
    /// Looks at its state.
    Look,
    /// Sets its state.
    Set,
}

/// A name, or any of them.
pub(crate) type Named = Option<Arc<str>>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent facts about one step
pub(crate) struct Parts {
    /// Conflicts with everything, and why.
    pub(crate) everything: Option<Arc<str>>,
    /// Takes a snapshot: depends on everything that is ever published.
    pub(crate) snapshot: bool,
    /// Commits what is looked at as a whole, at that very moment.
    pub(crate) looked_at: bool,
    /// Is part of a serializable transaction.
    pub(crate) serializable: bool,
    /// Ends a serializable transaction.
    pub(crate) ends_serializable: bool,
    /// May give its transaction an id.
    pub(crate) numbers: bool,
    /// Ends a transaction that may have an id.
    pub(crate) ends_numbered: bool,
    pub(crate) tables: BTreeMap<u32, TableAccess>,
    pub(crate) keys: Vec<KeyAccess>,
    /// Advisory locks; `true`: exclusive.
    pub(crate) advisory: BTreeSet<(Advisory, bool)>,
    pub(crate) sequences: BTreeSet<(Named, SequenceUse)>,
    pub(crate) channels: BTreeSet<Named>,
    /// Actors in the chain it waits for. (Actors, not sessions: a session's number is another in every lab.)
    pub(crate) waits_for: BTreeSet<Actor>,
    /// Actors whose waiting it begins or ends.
    pub(crate) stirs: BTreeSet<Actor>,
    /// Actors that a fault may happen to, of which it is a step or the fault.
    pub(crate) fates: BTreeSet<Fate>,
}

/// What faults depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// How far this actor is.
    Of(Actor),
    /// How many faults there were.
    Number,
}

/// What a step read, wrote, locked and waited for.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Footprint {
    pub(crate) parts: Arc<Parts>,
}

impl Footprint {
    /// Of a step that touches nothing shared.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Of a step that is not understood: it conflicts with every step.
    pub fn everything() -> Self {
        Self::everything_because("it is not known what it touches")
    }

    /// Why it conflicts with every step, if it does.
    pub fn unknown(&self) -> Option<&str> {
        self.parts.everything.as_deref()
    }

    pub(crate) fn everything_because(reason: &str) -> Self {
        let mut footprint = Self::default();
        footprint.edit().everything = Some(reason.into());
        footprint
    }

    /// Of a step of `actor` that waits for these actors.
    pub(crate) fn waits(actor: Actor, for_actors: &[Actor]) -> Self {
        let mut footprint = Self::default();
        footprint.edit().waits_for.extend(for_actors);
        footprint.edit().stirs.insert(actor);
        footprint
    }

    /// Of a commit after which somebody looks at everything that is committed: which other such commits came before it
    /// makes a difference.
    pub fn looked_at() -> Self {
        let mut footprint = Self::default();
        footprint.edit().looked_at = true;
        footprint
    }

    /// Of a step that ends the waiting of an actor, together with what the actor then did.
    pub fn woken(actor: Actor) -> Self {
        let mut footprint = Self::default();
        footprint.edit().stirs.insert(actor);
        footprint
    }

    /// Of a fault, or of a step that comes before it or behind it.
    pub fn of_fate(fate: Fate) -> Self {
        let mut footprint = Self::default();
        footprint.edit().fates.insert(fate);
        footprint
    }

    pub(crate) fn edit(&mut self) -> &mut Parts {
        Arc::make_mut(&mut self.parts)
    }

    /// Whether it commutes with every step that is understood.
    pub fn is_nothing(&self) -> bool {
        *self.parts == Parts::default()
    }

    /// Adds what another step (or another part of the same one) did.
    pub fn merge(&mut self, other: &Self) {
        if other.is_nothing() || Arc::ptr_eq(&self.parts, &other.parts) {
            return;
        }
        if self.is_nothing() {
            *self = other.clone();
            return;
        }
        self.edit().add(&other.parts);
    }

    /// The tables it touched: name, the row (`id=1`) if it is known to be only that one, and whether it wrote (or
    /// locked for writing).
    pub fn accesses(&self) -> Vec<(String, Option<String>, bool)> {
        let mut found = Vec::new();
        for table in self.parts.tables.values() {
            // Rows that were there are named by their locks; what is left are new ones.
            let mut written = table.locks[Strength::NoKeyUpdate as usize].clone();
            written.add(&table.locks[Strength::Update as usize]);
            if written.is_none() {
                written.add(&table.changes);
                written.add(&table.publishes);
            }
            let mut read = table.sees.clone();
            read.add(&table.recalls);
            read.add(&table.locks[Strength::KeyShare as usize]);
            read.add(&table.locks[Strength::Share as usize]);
            for (rows, write) in [(read, false), (written, true)] {
                match rows {
                    Rows::None => {}
                    Rows::All => found.push((table.name.to_string(), None, write)),
                    Rows::Some(images) => {
                        found.extend(
                            images.iter().map(|image| {
                                (table.name.to_string(), Some(image.to_string()), write)
                            }),
                        );
                    }
                }
            }
        }
        found
    }
}

impl Parts {
    pub(crate) fn add(&mut self, other: &Self) {
        if self.everything.is_none() {
            self.everything.clone_from(&other.everything);
        }
        self.snapshot |= other.snapshot;
        self.looked_at |= other.looked_at;
        self.serializable |= other.serializable;
        self.ends_serializable |= other.ends_serializable;
        self.numbers |= other.numbers;
        self.ends_numbered |= other.ends_numbered;
        for (id, access) in &other.tables {
            self.table(*id, &access.name).add(access);
        }
        for key in &other.keys {
            self.add_key(key.clone());
        }
        self.advisory.extend(other.advisory.iter().copied());
        self.sequences.extend(other.sequences.iter().cloned());
        self.channels.extend(other.channels.iter().cloned());
        self.waits_for.extend(&other.waits_for);
        self.stirs.extend(&other.stirs);
        self.fates.extend(&other.fates);
    }

    /// Whether a transaction that does this may get an id.
    pub(crate) fn may_write(&self) -> bool {
        let written = |table: &TableAccess| {
            !table.changes.is_none() || table.locks.iter().any(|rows| !rows.is_none())
        };
        self.tables.values().any(written)
            || !self.keys.is_empty()
            || !self.channels.is_empty()
            || self
                .sequences
                .iter()
                .any(|(_, how)| *how != SequenceUse::Look)
    }

    pub(crate) fn table(&mut self, id: u32, name: &Arc<str>) -> &mut TableAccess {
        self.tables.entry(id).or_insert_with(|| TableAccess {
            name: name.clone(),
            ..TableAccess::default()
        })
    }

    pub(crate) fn add_key(&mut self, key: KeyAccess) {
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
    }
}

impl TableAccess {
    fn add(&mut self, other: &Self) {
        self.modes |= other.modes;
        self.sees.add(&other.sees);
        self.recalls.add(&other.recalls);
        self.publishes.add(&other.publishes);
        self.changes.add(&other.changes);
        for (mine, theirs) in self.locks.iter_mut().zip(&other.locks) {
            mine.add(theirs);
        }
        self.watches |= other.watches;
        self.lies |= other.lies;
    }
}

impl fmt::Debug for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

impl Footprint {
    fn describe(&self) -> String {
        let parts = &self.parts;
        if self.is_nothing() {
            return "nothing".to_owned();
        }
        let mut words: Vec<String> = Vec::new();
        words.extend(
            parts
                .everything
                .as_ref()
                .map(|reason| format!("everything ({reason})")),
        );
        let flags = [
            (parts.snapshot, "takes a snapshot"),
            (parts.looked_at, "is looked at"),
            (parts.serializable, "serializable"),
            (parts.ends_serializable, "ends serializable"),
        ];
        words.extend(
            flags
                .iter()
                .filter(|(set, _)| *set)
                .map(|(_, word)| (*word).to_owned()),
        );
        words.extend(parts.tables.values().map(TableAccess::describe));
        words.extend(parts.keys.iter().map(|key| format!("key {key}")));
        words.extend(parts.advisory.iter().map(|(lock, exclusive)| {
            format!(
                "advisory {lock:?}{}",
                if *exclusive { "" } else { " shared" }
            )
        }));
        words.extend(
            parts
                .sequences
                .iter()
                .map(|(name, how)| format!("sequence {} {how:?}", name.as_deref().unwrap_or("*"))),
        );
        words.extend(
            parts
                .channels
                .iter()
                .map(|name| format!("channel {}", name.as_deref().unwrap_or("*"))),
        );
        words.extend(
            parts
                .waits_for
                .iter()
                .map(|actor| format!("waits for actor {}", actor.0)),
        );
        words.extend(
            parts
                .stirs
                .iter()
                .map(|actor| format!("stirs actor {}", actor.0)),
        );
        words.extend(parts.fates.iter().map(|fate| match fate {
            Fate::Of(actor) => format!("fate of actor {}", actor.0),
            Fate::Number => "number of faults".to_owned(),
        }));
        if words.is_empty() {
            words.push("a transaction id".to_owned());
        }
        words.join("; ")
    }
}

impl TableAccess {
    fn describe(&self) -> String {
        const LOCKS: [&str; 4] = ["key share", "share", "no key update", "update"];
        let mut text = self.name.to_string();
        for (rows, word) in [
            (&self.sees, "sees"),
            (&self.changes, "changes"),
            (&self.publishes, "publishes"),
        ] {
            if !rows.is_none() {
                let _ = write!(text, " {word}[{rows}]");
            }
        }
        for (rows, word) in self.locks.iter().zip(LOCKS) {
            if !rows.is_none() {
                let _ = write!(text, " {word}[{rows}]");
            }
        }
        if self.modes >= Mode::ShareUpdateExclusive.bit() {
            let _ = write!(text, " table lock {:#b}", self.modes);
        }
        if self.watches {
            text.push_str(" watches");
        }
        text
    }
}
