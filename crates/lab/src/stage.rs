//! What stays between the runs of a lab: its databases, its sessions, its processes, and what it has learned.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadheat_explore::Actor;
use deadheat_gate::{Batch, Event, Gate, Ran, Release, Session, TxStatus};
use deadheat_sandbox::{Frozen, Look, keep_here};
use deadheat_scenario::Invariant as Plan;
use deadheat_sql::Footprint;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio_postgres::Client;

use crate::base::Base;
use crate::cast::Cast;
use crate::conn::{Acted, Conn, Enclosed, Phase, Work};
use crate::cure::{Advisory, Cure};
use crate::driver::Said;
use crate::error::Trouble;
use crate::http::Browsers;
use crate::learned::Learned;
use crate::note::Notes;
use crate::record::{Invariant, Table};
use crate::run::{Seat, hash_of, joined};
use crate::service::Service;
use crate::timer::Timer;
use crate::touched::Touched;
use crate::window::Window;

/// Time between two looks while the services come to rest.
const REST_GAP: Duration = Duration::from_millis(2);
/// How long services are given to come to rest after the requests that come before the runs.
const LONGEST_REST: Duration = Duration::from_secs(2);

/// Something the lab hears.
pub(crate) enum Signal {
    Gate(Event),
    Said(Said),
}

/// Who can come through a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Through {
    /// Only this actor knows the gate.
    Actor(Actor),
    /// A service's gate: whoever it works for.
    Service,
}

/// Everything that outlives a run.
pub(crate) struct Stage {
    pub bases: Vec<Base>,
    pub conns: BTreeMap<u32, Conn>,
    pub throughs: Vec<Through>,
    pub services: Vec<Service>,
    pub learned: Arc<Learned>,
    pub notes: Notes,
    pub timer: Timer,
    pub events: UnboundedReceiver<Event>,
    pub said: UnboundedReceiver<Said>,
    pub say: UnboundedSender<Said>,
    /// What closed sessions let go of; part of the step in which it is noticed.
    pub loose: Footprint,
    /// Cookies and saved values at the start of every run, by name.
    pub browsers: Browsers,
    /// Tables that are known to be written; while nothing is known, every read is a step.
    pub known: Option<Arc<Touched>>,
    /// What is done otherwise than the code does it.
    pub cure: Arc<Cure>,
    /// Server processes that wait and are stopped meanwhile.
    pub frozen: Frozen,
    /// Where the run under way can be seen.
    pub window: Arc<Window>,
    /// Whether a service was started again in the middle of a run: its caches are not what they are in other runs.
    pub cold: bool,
    /// Sessions of the SQL actors.
    pub clients: BTreeMap<Actor, Arc<Client>>,
}

impl Stage {
    /// An empty stage.
    pub fn new(
        learned: Arc<Learned>,
        timer: Timer,
        events: UnboundedReceiver<Event>,
        say: UnboundedSender<Said>,
        said: UnboundedReceiver<Said>,
    ) -> Self {
        Self {
            bases: Vec::new(),
            conns: BTreeMap::new(),
            throughs: Vec::new(),
            services: Vec::new(),
            learned,
            notes: Notes::default(),
            timer,
            events,
            said,
            say,
            loose: Footprint::nothing(),
            browsers: BTreeMap::new(),
            clients: BTreeMap::new(),
            window: Arc::default(),
            known: None,
            cure: Arc::default(),
            frozen: Frozen::default(),
            cold: false,
        }
    }

    /// What is committed of the tables that are known to be written.
    pub async fn rows_now(&self) -> BTreeMap<String, Table> {
        let everything = Touched::of(BTreeSet::new(), true);
        let known = self.known.as_deref().unwrap_or(&everything);
        let mut seen = BTreeMap::new();
        for (index, base) in self.bases.iter().enumerate() {
            seen.extend(base.rows_now(index, known).await);
        }
        seen
    }

    /// A tag for the gate of whoever this is.
    pub fn tag(&mut self, through: Through) -> u32 {
        self.throughs.push(through);
        (self.throughs.len() - 1) as u32
    }

    /// Forgets all sessions: their gates are closed.
    pub fn forget_sessions(&mut self) {
        self.frozen.thaw_all();
        while self.heard().is_some() {}
        self.conns.clear();
        self.throughs.clear();
        self.loose = Footprint::nothing();
    }

    /// Does something outside the runs, while whatever is sent to the databases passes.
    pub async fn aside<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Trouble> {
        let mut work = pin!(work);
        let done = loop {
            tokio::select! {
                biased;
                event = self.events.recv() => {
                    if let Some(event) = event {
                        self.let_pass(event, false)?;
                    }
                }
                done = &mut work => break done,
            }
        };
        while let Ok(event) = self.events.try_recv() {
            self.let_pass(event, false)?;
        }
        Ok(done)
    }

