//! The thread that has the server, its database and the gate.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use deadheat_gate::{Batch, Door, Event, Gate, Param, Release, Session, TxStatus, Upstream};
use deadheat_sandbox::{Database, Error, Frozen, PrivateOptions, Server, Template, Written};
use deadheat_sql::Analyst;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use super::link::{Links, accept};
use super::rows::{self, Table};
use super::words::{in_words, said};
use super::{Ask, Flow, Told};
use crate::quiet;

/// Longest that the server is waited for.
pub(super) const LIMIT: Duration = Duration::from_secs(30);
/// Between two looks at what is on its way.
const PAUSE: Duration = Duration::from_micros(20);
/// After this time it is looked whether what is only prepared waits for a lock.
const PREPARED: Duration = Duration::from_millis(5);
/// Number in the name of our socket, which lies in the server's folder.
const PORT: u16 = 1;

/// A database that is set up, and all that goes on at it.
pub(super) struct Hall {
    schema: String,
    pub conns: BTreeMap<u32, Conn>,
    pub frozen: Frozen,
    pub links: Links,
    /// Bytes of clients that were told of.
    heard: u64,
    /// What sessions did that the driver has not heard of yet.
    told: Vec<Told>,
    /// A client has connected that the driver has not heard of yet.
    joined: bool,
    /// What arrived while a step was at the server.
    late: VecDeque<Event>,
    events: UnboundedReceiver<Event>,
    gate: Gate,
    analyst: Analyst,
    /// What every run begins with is copied from it when rows alone cannot be put back.
    template: Template,
    database: Database,
    /// Something else than queries and changes has run.
    utility: bool,
    /// Whether a transaction may have been serializable: what the server refuses these for depends on where rows lie.
    serializable: bool,
    tables: Vec<Table>,
    clients: UnboundedReceiver<UnixStream>,
    _door: JoinSet<()>,
    folder: PathBuf,
    _server: Server,
}

/// A session.
pub(super) struct Conn {
    pub handle: Session,
    pub pid: i32,
    pub status: TxStatus,
    pub phase: Phase,
}

/// What is going on in it.
pub(super) enum Phase {
    Idle,
    /// A statement is held. With `true` it is the commit of one that has run.
    Held(Release, bool),
    /// What is no step is with the server.
    Passing,
    /// A step is with the server.
    Running,
    /// A step waits there.
    Waiting(Instant),
    /// The server has answered a step.
    Answered(super::Said),
}

/// The life of the thread.
pub(super) fn serve(mut asked: UnboundedReceiver<Ask>) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .on_thread_park(quiet::parking)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            // Whoever asks next hears that nobody is here.
            return tracing::error!(%error, "the thread of the database has no runtime");
        }
    };
    runtime.block_on(async {
        let mut hall = None;
        while let Some(ask) = asked.recv().await {
            answer(&mut hall, ask).await;
        }
    });
}

async fn answer(hall: &mut Option<Hall>, ask: Ask) {
    let none = || "the test has no database yet".to_owned();
    // Whoever does not wait for the answer any longer needs none.
    match (ask, hall.as_mut()) {
        (Ask::Begin(schema, to), None) => {
            let begun = match Hall::raise(&schema).await {
                Ok(raised) => Ok(hall.insert(raised).url()),
                Err(error) => Err(error),
            };
            let _ = to.send(begun);
        }
        (Ask::Begin(schema, to), Some(hall)) => {
            let _ = to.send(hall.begin(&schema).await);
        }
        (Ask::Flow(held, to), Some(hall)) => {
            let _ = to.send(hall.flow(held).await);
        }
        (Ask::Run(session, to), Some(hall)) => {
            let _ = to.send(hall.run(session).await);
        }
        (Ask::Deliver(session), Some(hall)) => hall.deliver(session),
        (Ask::Close(sessions, to), Some(hall)) => {
            let _ = to.send(hall.close(&sessions).await);
        }
        (Ask::Freed(to), Some(hall)) => {
            let _ = to.send(hall.freed().await);
        }
        (Ask::Tables(to), Some(hall)) => {
            let _ = to.send(hall.tables().await);
        }
        (Ask::End(to), Some(hall)) => {
            let _ = to.send(hall.end().await);
        }
        (Ask::End(to) | Ask::Close(_, to), None) => {
            let _ = to.send(Ok(()));
        }
        (Ask::Flow(_, to), None) => {
            let _ = to.send(Ok(Flow::default()));
        }
        (Ask::Run(_, to), None) => {
            let _ = to.send(Err(none()));
        }
        (Ask::Freed(to), None) => {
            let _ = to.send(Err(none()));
        }
        (Ask::Tables(to), None) => {
            let _ = to.send(Err(none()));
        }
        (Ask::Deliver(_), None) => {}
    }
}

