//! The PostgreSQL gate: a wire-protocol proxy where statements are held until a lab lets them go.
//!
//! The gate knows the protocol and nothing about what SQL means: for every batch the lab decides how it is run (bare, or
//! with a commit gap, with a probe behind it) and when its reply is delivered. Between the two, every byte is what a
//! direct connection would have carried.
//!
//! Start reading at `session`, whose first lines draw the way of a batch. It is pure: bytes and commands in, bytes and
//! events out; `session::drive` alone does I/O. `frame` cuts streams into messages, `frontend`, `backend` and `startup`
//! read and write the typed ones, `door` says who is let in, `tls` encrypts towards either side, `cancel` routes cancel
//! requests, [`Gate::watching`] is a gate that holds nothing and reads along, and [`plain()`] one that does not even read.

mod backend;
mod busy;
mod cancel;
mod door;
mod event;
mod frame;
mod frontend;
mod param;
mod plain;
mod points;
mod session;
mod startup;
mod stream;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use self::door::{Admit, Door, Newcomer};
pub use self::event::{
    Batch, Event, Gap, Param, Ran, Release, Seen, SqlError, Statement, TxStatus,
};
pub use self::plain::plain;
pub use self::points::Points;
pub use self::session::Session;
pub use self::session::rewrite::Reword;
pub use self::stream::Upstream;
pub use self::tls::{CertificateError, ToClients, ToServer};

use self::busy::Busy;
use self::event::Told;
use self::session::Machine;
use self::startup::First;
use self::stream::Stream;

/// Buffer of an in-process connection, each way.
const DUPLEX: usize = 256 * 1024;
/// Pause after a failed accept, so that it does not spin.
const BREATH: Duration = Duration::from_millis(20);

/// How long a client may take to say who it is (PostgreSQL's `authentication_timeout`).
const INTRODUCTION: Duration = Duration::from_mins(1);

/// A gate. Dropping it closes the listener and all sessions.
#[derive(Debug)]
pub struct Gate {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

/// Process id and secret.
type CancelKey = (i32, Vec<u8>);

/// What the sessions of a gate have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub told: Told,
    upstream: Mutex<Upstream>,
    pub door: Door,
    /// Sessions by process id and cancel key, and where their servers are.
    keys: Mutex<BTreeMap<CancelKey, (Session, Upstream)>>,
    /// Texts that refused to run inside a transaction block.
    bare: Mutex<BTreeSet<Arc<str>>>,
    /// Sessions of which the server is at work.
    pub busy: Arc<AtomicUsize>,
    /// Gives statements other words.
    rewords: OnceLock<Arc<dyn Reword>>,
    /// Listener and connections; emptied when the gate is dropped.
    tasks: Mutex<JoinSet<()>>,
}

impl Gate {
    /// Listens on 127.0.0.1, on a port picked by the system. `tag` comes back in [`Event::Opened`].
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub async fn open(
        upstream: Upstream,
        tag: u32,
        events: mpsc::UnboundedSender<Event>,
        door: Door,
    ) -> io::Result<Gate> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Gate::on(listener, upstream, tag, Told::Lab(events), door)
    }

    /// A gate that holds nothing: every byte passes at once, as it came, and what passes is told afterwards. The listener
    /// may be open to other machines: the caller has asked for it.
    ///
    /// # Errors
    ///
    /// When the listener has no address.
    pub fn watching(
        listener: TcpListener,
        upstream: Upstream,
        seen: mpsc::UnboundedSender<Seen>,
        door: Door,
    ) -> io::Result<Gate> {
        Gate::on(listener, upstream, 0, Told::Watcher(seen), door)
    }

    fn on(
        listener: TcpListener,
        upstream: Upstream,
        tag: u32,
        told: Told,
        door: Door,
    ) -> io::Result<Gate> {
        let addr = listener.local_addr()?;
        // Whoever connects from now on inherits it.
        SockRef::from(&listener).set_recv_buffer_size(UNREAD)?;
        let shared = Arc::new(Shared::new(upstream, told, door));
        shared.spawn(accept(listener, tag, Arc::clone(&shared)));
        Ok(Gate { addr, shared })
    }

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A client connection inside the process, with a tag of its own.
    pub fn connect(&self, tag: u32) -> DuplexStream {
        let (near, far) = tokio::io::duplex(DUPLEX);
        self.shared.spawn(connection(
            Box::new(far),
            true,
            tag,
            Arc::clone(&self.shared),
        ));
        near
    }

    /// Whether the server is at work for any of the clients on something that is never reported: one is being connected
    /// or is leaving, or a batch that executes nothing is under way. As long as it is, a client that sleeps may be about
    /// to wake up.
    pub fn busy(&self) -> bool {
        self.shared.busy.load(Ordering::Relaxed) > 0
    }

    /// From now on, statements are run in other words; once and for all of the gate's sessions.
    pub fn reword(&self, rewords: Arc<dyn Reword>) {
        // Said twice, the first stands.
        let _ = self.shared.rewords.set(rewords);
    }

    /// Where new sessions go from now on.
    pub fn set_upstream(&self, upstream: Upstream) {
        *lock(&self.shared.upstream) = upstream;
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let tasks = std::mem::take(&mut *lock(&self.shared.tasks));
        drop(tasks);
    }
}

