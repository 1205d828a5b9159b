//! What a statement does, with its parameters still open; [`Effect::apply`] puts them in.

use std::sync::Arc;

use crate::footprint::{Advisory, Mode, Named, Parts, SequenceUse, Strength, TableAccess};
use crate::held::Held;
use crate::keys::{KeyAccess, KeyValue};
use crate::rows::{Column, Image, Rows};
use crate::schema::{Changed, Schema, TableId};
use crate::value::{Params, Term, Value};

/// Which rows, with parameters still open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    All,
    /// Rows that fulfil all equalities of one of these.
    Where(Vec<Vec<(Column, Term)>>),
}

/// What a statement is known to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Reads committed rows.
    Read { table: TableId, rows: Choice },
    /// Reads and locks rows; `deferred`: again when the transaction commits.
    Lock {
        table: TableId,
        rows: Choice,
        strength: Strength,
        deferred: bool,
    },
    /// Changes rows that were like `old` to be like `new`.
    Change {
        table: TableId,
        old: Option<Choice>,
        new: Option<Choice>,
        strength: Strength,
    },
    /// Puts a key into a unique index; `held`: changes or deletes the row that has it.
    Key {
        table: TableId,
        index: Arc<str>,
        values: Vec<Term>,
        nulls_equal: bool,
        held: bool,
    },
    /// Locks a table explicitly.
    LockTable { table: TableId, mode: Mode },
    /// Takes or frees an advisory lock.
    Advisory {
        key: Vec<Term>,
        exclusive: bool,
        transaction: bool,
    },
    /// Frees all advisory locks of the session.
    FreeAdvisory,
    /// Uses a sequence.
    Sequence {
        name: Named,
        table: Option<TableId>,
        how: SequenceUse,
    },
    /// Sends to a channel, or listens to it, from COMMIT on.
    Channel(Option<Term>),
    /// Gives the transaction an id.
    Number,
    /// Can fire a trigger at COMMIT; `always`: without SET CONSTRAINTS.
    AtCommit { always: bool },
}

/// What a statement's effects need to know about where they happen.
pub(crate) struct Place<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) changed: &'a Changed,
    pub(crate) params: &'a Params,
    /// The transaction is serializable.
    pub(crate) serializable: bool,
    /// It, or another of the run, is serializable: where rows lie matters.
    pub(crate) exact: bool,
    /// The transaction reads as of a snapshot it already has.
    pub(crate) frozen: bool,
}

/// What a transaction leaves to its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    /// What COMMIT does: publishes, frees, checks.
    pub(crate) commit: Parts,
    /// What ROLLBACK does: frees.
    pub(crate) rollback: Parts,
    /// Advisory locks of the session.
    pub(crate) session: Parts,
    /// A deferrable trigger may fire at COMMIT (`true`: does even without SET CONSTRAINTS).
    pub(crate) trigger: Option<bool>,
    /// Row locks it certainly has.
    pub(crate) held: Held,
    /// Tables written.
    pub(crate) written: std::collections::BTreeSet<u32>,
}

impl Pending {
    /// Notes that the transaction may get an id by what it does `now`, or at its commit.
    pub(crate) fn number(&mut self, now: &mut Parts) {
        let at_commit = !self.commit.channels.is_empty();
        if at_commit {
            self.commit.numbers = true;
        }
        now.numbers |= now.may_write();
        if now.numbers || at_commit {
            self.commit.ends_numbered = true;
            self.rollback.ends_numbered = true;
        }
    }
}

impl Choice {
    pub(crate) fn rows(&self, params: &Params) -> Rows {
        self.fill(params, false)
    }

    /// `states`: a NULL is a state that a row is in, not a comparison that none fulfils.
    fn fill(&self, params: &Params, states: bool) -> Rows {
        let Self::Where(alternatives) = self else {
            return Rows::All;
        };
        let mut images = Vec::new();
        for equalities in alternatives {
            images.extend(
                expand(equalities, params, states)
                    .into_iter()
                    .map(Image::new),
            );
        }
        Rows::of(images)
    }
}