impl Hall {
    /// Starts a server and sets up a database.
    async fn raise(schema: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(schema).map_err(|error| {
            let place = "a path begins at the package, or at the root";
            format!("cannot read the schema {schema}: {error} ({place})")
        })?;
        let server = Server::private(&PrivateOptions::default())
            .await
            .map_err(in_words)?;
        let mut database = server.create().await.map_err(in_words)?;
        database.run_sql(schema, &text).await.map_err(in_words)?;
        let catalog = database.snapshot().await.map_err(in_words)?;
        let serializable = names_serializable(&catalog.isolation);
        let template = database.freeze().await.map_err(in_words)?;
        let database = template.fork().await.map_err(in_words)?;
        let tables = rows::list(database.control())
            .await
            .map_err(|error| said(&error))?;
        let address = server.address();
        let folder = address.socket.clone();
        let folder = folder.ok_or("the server has no socket")?;
        let upstream = folder.join(format!(".s.PGSQL.{}", address.port));
        let (sender, events) = unbounded_channel();
        let gate = Gate::open(Upstream::Unix(upstream), 0, sender, Door::default())
            .await
            .map_err(in_words)?;
        let socket = folder.join(format!(".s.PGSQL.{PORT}"));
        let listener = UnixListener::bind(socket).map_err(in_words)?;
        let (let_in, clients) = unbounded_channel();
        let mut door = JoinSet::new();
        door.spawn(accept(listener, let_in));
        Ok(Self {
            schema: schema.to_owned(),
            conns: BTreeMap::new(),
            frozen: Frozen::default(),
            links: Links::default(),
            heard: 0,
            told: Vec::new(),
            joined: false,
            late: VecDeque::new(),
            events,
            gate,
            analyst: Analyst::new(catalog),
            template,
            database,
            utility: false,
            serializable,
            tables,
            clients,
            _door: door,
            folder,
            _server: server,
        })
    }

    /// Puts the database to its start.
    async fn begin(&mut self, schema: &str) -> Result<String, String> {
        self.end().await?;
        if schema != self.schema {
            let first = &self.schema;
            return Err(format!(
                "a test has one database: it is {first} already, and cannot be {schema} too"
            ));
        }
        let reset = if self.utility {
            Err(Error::CopyInstead("the schema may have changed".to_owned()))
        } else if self.serializable {
            self.database.reset_exactly(&Written::Everything).await
        } else {
            self.database.reset(&Written::Everything).await
        };
        match reset {
            Ok(()) => {}
            Err(Error::CopyInstead(_)) => {
                let copy = self.template.fork().await.map_err(in_words)?;
                let used = std::mem::replace(&mut self.database, copy);
                used.drop().await.map_err(in_words)?;
                self.utility = false;
                self.tables = rows::list(self.database.control())
                    .await
                    .map_err(|error| said(&error))?;
            }
            Err(error) => return Err(in_words(error)),
        }
        Ok(self.url())
    }

    fn url(&self) -> String {
        let folder = self.folder.display().to_string();
        let folder = folder.replace('%', "%25").replace('/', "%2F");
        let name = self.database.name();
        format!("postgres://postgres@{folder}:{PORT}/{name}")
    }

