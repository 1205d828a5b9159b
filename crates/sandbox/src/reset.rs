//! Puts a database back to its snapshot: only the tables that were written, in one round trip.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{MutexGuard, PoisonError};

use tokio_postgres::SimpleQueryMessage;

use crate::database::Database;
use crate::error::{Error, in_words};
use crate::snapshot::{Kept, SCHEMA, Snapshot};

/// First oid that the system does not use itself.
const FIRST_USER_OID: u32 = 16384;

/// Dead rows a table may gather before it is vacuumed, beside as many as it has live ones, several times over.
const DEAD_ROWS: u64 = 500;
const DEAD_SHARE: u64 = 4;

/// How long a session of the run may still hold a lock on a table.
const LOCK_LIMIT: &str = "2s";

/// What a run may have written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// These tables (`pg_class.oid`). A parent stands for its partitions and children too.
    Tables(BTreeSet<u32>),
    /// Any table.
    Everything,
}

/// What resets leave behind, so that it can be cleared away in time.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    dead: BTreeMap<u32, u64>,
}

impl Database {
    /// Puts the written tables and all sequences back to the snapshot. Triggers and foreign keys stay silent.
    /// Sessions of the run must have ended their transactions.
    ///
    /// # Errors
    /// [`Error::CopyInstead`] when this cannot be done in place: the caller drops the database and forks its
    /// template. [`Error::NoSnapshot`] when there is nothing to return to.
    pub async fn reset(&self, written: &Written) -> Result<(), Error> {
        let due = |oid: u32, snapshot: &Snapshot| self.is_due(oid, snapshot);
        self.reset_where(written, due).await
    }

    /// As [`Database::reset`], and nothing is left of the rows that were: every row lies where it lay after the last exact
    /// reset of its table, so that the server plans and locks the same way. Takes about half a millisecond a table more.
    ///
    /// # Errors
    /// As [`Database::reset`].
    pub async fn reset_exactly(&self, written: &Written) -> Result<(), Error> {
        self.reset_where(written, |_, _| true).await
    }

    /// Puts the written tables back; those that are `due` are cleared of dead rows as well.
    async fn reset_where(
        &self,
        written: &Written,
        is_due: impl Fn(u32, &Snapshot) -> bool,
    ) -> Result<(), Error> {
        let snapshot = self.snapshot.as_deref().ok_or(Error::NoSnapshot)?;
        let tables = snapshot.resolve(written)?;
        let replica = self.server.superuser;
        if !replica
            && let Some(kept) = tables
                .iter()
                .map(|oid| &snapshot.tables[oid])
                .find(|kept| kept.referenced)
        {
            let why = format!(
                "{} has foreign keys pointing at it, and this user cannot suspend them",
                kept.name
            );
            return Err(Error::CopyInstead(why));
        }
        let due: Vec<u32> = tables
            .iter()
            .copied()
            .filter(|oid| is_due(*oid, snapshot))
            .collect();
        let done = if due.is_empty() {
            self.put_back(snapshot, &tables, &tables, &[], replica)
                .await
        } else {
            self.put_back_cleared(snapshot, &tables, &due, replica)
                .await
        };
        if let Err(why) = done {
            // The transaction is void, the database as the run left it; a fresh copy heals whatever it was.
            let _ = self.control().batch_execute("ROLLBACK").await;
            return Err(Error::CopyInstead(why));
        }
        Ok(())
    }

    /// Moves the first sequence `first` of its steps on from the snapshot, each further one `apart` more, where its
    /// limits allow: ids drawn from sequences differ then, and nothing else does. The next [`Database::reset`] takes it
    /// back.
    ///
    /// # Errors
    /// When the server refuses, or there is no snapshot.
    pub async fn advance_sequences(&self, first: i64, apart: i64) -> Result<(), Error> {
        self.snapshot.as_ref().ok_or(Error::NoSnapshot)?;
        let statement = format!(
            "SELECT count(setval(id::regclass, moved::int8, called)) FROM (SELECT id, called, low, high, value + \
             ({first} + {apart} * (row_number() OVER (ORDER BY id) - 1))::numeric * step AS moved \
             FROM {SCHEMA}.sequences) AS further WHERE moved BETWEEN low AND high"
        );
        self.control()
            .batch_execute(&statement)
            .await
            .map_err(Error::sql("advance the sequences"))
    }

    fn upkeep(&self) -> MutexGuard<'_, Upkeep> {
        self.upkeep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_due(&self, oid: u32, snapshot: &Snapshot) -> bool {
        let dead = self.upkeep().dead.get(&oid).copied().unwrap_or(0);
        dead > DEAD_ROWS + DEAD_SHARE * snapshot.tables[&oid].rows
    }