/// One list of equalities for every combination of values.
fn expand(
    equalities: &[(Column, Term)],
    params: &Params,
    states: bool,
) -> Vec<Vec<(Column, Value)>> {
    const MOST: usize = 128;
    let mut images = vec![Vec::with_capacity(equalities.len())];
    for (column, term) in equalities {
        let Some(mut values) = term.values(params) else {
            continue;
        };
        if !states {
            values.retain(|value| *value != Value::Null);
        }
        if values.len() == 1 {
            for image in &mut images {
                image.push((column.clone(), values[0].clone()));
            }
        } else if images.len() * values.len() <= MOST {
            let with = |image: &Vec<(Column, Value)>, value: &Value| {
                let mut image = image.clone();
                image.push((column.clone(), value.clone()));
                image
            };
            images = images
                .iter()
                .flat_map(|image| values.iter().map(move |value| with(image, value)))
                .collect();
        }
    }
    images
}

impl Effect {
    /// Adds what it does now to `now`, and what it leaves to the end of the transaction to `pending`.
    pub(crate) fn apply(&self, place: &Place<'_>, now: &mut Parts, pending: &mut Pending) {
        match self {
            Self::Read { table, rows } => {
                let rows = rows.rows(place.params);
                place.read(*table, &rows, now, pending);
            }
            Self::Lock {
                table,
                rows,
                strength,
                deferred,
            } => {
                let rows = rows.rows(place.params);
                if !rows.is_none() {
                    place.lock(*table, &rows, *strength, now, pending);
                    if *deferred {
                        pending
                            .commit
                            .table(place.family(*table), place.name(*table))
                            .sees
                            .add(&rows);
                    }
                }
            }
            Self::Change {
                table,
                old,
                new,
                strength,
            } => {
                place.change(
                    *table,
                    (old.as_ref(), new.as_ref()),
                    *strength,
                    now,
                    pending,
                );
            }
            Self::Key {
                table,
                index,
                values,
                nulls_equal,
                held,
            } => {
                if let Some(key) = place.key(*table, index, values, *nulls_equal) {
                    let key = KeyAccess { held: *held, ..key };
                    for parts in [now, &mut pending.commit, &mut pending.rollback] {
                        parts.add_key(key.clone());
                    }
                }
            }
            Self::LockTable { table, mode } => {
                place.mode(*table, *mode, now, pending);
                if *mode >= Mode::Share {
                    // A statement that another only prepares (Parse alone passes the gate and is no step) locks its
                    // tables then already: it is part of the step before, and of what the waiting ends.
                    for parts in [now, &mut pending.commit, &mut pending.rollback] {
                        parts.everything =
                            Some("others may have prepared to use the table it locks".into());
                    }
                }
            }
            _ => self.apply_beside(place, now, pending),
        }
    }

    /// The effects that are not on tables.
    fn apply_beside(&self, place: &Place<'_>, now: &mut Parts, pending: &mut Pending) {
        match self {
            Self::Sequence { name, table, how } => {
                now.sequences.insert((name.clone(), *how));
                if *how == SequenceUse::Set {
                    pending
                        .written
                        .extend(table.map(|table| place.schema.table(table).oid));
                }
            }
            Self::Channel(name) => {
                let name = name
                    .as_ref()
                    .and_then(|name| name.value(place.params))
                    .map(|name| name.to_string().into());
                pending.commit.channels.insert(name);
            }
            Self::AtCommit { always } => {
                pending.trigger = Some(pending.trigger.unwrap_or(false) || *always);
            }
            Self::Advisory {
                key,
                exclusive,
                transaction,
            } => {
                let lock = (advisory(key, place.params), *exclusive);
                now.advisory.insert(lock);
                if *transaction {
                    pending.commit.advisory.insert(lock);
                    pending.rollback.advisory.insert(lock);
                } else {
                    pending.session.advisory.insert(lock);
                }
            }
            Self::Number => now.numbers = true,
            Self::FreeAdvisory => now.advisory.append(&mut pending.session.advisory),
            Self::Read { .. }
            | Self::Lock { .. }
            | Self::Change { .. }
            | Self::Key { .. }
            | Self::LockTable { .. } => {}
        }
    }
}

/// The lock that the arguments of an advisory lock function name.
fn advisory(key: &[Term], params: &Params) -> Advisory {
    let number = |term: &Term| match term.value(params) {
        Some(Value::Integer(number)) => i64::try_from(number).ok(),
        _ => None,
    };
    match key {
        [one] => number(one).map_or(Advisory::Any, Advisory::One),
        [one, two] => match (
            number(one).map(i32::try_from),
            number(two).map(i32::try_from),
        ) {
            (Some(Ok(one)), Some(Ok(two))) => Advisory::Two(one, two),
            _ => Advisory::Any,
        },
        _ => Advisory::Any,
    }
}