    pub fn control(&self) -> &tokio_postgres::Client {
        self.database.control()
    }

    /// Waits until nothing is on its way but what waits for a lock, then lets clients hear what was said.
    async fn flow(&mut self, held: bool) -> Result<Flow, String> {
        self.rest(held).await?;
        let told = std::mem::take(&mut self.told);
        let heard = self.links.heard();
        let joined = std::mem::take(&mut self.joined);
        let moved = self.links.flow() || heard != self.heard || joined || !told.is_empty();
        self.heard = heard;
        Ok(Flow {
            moved,
            joined,
            told,
        })
    }

    /// Takes in events until there are none, and none is to be expected.
    async fn rest(&mut self, held: bool) -> Result<(), String> {
        let started = Instant::now();
        loop {
            self.breathe().await?;
            let mut moved = false;
            while let Some(event) = self.next() {
                self.handle(event, held);
                moved = true;
            }
            if moved {
                continue;
            }
            if !self.gate.busy() && !self.is_passing().await? {
                return Ok(());
            }
            // What is only prepared may wait for the lock of a table, and is nothing that the gate tells of.
            if started.elapsed() > PREPARED && self.is_preparing_for_a_lock().await? {
                return Ok(());
            }
            if started.elapsed() > LIMIT {
                return Err(format!(
                    "the database has not come to rest for {} seconds",
                    LIMIT.as_secs()
                ));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Whether something that is no step is under way at the server, and does not wait for a lock.
    async fn is_passing(&self) -> Result<bool, String> {
        let passing = self
            .conns
            .iter()
            .filter(|(_, conn)| matches!(conn.phase, Phase::Passing));
        let passing: Vec<u32> = passing.map(|(session, _)| *session).collect();
        if passing.is_empty() {
            return Ok(false);
        }
        let waits = self.blockers(&passing).await?;
        Ok(waits.len() < passing.len())
    }

    /// Whether a session that has sent nothing to be run waits for a lock, and no other is at work.
    async fn is_preparing_for_a_lock(&self) -> Result<bool, String> {
        let conns = self.conns.iter();
        let idle: Vec<u32> = conns
            .filter(|(_, conn)| matches!(conn.phase, Phase::Idle))
            .map(|(session, _)| *session)
            .collect();
        if self.conns.keys().any(|session| self.is_at_work(*session)) {
            return Ok(false);
        }
        Ok(!self.blockers(&idle).await?.is_empty() && !self.is_passing().await?)
    }

    /// Lets everything run that can, and lets new clients in.
    pub async fn breathe(&mut self) -> Result<(), String> {
        loop {
            // What the first wait has found to be ready has run when the second is over.
            quiet::quiet().await;
            quiet::quiet().await;
            let Ok(client) = self.clients.try_recv() else {
                return Ok(());
            };
            let inside = self.gate.connect(0);
            self.links.join(client, inside).map_err(in_words)?;
            self.joined = true;
        }
    }

    fn next(&mut self) -> Option<Event> {
        let late = self.late.pop_front();
        late.or_else(|| self.events.try_recv().ok())
    }

    /// Takes in what has been said already, while a step is at the server; who sends something meanwhile has to wait.
    pub fn hear(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            match event {
                Event::Arrived { .. } => self.late.push_back(event),
                _ => self.handle(event, true),
            }
        }
    }

    /// Books an event. Statements that arrive are `held` and told of, or pass.
    fn handle(&mut self, event: Event, held: bool) {
        match event {
            Event::Opened {
                session,
                pid,
                startup,
                ..
            } => {
                self.serializable |= startup.values().any(|value| names_serializable(value));
                let conn = Conn {
                    pid,
                    status: TxStatus::Idle,
                    phase: Phase::Idle,
                    handle: session,
                };
                self.conns.insert(conn.handle.id(), conn);
            }
            Event::Arrived { session, batch } => self.arrived(session, &batch, held),
            Event::Ran { session, reply } => self.ran(session, &reply),
            Event::Withdrawn { session } => {
                if let Some(conn) = self.conns.get_mut(&session) {
                    conn.phase = Phase::Idle;
                }
                self.told.push(Told::Withdrawn { session });
            }
            Event::Closed { session, .. } => {
                self.conns.remove(&session);
                self.told.push(Told::Withdrawn { session });
            }
            Event::Reset { .. } => {}
        }
    }

    fn arrived(&mut self, session: u32, batch: &Batch, held: bool) {
        let Some(conn) = self.conns.get_mut(&session) else {
            return;
        };
        self.serializable |= batch.statements.iter().any(|statement| {
            let mut params = statement.params.iter().filter_map(Param::text);
            names_serializable(&statement.sql) || params.any(|text| names_serializable(&text))
        });
        let parsed: Vec<_> = batch
            .statements
            .iter()
            .map(|statement| self.analyst.parse(&statement.sql))
            .collect();
        conn.status = batch.status;
        let copies = |sql: &str| sql.to_ascii_lowercase().contains("stdin");
        if parsed.iter().any(|one| one.copies() && copies(one.sql())) {
            let why = "deadheat: a Rust test cannot copy rows from the client; insert them";
            return conn.handle.refuse("0A000", why);
        }
        let ends = parsed.iter().any(|one| one.ends().is_some());
        let shared = parsed.iter().any(|one| one.shared());
        let control = |one: &deadheat_sql::Parsed| one.begins() || one.ends().is_some();
        self.utility |= parsed
            .iter()
            .any(|one| one.changes_schema() || one.shared() && !one.gap() && !control(one));
        let is_step = shared && !(ends && batch.status == TxStatus::Idle);
        if !held || !is_step {
            conn.phase = Phase::Passing;
            return conn.handle.release(Release::default());
        }
        let gap = batch.status == TxStatus::Idle
            && !batch.flush
            && parsed.iter().all(|one| one.gap())
            && !parsed.iter().all(|one| one.writes_no_row());
        let keep = gap && parsed.iter().any(|one| one.may_draw());
        conn.phase = Phase::Held(Release::unasked(gap, keep), false);
        let text = super::answer::text(batch);
        self.told.push(Told::Arrived { session, text });
    }

    /// What the tables hold now.
    async fn tables(&mut self) -> Result<Vec<Table>, String> {
        if self.utility {
            self.tables = rows::list(self.control())
                .await
                .map_err(|error| said(&error))?;
        }
        rows::read(self.control(), &self.tables)
            .await
            .map_err(|error| said(&error))
    }

    /// Ends these sessions, and waits until the server has undone what was open on them.
    async fn close(&mut self, sessions: &[u32]) -> Result<(), String> {
        let conns = sessions.iter().filter_map(|one| self.conns.get(one));
        let pids: Vec<i32> = conns
            .map(|conn| {
                conn.handle.close();
                conn.pid
            })
            .collect();
        let started = Instant::now();
        loop {
            self.rest(true).await?;
            let asked = "select from pg_stat_activity where pid = any($1)";
            let alive = self.control().query(asked, &[&pids]).await;
            if alive.map_err(|error| said(&error))?.is_empty() {
                return Ok(());
            }
            if started.elapsed() > LIMIT {
                return Err("a session of an actor that crashed does not end".to_owned());
            }
        }
    }

    /// Ends all sessions.
    async fn end(&mut self) -> Result<(), String> {
        self.frozen.thaw_all();
        self.links.close();
        let started = Instant::now();
        loop {
            self.rest(false).await?;
            if self.conns.is_empty() {
                return Ok(());
            }
            for conn in self.conns.values() {
                conn.handle.close();
            }
            if started.elapsed() > LIMIT {
                return Err("a session of the run does not end".to_owned());
            }
        }
    }
}

/// Whether a text can make a transaction serializable.
fn names_serializable(text: &str) -> bool {
    text.to_ascii_lowercase().contains("serializable")
}