impl Shared {
    pub(crate) fn new(upstream: Upstream, told: Told, door: Door) -> Self {
        Shared {
            told,
            upstream: Mutex::new(upstream),
            door,
            keys: Mutex::default(),
            bare: Mutex::default(),
            busy: Arc::default(),
            rewords: OnceLock::new(),
            tasks: Mutex::default(),
        }
    }

    fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    pub(crate) fn upstream(&self) -> Upstream {
        lock(&self.upstream).clone()
    }

    pub(crate) fn rewords(&self) -> Option<&Arc<dyn Reword>> {
        self.rewords.get()
    }

    pub(crate) fn bare(&self) -> MutexGuard<'_, BTreeSet<Arc<str>>> {
        lock(&self.bare)
    }

    pub(crate) fn remember(&self, pid: i32, key: Vec<u8>, session: Session, upstream: Upstream) {
        lock(&self.keys).insert((pid, key), (session, upstream));
    }

    pub(crate) fn forget(&self, id: u32) {
        lock(&self.keys).retain(|_, (session, _)| session.id() != id);
    }

    pub(crate) fn find(&self, pid: i32, key: &[u8]) -> Option<(Session, Upstream)> {
        lock(&self.keys).get(&(pid, key.to_vec())).cloned()
    }
}

/// What the system may keep of what a client sends and the gate has not read, in bytes (it doubles that). By itself it keeps
/// megabytes on the way: a client would send all of them behind a statement that the server refuses before it hears of that.
const UNREAD: usize = 64 * 1024;

/// Nothing that holds one of these locks can panic halfway through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, tag: u32, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => shared.spawn(tcp_connection(client, tag, Arc::clone(&shared))),
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

async fn tcp_connection(client: TcpStream, tag: u32, shared: Arc<Shared>) {
    if let Err(error) = client.set_nodelay(true) {
        tracing::debug!(%error, "a client left at once");
        return;
    }
    connection(Box::new(client), false, tag, shared).await;
}

/// A connection from its first byte to its last.
async fn connection(mut client: Box<dyn Stream>, inside: bool, tag: u32, shared: Arc<Shared>) {
    let mut input = BytesMut::new();
    let tls = shared.door.tls.as_ref();
    let first = startup::first(&mut client, &mut input, tls);
    let first = tokio::time::timeout(INTRODUCTION, first)
        .await
        .unwrap_or(Err(startup::Unfit::Late));
    match first {
        Ok(First::Session { packet, parameters }) => {
            let newcomer = Newcomer {
                startup: &parameters,
                inside,
            };
            if let Err(why) = shared.door.ask(&newcomer) {
                tracing::warn!(why, "a connection was refused");
                return turn_away(client, "28000", &why).await;
            }
            session(client, tag, shared, packet, parameters, input).await;
        }
        Ok(First::Cancel { pid, key, packet }) => cancel::cancel(shared, pid, key, packet).await,
        Err(startup::Unfit::Ended) => {}
        Err(error) => tracing::warn!(%error, "closing a connection that does not start a session"),
    }
}

async fn session(
    client: Box<dyn Stream>,
    tag: u32,
    shared: Arc<Shared>,
    packet: BytesMut,
    parameters: BTreeMap<String, String>,
    input: BytesMut,
) {
    let busy = Busy::new(Arc::clone(&shared.busy));
    let upstream = shared.upstream();
    match upstream.connect().await {
        Ok(server) => {
            let (session, commands) = Session::new(next_session());
            let mut machine = Machine::new(session, tag, parameters, shared, upstream);
            machine.to_server = packet;
            session::drive(machine, client, server, input, commands, busy).await;
        }
        Err(error) => {
            tracing::warn!(%error, ?upstream, "cannot reach the server");
            let why = format!("the gate cannot reach the server: {error}");
            turn_away(client, "08006", &why).await;
        }
    }
}

/// A number for a session that no other session of the process has.
fn next_session() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Tells a client why it has no session.
async fn turn_away(mut client: Box<dyn Stream>, code: &str, why: &str) {
    let mut out = BytesMut::new();
    backend::put_error(&mut out, "FATAL", code, why);
    let told = async {
        client.write_all(&out).await?;
        client.shutdown().await
    };
    if let Err(error) = told.await {
        tracing::debug!(%error, "the client has left already");
    }
}
