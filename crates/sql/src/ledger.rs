//! What each session's open transaction has read, written and locked; turns what happened into footprints.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deadheat_explore::Actor;

use crate::analyst::Analyst;
use crate::effect::{Pending, Place, touched};
use crate::footprint::{Footprint, Parts};
use crate::held::Held;
use crate::probe::Counts;
use crate::statement::{Doubt, Isolation, Kind, One, Parsed, Scope, TxEnd};

/// A statement with its parameters in text form (`None` is NULL).
pub type Bound = (Arc<Parsed>, Vec<Option<String>>);

/// What is known of a batch after it ran.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// SQLSTATE of the error, if it failed.
    pub error: Option<&'a str>,
    /// Command tags of the replies.
    pub tags: &'a [String],
    /// Rows of [`Analyst::probe`], asked in the same transaction after the batch.
    pub probe: Option<&'a [Vec<Option<String>>]>,
    /// Whether a transaction (of the client or of a gap) was open before it.
    pub open_before: bool,
    /// Whether a transaction (of the client or of a gap) is open after it.
    pub open_after: bool,
    /// Isolation level it ran at, if the server was asked; otherwise it is followed from the statements.
    pub isolation: Option<Isolation>,
}

/// What was written since a ledger was made, committed or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent facts about one run
pub struct WrittenTables {
    /// Oids of tables (partitions and parents too) and of sequences that were set.
    pub tables: BTreeSet<u32>,
    /// Other tables may have been written as well.
    pub everything: bool,
    /// The schema may have changed: putting rows back is not enough.
    pub schema: bool,
    /// A transaction was serializable: where rows lie, and what else runs on the server, makes a difference.
    pub serializable: bool,
}

/// One session.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // independent facts about one session
struct Session {
    /// Level of transactions to come, if it was set.
    default: Option<Isolation>,
    /// The level was set in a way that is not understood.
    unclear: bool,
    /// Its statements mean something else than the catalogue says.
    strange: bool,
    /// Level of the open transaction, if it was set.
    level: Option<Isolation>,
    snapshot: bool,
    constraints_set: bool,
    /// A savepoint was set in the transaction.
    savepoint: bool,
    pending: Pending,
    /// Something in the transaction may do anything at its end.
    beyond: Option<Arc<str>>,
    counts: Option<Counts>,
}

/// Follows the sessions of one run.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    sessions: BTreeMap<u32, Session>,
    written: WrittenTables,
    /// Some transactions of the run are serializable.
    exact: bool,
}

impl Ledger {
    /// For a new run.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on, who writes to a table before whom makes a difference to all that use it: some transactions of the run
    /// are serializable, and what they are refused for depends on where rows lie.
    pub fn heed_places(&mut self) {
        self.exact = true;
    }

    /// The footprint of a batch that ran to its end. Call it for every batch, those that touch nothing shared too: they
    /// may set the isolation level. What ended the transaction is part of the footprint.
    pub fn work(
        &mut self,
        analyst: &Analyst,
        session: u32,
        batch: &[Bound],
        ran: &Facts<'_>,
    ) -> Footprint {
        let mut step = Footprint::nothing();
        let aborted = ran.error.is_some();
        let mut unsure = Doubt::None;
        for (parsed, params) in batch {
            for one in &parsed.statements {
                match one.kind {
                    // Whether it was reached before the error is not known: it may have published, and may not.
                    Kind::End(_) if aborted => step.merge(&self.clone().commit(session)),
                    Kind::End(end) => step.merge(&self.ended(analyst, session, end, ran)),
                    _ => {}
                }
                self.one(analyst, session, one, params, ran, step.edit());
                unsure = unsure.max(one.doubt.clone());
            }
        }
        self.counters(analyst, session, &unsure, ran, &mut step);
        self.holds(analyst, session, batch, ran);
        if aborted {
            // An error frees what the transaction (or, at worst, a savepoint of it) held.
            step.merge(&self.freed(session));
            let state = self.sessions.entry(session).or_default();
            if !ran.open_after {
                step.merge(&self.rollback(session));
            } else if !state.savepoint && state.beyond.is_none() {
                // Nothing of the transaction is left (src/backend/access/transam/README, "Transaction abort"): its
                // ROLLBACK is for the client's sake.
                state.close();
            }
        } else if !ran.open_after {
            step.merge(&self.commit(session));
        }
        step
    }