impl Place<'_> {
    fn family(&self, table: TableId) -> u32 {
        self.schema.family(table)
    }

    fn name(&self, table: TableId) -> &Arc<str> {
        self.schema.name(table)
    }

    /// The table's part of each of several collections.
    fn each(&self, table: TableId, parts: [&mut Parts; 3], edit: impl Fn(&mut TableAccess)) {
        for parts in parts {
            edit(parts.table(self.family(table), self.name(table)));
        }
    }

    fn mode(&self, table: TableId, mode: Mode, now: &mut Parts, pending: &mut Pending) {
        self.each(
            table,
            [now, &mut pending.commit, &mut pending.rollback],
            |access| access.modes |= mode.bit(),
        );
    }

    pub(crate) fn read(&self, table: TableId, rows: &Rows, now: &mut Parts, pending: &mut Pending) {
        self.mode(table, Mode::AccessShare, now, pending);
        let access = now.table(self.family(table), self.name(table));
        if self.frozen {
            access.recalls.add(rows);
        } else {
            access.sees.add(rows);
        }
        if self.serializable {
            access.watches = true;
            pending
                .commit
                .table(self.family(table), self.name(table))
                .watches = true;
        }
        now.table(self.family(table), self.name(table)).lies |= self.exact;
    }

    pub(crate) fn lock(
        &self,
        table: TableId,
        rows: &Rows,
        strength: Strength,
        now: &mut Parts,
        pending: &mut Pending,
    ) {
        // Locking looks at the newest version of a row, whatever the snapshot is.
        let fresh = Place {
            frozen: false,
            ..*self
        };
        fresh.read(table, rows, now, pending);
        self.mode(table, Mode::RowShare, now, pending);
        let family = self.family(table);
        let keep = |column: &str| {
            self.schema.identifies(table, column) && !self.changed.contains(family, column)
        };
        let locked = rows.only(keep);
        if pending.held.covers(family, &locked, strength) {
            return;
        }
        self.each(
            table,
            [now, &mut pending.commit, &mut pending.rollback],
            |access| {
                access.locks[strength as usize].add(&locked);
            },
        );
    }

    fn change(
        &self,
        table: TableId,
        (old, new): (Option<&Choice>, Option<&Choice>),
        strength: Strength,
        now: &mut Parts,
        pending: &mut Pending,
    ) {
        self.mode(table, Mode::RowExclusive, now, pending);
        let mut changed = Rows::None;
        if let Some(old) = old {
            let old = old.rows(self.params);
            if old.is_none() {
                return;
            }
            self.lock(table, &old, strength, now, pending);
            changed.add(&old);
        }
        if let Some(new) = new {
            changed.add(&new.fill(self.params, true));
        }
        let access = now.table(self.family(table), self.name(table));
        access.changes.add(&changed);
        access.lies |= self.exact;
        pending
            .commit
            .table(self.family(table), self.name(table))
            .publishes
            .add(&changed);
        let members = self.schema.members(table).iter();
        pending
            .written
            .extend(members.map(|member| self.schema.table(*member).oid));
    }

    fn key(
        &self,
        table: TableId,
        index: &Arc<str>,
        values: &[Term],
        nulls_equal: bool,
    ) -> Option<KeyAccess> {
        let read = |term: &Term| match term {
            Term::Generated => KeyValue::Generated,
            term => term
                .value(self.params)
                .map_or(KeyValue::Unknown, KeyValue::Known),
        };
        let values: Vec<KeyValue> = values.iter().map(read).collect();
        if !nulls_equal && values.contains(&KeyValue::Known(Value::Null)) {
            return None;
        }
        Some(KeyAccess {
            table: self.family(table),
            index: index.clone(),
            values,
            held: false,
        })
    }
}

/// Everything that can happen to a table that the server says was touched, and the statement does not explain.
pub(crate) fn touched(
    place: &Place<'_>,
    table: TableId,
    (read, wrote, locks): (bool, bool, bool),
    now: &mut Parts,
    pending: &mut Pending,
) {
    if read {
        place.read(table, &Rows::All, now, pending);
    }
    if locks {
        place.lock(table, &Rows::All, Strength::Update, now, pending);
    }
    if !wrote {
        return;
    }
    place.change(
        table,
        (Some(&Choice::All), Some(&Choice::All)),
        Strength::Update,
        now,
        pending,
    );
    for effect in crate::relations::whole_table(place.schema, table) {
        effect.apply(place, now, pending);
    }
}