    /// Empties the tables in `emptied` and fills those in `filled`, in one transaction and one round trip.
    async fn put_back(
        &self,
        snapshot: &Snapshot,
        emptied: &BTreeSet<u32>,
        filled: &BTreeSet<u32>,
        cleared: &[u32],
        replica: bool,
    ) -> Result<(), String> {
        let text = script(snapshot, emptied, filled, cleared, replica);
        let said = self
            .control()
            .simple_query(&text)
            .await
            .map_err(|error| in_words(&error))?;
        let counts = said.iter().filter_map(|message| match message {
            SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
            _ => None,
        });
        // The script's DELETEs and INSERTs come in the order of the tables, behind its settings.
        let changed: Vec<u64> = counts.skip(OPENING + usize::from(replica)).collect();
        let mut changed = changed.into_iter();
        let mut upkeep = self.upkeep();
        for oid in emptied.union(filled) {
            let kept = &snapshot.tables[oid];
            let silenced = statements(&silencing(kept, replica));
            changed.by_ref().take(silenced).for_each(drop);
            if emptied.contains(oid) {
                *upkeep.dead.entry(*oid).or_default() += changed.next().unwrap_or(0);
            }
            if filled.contains(oid) && changed.next() != Some(kept.rows) {
                return Err(format!("the kept rows of {} are not complete", kept.name));
            }
            changed
                .by_ref()
                .take(statements(&speaking(kept, replica)))
                .for_each(drop);
        }
        Ok(())
    }

    /// The same, with the tables in `due` vacuumed while they are empty: their files are cut to nothing, and
    /// rows go where they went the first time.
    async fn put_back_cleared(
        &self,
        snapshot: &Snapshot,
        tables: &BTreeSet<u32>,
        due: &[u32],
        replica: bool,
    ) -> Result<(), String> {
        self.put_back(snapshot, tables, &BTreeSet::new(), &[], replica)
            .await?;
        for oid in due {
            let vacuum = format!("VACUUM (INDEX_CLEANUP ON) {}", snapshot.tables[oid].name);
            self.control()
                .batch_execute(&vacuum)
                .await
                .map_err(|error| in_words(&error))?;
            self.upkeep().dead.remove(oid);
        }
        self.put_back(snapshot, &BTreeSet::new(), tables, due, replica)
            .await
    }
}

impl Snapshot {
    /// The kept tables behind what was written.
    fn resolve(&self, written: &Written) -> Result<BTreeSet<u32>, Error> {
        let Written::Tables(named) = written else {
            return Ok(self.tables.keys().copied().collect());
        };
        let mut open: Vec<u32> = named.iter().copied().collect();
        let mut seen = BTreeSet::new();
        let mut tables = BTreeSet::new();
        while let Some(oid) = open.pop() {
            if !seen.insert(oid) {
                continue;
            }
            open.extend(self.children.get(&oid).into_iter().flatten());
            if self.tables.contains_key(&oid) {
                tables.insert(oid);
            } else if oid >= FIRST_USER_OID && !self.hollow.contains(&oid) {
                return Err(Error::CopyInstead(format!(
                    "relation {oid} is no table that the snapshot keeps"
                )));
            }
        }
        Ok(tables)
    }
}

/// How many statements stand before those of the tables, the one for replicas not counted.
const OPENING: usize = 2;

fn script(
    snapshot: &Snapshot,
    emptied: &BTreeSet<u32>,
    filled: &BTreeSet<u32>,
    cleared: &[u32],
    replica: bool,
) -> String {
    let mut text = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;SET LOCAL lock_timeout='{LOCK_LIMIT}';"
    );
    if replica {
        text.push_str("SET LOCAL session_replication_role=replica;");
    }
    for oid in emptied.union(filled) {
        let kept = &snapshot.tables[oid];
        let Kept { name, columns, .. } = kept;
        text.push_str(&silencing(kept, replica));
        if emptied.contains(oid) {
            let _ = write!(text, "DELETE FROM ONLY {name};");
        }
        if filled.contains(oid) {
            let list = if columns.is_empty() {
                String::new()
            } else {
                format!("({columns}) OVERRIDING SYSTEM VALUE ")
            };
            let _ = write!(
                text,
                "INSERT INTO {name} {list}SELECT {columns} FROM {SCHEMA}.t{oid};"
            );
        }
        text.push_str(&speaking(kept, replica));
    }
    if replica && !cleared.is_empty() {
        // VACUUM has noted that they are empty; the planner is to plan as it did the first time.
        let of: Vec<String> = cleared.iter().map(u32::to_string).collect();
        let _ = write!(
            text,
            "UPDATE pg_catalog.pg_class AS c SET relpages = k.pages, reltuples = k.tuples FROM {SCHEMA}.sizes AS k \
             WHERE c.oid = k.id AND k.of IN ({});",
            of.join(", ")
        );
    }
    if snapshot.sequences > 0 {
        let _ = write!(
            text,
            "SELECT count(setval(id::regclass,value,called)) FROM {SCHEMA}.sequences;"
        );
    }
    text.push_str("COMMIT");
    text
}

/// What keeps triggers silent: a superuser acts as a replica, to which only some triggers answer; others switch
/// the user's triggers off.
fn silencing(kept: &Kept, replica: bool) -> String {
    match (replica, kept.triggers) {
        (true, _) => kept.silence.clone(),
        (false, true) => format!("ALTER TABLE {} DISABLE TRIGGER USER;", kept.name),
        (false, false) => String::new(),
    }
}

fn speaking(kept: &Kept, replica: bool) -> String {
    match (replica, kept.triggers) {
        (true, _) => kept.speak.clone(),
        (false, true) => format!(
            "ALTER TABLE {} ENABLE TRIGGER USER;{}",
            kept.name, kept.speak
        ),
        (false, false) => String::new(),
    }
}

/// How many statements are in a text of our own making, each ended by a semicolon.
fn statements(text: &str) -> usize {
    crate::split::split(text).len()
}