    /// The footprint of an attempt of `actor` that waits for `for_actors`: what it would do, and that it waits. An empty batch is
    /// the commit of a gap; a COMMIT, too, can wait (for rows that its deferred checks look at).
    pub fn waiting(
        &mut self,
        analyst: &Analyst,
        session: u32,
        batch: &[Bound],
        (actor, for_actors): (Actor, &[Actor]),
    ) -> Footprint {
        let mut step = Footprint::waits(actor, for_actors);
        let before = self.clone();
        for (parsed, params) in batch {
            for one in &parsed.statements {
                let ran = Facts::default();
                self.one(analyst, session, one, params, &ran, step.edit());
                if matches!(one.kind, Kind::End(_)) {
                    step.merge(&self.commit(session));
                }
                if one.doubt != Doubt::None {
                    step.merge(&Footprint::everything());
                }
            }
        }
        if batch.is_empty() {
            step.merge(&self.commit(session));
        }
        // What it does counts when it has done it; what it may have written counts already.
        self.sessions = before.sessions;
        step
    }

    /// The footprint of a commit: of a gap, or the client's own. Also closes the transaction here.
    pub fn commit(&mut self, session: u32) -> Footprint {
        let state = self.sessions.entry(session).or_default();
        let mut step = Footprint::nothing();
        let fires = state
            .pending
            .trigger
            .is_some_and(|always| always || state.constraints_set);
        let reason = state
            .beyond
            .take()
            .or_else(|| fires.then(|| "a trigger runs at its commit".into()));
        step.edit().add(&state.pending.commit);
        if fires {
            self.written.everything = true;
        }
        if reason.is_some() {
            step.edit().everything = reason;
        }
        state.close();
        step
    }

    /// The footprint of a rollback. Also closes the transaction here.
    pub fn rollback(&mut self, session: u32) -> Footprint {
        let step = self.freed(session);
        self.sessions.entry(session).or_default().close();
        step
    }

    /// The footprint of a session's end: its transaction is rolled back and its own locks are freed.
    pub fn close(&mut self, session: u32) -> Footprint {
        let mut step = self.rollback(session);
        if let Some(state) = self.sessions.remove(&session) {
            step.edit().add(&state.pending.session);
        }
        step
    }

    /// What any session wrote since the ledger was made.
    pub fn written(&self) -> WrittenTables {
        self.written.clone()
    }

    /// The isolation level of a session's transaction (or of its next one), as far as it was followed.
    pub fn isolation(&self, analyst: &Analyst, session: u32) -> Isolation {
        let state = self.sessions.get(&session);
        let set = state.and_then(|state| state.level.or(state.default));
        set.or_else(|| Isolation::read(&analyst.catalog().isolation))
            .unwrap_or_default()
    }

    fn freed(&self, session: u32) -> Footprint {
        let mut step = Footprint::nothing();
        if let Some(state) = self.sessions.get(&session) {
            step.edit().add(&state.pending.rollback);
            if let Some(reason) = &state.beyond {
                step.edit().everything = Some(Arc::clone(reason));
            }
        }
        step
    }

    /// Notes which rows a statement has certainly locked: one that came alone, so that the answer is its own.
    fn holds(&mut self, analyst: &Analyst, session: u32, batch: &[Bound], ran: &Facts<'_>) {
        if let ([(parsed, params)], [tag], None) = (batch, ran.tags, ran.error)
            && let [one] = parsed.statements.as_slice()
        {
            let state = self.sessions.entry(session).or_default();
            let held = &mut state.pending.held;
            held.note(&analyst.schema, one, params, tag);
        }
    }

    /// A COMMIT or ROLLBACK that was sent in the batch.
    fn ended(&mut self, analyst: &Analyst, session: u32, end: TxEnd, ran: &Facts<'_>) -> Footprint {
        let level = self.isolation(analyst, session);
        let (mut step, chain) = match end {
            // COMMIT of an aborted transaction is a rollback, and says so.
            TxEnd::Commit { chain } if ran.tags.len() == 1 && ran.tags[0] == "ROLLBACK" => {
                (self.rollback(session), chain)
            }
            TxEnd::Commit { chain } => (self.commit(session), chain),
            TxEnd::Rollback { chain } => (self.rollback(session), chain),
            TxEnd::Prepare => (self.commit(session), false),
        };
        if end == TxEnd::Prepare {
            self.written.everything = true;
            step.merge(&Footprint::everything_because(
                "a prepared transaction outlives its session",
            ));
        }
        if chain {
            self.sessions.entry(session).or_default().level = Some(level);
        }
        step
    }