    /// Listens for statements that come by themselves.
    pub async fn listen(&mut self, time: Duration) -> Result<(), Trouble> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            if let Some(Signal::Gate(event)) = self.next(left).await? {
                self.let_pass(event, true)?;
            }
        }
        Ok(())
    }

    /// Waits until no process of the lab moves; a service that never rests is taken as it is.
    pub async fn rest(&mut self, gates: &[Gate]) -> Result<(), Trouble> {
        let end = Instant::now() + LONGEST_REST;
        let mut last = None;
        while Instant::now() < end && !self.services.is_empty() {
            if let Some(Signal::Gate(event)) = self.next(REST_GAP).await? {
                self.let_pass(event, false)?;
                last = None;
                continue;
            }
            let look = self.look(&[]);
            let busy = gates.iter().any(Gate::busy);
            if !busy && look.iter().all(|look| look.asleep) && last.as_ref() == Some(&look) {
                break;
            }
            last = Some(look);
        }
        Ok(())
    }

    /// Whether the batch is a read that matters to nobody.
    pub fn is_incidental(&self, session: u32, work: &Work) -> bool {
        let (Some(known), Some(conn)) = (&self.known, self.conns.get(&session)) else {
            return false;
        };
        let base = &self.bases[conn.database];
        // A lock goes ahead of it.
        let locks = matches!(&self.cure.advisory, Some(Advisory::Rows(tables)) if base.reads_any(work, tables));
        !locks
            && conn.status != TxStatus::Failed
            && base.is_incidental(conn.database, session, work, known)
    }

    /// Books an event while no run is on.
    pub fn let_pass(&mut self, event: Event, listening: bool) -> Result<(), Trouble> {
        match event {
            Event::Arrived { session, batch } => {
                let work = self.understand(session, batch)?;
                if listening {
                    self.note_background(session, &work);
                }
                let conn = self.conn(session)?;
                conn.release(&work, Release::default());
                conn.phase = Phase::Passing { work };
            }
            Event::Closed { session, reason } => self.closed(session, &reason),
            event => self.booked(event)?,
        }
        Ok(())
    }

    /// The next thing heard, or `None` after `wait`.
    pub async fn next(&mut self, wait: Duration) -> Result<Option<Signal>, Trouble> {
        tokio::select! {
            biased;
            event = self.events.recv() => Ok(event.map(Signal::Gate)),
            said = self.said.recv() => Ok(said.map(Signal::Said)),
            waited = self.timer.wait(wait) => {
                waited.map_err(Trouble::system("waiting"))?;
                Ok(None)
            }
        }
    }

    /// Something that was said already.
    pub fn heard(&mut self) -> Option<Signal> {
        if let Ok(event) = self.events.try_recv() {
            return Some(Signal::Gate(event));
        }
        self.said.try_recv().ok().map(Signal::Said)
    }

    pub fn conn(&mut self, session: u32) -> Result<&mut Conn, Trouble> {
        self.conns
            .get_mut(&session)
            .ok_or_else(|| Trouble::bug("a session was used that is closed"))
    }

    /// Who can come through the gate of that tag.
    pub fn through(&self, tag: u32) -> Through {
        self.throughs
            .get(tag as usize)
            .copied()
            .unwrap_or(Through::Service)
    }

    /// Isolation level that a statement on the session runs at.
    pub fn isolation(&self, session: u32) -> String {
        self.conns.get(&session).map_or_else(String::new, |conn| {
            self.bases[conn.database].isolation(session)
        })
    }

    /// How the batch that is about to run on `session` is sent; `begins`: a transaction begins ahead of it.
    pub fn how(&mut self, session: u32, begins: bool) -> Result<Release, Trouble> {
        let conn = self.conn(session)?;
        let status = if begins { TxStatus::Open } else { conn.status };
        let database = conn.database;
        let Some(conn) = self.conns.get(&session) else {
            return Err(Trouble::bug("a batch was sent on a session that is closed"));
        };
        let base = &mut self.bases[database];
        match &conn.phase {
            Phase::Executing(work) => {
                base.ask_always |= !work.is_explained();
                let sequences = base.sequences() > 0;
                Ok(work.release(status, base.probe.clone(), base.ask_always, sequences))
            }
            _ => Err(Trouble::bug("a batch was sent that is not about to run")),
        }
    }

    /// Parses what arrived.
    pub fn understand(&mut self, session: u32, batch: Batch) -> Result<Work, Trouble> {
        let database = self.conn(session)?.database;
        let analyst = &mut self.bases[database].analyst;
        let parsed: Vec<_> = batch
            .statements
            .iter()
            .map(|statement| {
                let params = statement
                    .params
                    .iter()
                    .map(deadheat_gate::Param::text)
                    .collect();
                (analyst.parse(&statement.sql), params)
            })
            .collect();
        let fingerprints: Vec<u64> = parsed
            .iter()
            .filter(|(parsed, _)| parsed.shared())
            .map(|(parsed, _)| parsed.fingerprint)
            .collect();
        let shapes: Vec<u64> = parsed.iter().map(|(one, _)| one.fingerprint).collect();
        let texts: Vec<_> = batch.statements.iter().map(|one| &one.sql).collect();
        let params: Vec<&Vec<Option<String>>> = parsed.iter().map(|(_, params)| params).collect();
        let exact = hash_of(&(texts, params));
        Ok(Work {
            fingerprint: joined(&fingerprints),
            shape: joined(&shapes),
            exact,
            batch,
            parsed,
            step: 0,
        })
    }

    /// Books what a gate reports that needs no knowledge of the run.
    pub fn booked(&mut self, event: Event) -> Result<(), Trouble> {
        match event {
            Event::Opened {
                session,
                tag,
                pid,
                startup,
            } => self.opened(session, tag, pid, &startup),
            Event::Ran { session, reply } => self.ran(session, reply)?,
            Event::Reset { session } => {
                let conn = self.conn(session)?;
                conn.stained = false;
                conn.is_now(TxStatus::Idle);
                conn.phase = Phase::Idle;
                conn.owner = None;
            }
            Event::Arrived { .. } | Event::Withdrawn { .. } | Event::Closed { .. } => {}
        }
        Ok(())
    }

    fn opened(&mut self, handle: Session, tag: u32, pid: i32, startup: &BTreeMap<String, String>) {
        let name = startup
            .get("database")
            .or_else(|| startup.get("user"))
            .map_or("", String::as_str);
        let database = self.bases.iter().position(|base| base.name() == name);
        if database.is_none() {
            self.notes.foreign_database(name);
        }
        if database.is_some_and(|at| self.bases[at].ours) {
            keep_here(pid);
        }
        let id = handle.id();
        self.conns.insert(
            id,
            Conn {
                handle,
                tag,
                pid,
                database: database.unwrap_or(0),
                foreign: database.is_none(),
                owner: None,
                acted: Acted::Nobody,
                phase: Phase::Idle,
                status: TxStatus::Idle,
                passed: Vec::new(),
                stained: false,
                locked: BTreeSet::new(),
                enclosed: Enclosed::No,
                number: 0,
            },
        );
    }

    fn ran(&mut self, session: u32, reply: Ran) -> Result<(), Trouble> {
        if reply.streamed {
            self.notes.streamed();
        }
        let Some(conn) = self.conns.get_mut(&session) else {
            return Ok(());
        };
        match std::mem::replace(&mut conn.phase, Phase::Idle) {
            Phase::Executing(work) => conn.phase = Phase::Answered(work, Box::new(reply)),
            Phase::Committing(work) => conn.phase = Phase::Committed(work, Box::new(reply)),
            Phase::Passing { work } => {
                let owned = conn.owner.is_some();
                let before = conn.status;
                conn.is_now(reply.status);
                if reply.status == TxStatus::Idle {
                    conn.owner = None;
                }
                conn.handle.deliver();
                let database = conn.database;
                // It is no step of its own, but it may have taken a snapshot: that is part of the step it came in.
                let touched = self.bases[database].work(session, &work, before, &reply, false);
                if owned {
                    self.loose.merge(&touched);
                }
            }
            other => {
                conn.phase = other;
                return Err(Trouble::bug("a session answered that was not asked"));
            }
        }
        Ok(())
    }

    /// A session is gone, and with it its transaction.
    pub fn closed(&mut self, session: u32, reason: &str) {
        tracing::debug!(session, reason, "session closed");
        if let Some(conn) = self.conns.remove(&session) {
            self.frozen.thaw(conn.pid);
            let freed = self.bases[conn.database].ledger.close(session);
            self.loose.merge(&freed);
        }
    }

    /// One look at every process that works for an actor.
    pub fn look(&self, seats: &[Seat]) -> Vec<Look> {
        let services = self.services.iter().map(Service::look);
        services.chain(Cast::looks(seats)).collect()
    }

    /// Evaluates an invariant of the scenario, as of the step `at`. The text says what is wrong with the query itself, if it
    /// can say neither true nor false.
    pub async fn check(&self, invariant: &Plan, at: usize) -> (Invariant, Option<String>) {
        let label = &invariant.database;
        let base = self
            .bases
            .iter()
            .find(|base| base.label == *label)
            .or(self.bases.first());
        let said = match base {
            Some(base) => base.ask(&invariant.sql).await,
            None => Ok(None),
        };
        let wrong = match &said {
            Err(refused) if refused.misspelt => Some(refused.words.clone()),
            Ok(Some(cell)) if cell != "t" && cell != "f" => {
                Some(format!("it says {cell}, which is neither true nor false"))
            }
            _ => None,
        };
        let invariant = Invariant {
            name: invariant.name.clone(),
            holds: matches!(&said, Ok(Some(cell)) if cell == "t"),
            at,
            said: match said {
                Ok(Some(cell)) if cell == "f" => "false".to_owned(),
                Ok(Some(cell)) => cell,
                Ok(None) => "NULL, or no row".to_owned(),
                Err(refused) => refused.words,
            },
        };
        (invariant, wrong)
    }

    /// Remembers a statement that came by itself.
    pub fn note_background(&mut self, session: u32, work: &Work) {
        if self.conns.get(&session).is_none_or(|conn| conn.foreign) {
            return;
        }
        self.learned.came_by_itself(work.shape);
        for statement in &work.batch.statements {
            self.notes.came_by_itself(&statement.sql);
        }
    }
}