    /// One statement: what it does now goes into `now`, what it leaves to the end into the session.
    fn one(
        &mut self,
        analyst: &Analyst,
        session: u32,
        one: &One,
        params: &[Option<String>],
        ran: &Facts<'_>,
        now: &mut Parts,
    ) {
        let level = ran
            .isolation
            .unwrap_or_else(|| self.isolation(analyst, session));
        let state = self.sessions.entry(session).or_default();
        self.written.schema |= one.schema;
        self.written.everything |= one.schema || matches!(one.doubt, Doubt::Beyond(_));
        match &one.kind {
            // The default is looked at when the transaction begins (a chained one keeps its level).
            Kind::Begin(set) => state.level = set.or(state.level).or(Some(level)),
            Kind::Level(Scope::Transaction, level) => state.set(*level, false),
            Kind::Level(Scope::Session, level) => state.set(*level, true),
            Kind::Reset => (state.default, state.unclear) = (None, false),
            Kind::Constraints => state.constraints_set = true,
            Kind::RollbackTo => {
                now.add(&state.pending.rollback);
                // Which of them were taken since the savepoint is not known.
                state.pending.held = Held::default();
            }
            Kind::Savepoint => state.savepoint = true,
            Kind::Session | Kind::End(_) => {}
            // Where a point is sent to the server, it is a query there, and takes a snapshot.
            Kind::Query | Kind::Change | Kind::Copy | Kind::Point | Kind::Other => {
                if level > Isolation::ReadCommitted || state.unclear {
                    now.snapshot |= !state.snapshot || state.unclear;
                }
                if level == Isolation::Serializable || state.unclear {
                    now.serializable = true;
                    self.written.serializable = true;
                    state.pending.commit.ends_serializable = true;
                    state.pending.rollback.ends_serializable = true;
                }
                state.snapshot = true;
            }
        }
        let place = Place {
            schema: &analyst.schema,
            changed: &analyst.changed,
            params,
            serializable: level == Isolation::Serializable || state.unclear,
            exact: self.exact || level == Isolation::Serializable || state.unclear,
            frozen: level > Isolation::ReadCommitted && !now.snapshot && !state.unclear,
        };
        for effect in &one.effects {
            effect.apply(&place, now, &mut state.pending);
        }
        state.pending.number(now);
        if state.strange && one.acts() {
            now.everything = Some("the session changed what its statements mean".into());
            state.beyond.clone_from(&now.everything);
            self.written.everything = true;
        }
        state.strange |= one.strange;
        if one.kind == Kind::Point {
            // What the code shares between points is seen by no gate.
            now.everything =
                Some("it goes on from a point, and what the code then does is not known".into());
        }
        if let Doubt::Beyond(reason) = &one.doubt {
            now.everything = Some(reason.clone());
            state.beyond = Some(reason.clone());
        }
        self.written.tables.append(&mut state.pending.written);
    }

    /// Adds what the server counted and the statements do not explain.
    fn counters(
        &mut self,
        analyst: &Analyst,
        session: u32,
        doubt: &Doubt,
        ran: &Facts<'_>,
        step: &mut Footprint,
    ) {
        let counts = ran.probe.and_then(Counts::read);
        let level = ran
            .isolation
            .unwrap_or_else(|| self.isolation(analyst, session));
        let state = self.sessions.entry(session).or_default();
        let acts = *doubt > Doubt::Reads;
        let Some(counts) = counts else {
            if *doubt != Doubt::None {
                step.merge(&Footprint::everything_because(
                    "what it calls is out of sight",
                ));
                state.beyond = state
                    .beyond
                    .take()
                    .or_else(|| acts.then(|| "its transaction did what is out of sight".into()));
                self.written.everything |= acts;
            }
            return;
        };
        let found = counts.since(state.counts.as_ref());
        state.counts = Some(counts);
        if *doubt == Doubt::None {
            return;
        }
        if found.restarted && !ran.open_after {
            // Counts were handed over after the batch: what it touched is not in these.
            step.merge(&Footprint::everything_because(
                "the server's counters were reset in between",
            ));
            self.written.everything = true;
        }
        let place = Place {
            schema: &analyst.schema,
            changed: &analyst.changed,
            params: &[],
            serializable: level == Isolation::Serializable || state.unclear,
            exact: self.exact || level == Isolation::Serializable || state.unclear,
            frozen: false,
        };
        for (oid, read, wrote) in found.relations {
            match analyst.schema.by_oid(oid) {
                Some(table) => touched(
                    &place,
                    table,
                    (read, wrote, acts && read),
                    step.edit(),
                    &mut state.pending,
                ),
                None => step.merge(&Footprint::everything()),
            }
        }
        state.pending.number(step.edit());
        self.written.tables.append(&mut state.pending.written);
    }
}

impl Session {
    fn close(&mut self) {
        let session = std::mem::take(&mut self.pending.session);
        self.pending = Pending {
            session,
            ..Pending::default()
        };
        self.level = None;
        self.snapshot = false;
        self.constraints_set = false;
        self.savepoint = false;
        self.beyond = None;
    }

    fn set(&mut self, level: Option<Isolation>, for_session: bool) {
        self.unclear |= level.is_none();
        if for_session {
            self.default = level.or(self.default);
        } else {
            self.level = level.or(self.level);
        }
    }
}
