//! One session: a client, the server's side of it, and what the lab has to say about it.
//!
//! [`Machine`] is the protocol without any I/O: bytes and commands go in, bytes and events come out. [`drive`] connects
//! it to its two streams.
//!
//! ```text
//!   client frames ──client.rs──▶ units ──▶ queue ──▶ Waiting ──release──▶ Flying ──▶ Done ──deliver──▶ client
//!                                            │                  (gap.rs)  ▲    └▶ GapOpen ──commit_gap──▶ Flying
//!                                            └─ executes nothing ─────────┘
//!   server frames ──server.rs──▶ script (what is due) ──▶ reply (held)
//! ```

mod client;
#[cfg(test)]
mod corpus;
mod drive;
mod enclose;
mod follow;
#[cfg(test)]
mod fuzz;
mod gap;
mod handle;
#[cfg(test)]
mod passing;
pub(crate) mod reply;
pub(crate) mod rewrite;
mod sasl;
pub(crate) mod script;
mod server;
mod stand_in;
mod standing;
pub(crate) mod statements;
mod unit;
mod watched;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

pub(crate) use self::drive::drive;
use self::enclose::Enclosing;
pub use self::handle::Session;
pub(crate) use self::handle::{CancelTo, Command};
use self::reply::Reply;
use self::script::Script;
use self::standing::Standing;
use self::statements::Statements;
use self::unit::Unit;
use self::watched::Watched;
use crate::event::{Event, Gap, Seen, Told};
use crate::frame::{Decoder, Side};
use crate::{Shared, Upstream};

/// Output waiting above this keeps the gate from reading more of what produces it.
const BACKPRESSURE: usize = 1024 * 1024;
/// The same on the way to the server: a client must not get far ahead of it.
const AHEAD: usize = 64 * 1024;
/// Held messages of a client above this keep the gate from reading more of them.
const QUEUE: usize = 32 * 1024 * 1024;

/// Where a session is.
#[derive(Debug)]
pub(crate) enum State {
    /// The server has nothing to answer and the client has seen everything.
    Rest,
    /// A batch is held.
    Waiting(Unit),
    /// The server is at work.
    Flying(Box<Flight>),
    /// The work is done, its COMMIT is the lab's to give.
    GapOpen(Box<Flight>),
    /// The reply is held.
    Done(Box<Reply>),
}

/// Where a session is in its life.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Authentication: everything passes.
    Startup,
    Ready,
    /// The client is done; the server is closing.
    Leaving(String),
    Closed(String),
}

/// What a client has to send while a COPY FROM STDIN runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copy {
    None,
    Data {
        extended: bool,
    },
    /// The data has ended; the Sync of the extended protocol is to come.
    Sync,
}

/// What a flight is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Answers pass at once.
    Pass,
    /// Answers are held for the lab.
    Batch,
    /// [`Session::reset`].
    Reset,
}

/// Messages at the server, with what is known of the answer.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent facts about one batch"
)]
pub(crate) struct Flight {
    /// What the client sent; kept for a second attempt while the gap is open.
    unit: Unit,
    kind: Kind,
    script: Script,
    reply: Reply,
    /// Open while the transaction that the gate has begun for it is still to be ended.
    gap: Gap,
    /// It refuses to run inside a transaction block: run it bare after the ROLLBACK.
    again: bool,
    assigned: bool,
    /// The gap stays open even if no transaction id was assigned.
    keep: bool,
    /// What runs before it.
    ahead: Option<Arc<str>>,
    /// What ran before it has failed, and what it answers itself says no more.
    refused: bool,
    ask: Option<Arc<str>>,
    probe: Option<Vec<Vec<Option<String>>>>,
    copy: Copy,
}

/// A session's protocol, without I/O.
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent facts about one session"
)]
pub(crate) struct Machine {
    pub to_client: BytesMut,
    pub to_server: BytesMut,
    session: Session,
    tag: u32,
    pid: i32,
    /// Invariant: there until [`Event::Opened`] takes it along.
    startup: Option<BTreeMap<String, String>>,
    shared: Arc<Shared>,
    upstream: Upstream,
    /// Gone with the last thing it is told: that the session is over.
    told: Option<Told>,
    phase: Phase,
    state: State,
    from_client: Decoder,
    from_server: Decoder,
    names: Statements,
    /// Messages that no Sync, Flush or Query has completed yet.
    partial: Unit,
    /// Complete units that wait for the one before them.
    queue: VecDeque<Unit>,
    /// Invariant: total length of the bytes in `queue`.
    queued: usize,
    standing: Standing,
    /// Cancel requests on their way to the server. Invariant: nothing new is sent while there are any.
    cancels: u32,
    reset_wanted: bool,
    enclosing: Enclosing,
    /// The transaction around the client's batches is to be committed.
    complete_wanted: bool,
    /// What is to run before the batch that is released next.
    ahead: Option<Arc<str>>,
    /// Replication: everything passes.
    raw: bool,
    /// Nobody holds anything: what passes is only read along.
    watched: Option<Box<Watched>>,
    /// The server has offered to bind the channel, and the client was not told.
    unbound: bool,
    client_gone: bool,
    /// The client has said that it leaves.
    took_leave: bool,
    /// The message that ends the session, and what it says.
    last_words: Option<(Bytes, String)>,
}

impl Machine {
    pub fn new(
        session: Session,
        tag: u32,
        startup: BTreeMap<String, String>,
        shared: Arc<Shared>,
        upstream: Upstream,
    ) -> Self {
        let raw = startup
            .get("replication")
            .is_some_and(|value| !matches!(value.as_str(), "false" | "off" | "no" | "0"));
        let watched = matches!(shared.told, Told::Watcher(_));
        let decoder = if watched {
            Decoder::cutting
        } else {
            Decoder::new
        };
        Machine {
            to_client: BytesMut::new(),
            to_server: BytesMut::new(),
            session,
            tag,
            pid: 0,
            startup: Some(startup),
            watched: watched.then(Box::default),
            told: Some(shared.told.clone()),
            shared,
            upstream,
            phase: Phase::Startup,
            state: State::Rest,
            from_client: decoder(Side::Client),
            from_server: decoder(Side::Server),
            names: Statements::default(),
            partial: Unit::default(),
            queue: VecDeque::new(),
            queued: 0,
            standing: Standing::default(),
            cancels: 0,
            reset_wanted: false,
            enclosing: Enclosing::None,
            complete_wanted: false,
            ahead: None,
            raw,
            unbound: false,
            client_gone: false,
            took_leave: false,
            last_words: None,
        }
    }

    fn emit(&self, event: Event) {
        if let Some(Told::Lab(events)) = &self.told {
            // Nobody listens any more: the lab is gone, and the gate with it in a moment.
            let _ = events.send(event);
        }
    }

    pub fn command(&mut self, command: Command) {
        let Some(command) = self.while_watched(command) else {
            return;
        };
        match command {
            Command::Heard => {}
            Command::Release(how) => self.release(how),
            Command::CommitGap => self.commit_gap(),
            Command::Precede(sql) => self.precede(sql),
            Command::Enclose(given_up_after) => self.enclose(given_up_after),
            Command::Complete => {
                self.complete_wanted = true;
                self.next();
            }
            Command::Deliver => self.deliver(),
            Command::StandIn => self.stand_in(),
            Command::Refuse { code, message } => self.refuse(&code, &message),
            Command::Reset => {
                self.reset_wanted = true;
                self.next();
            }
            Command::Close => self.leave("closed by the lab"),
            Command::Cancel(answer) => {
                let to = self.cancel();
                // The asker may be gone; then nobody will hand anything to the server.
                if answer.send(to).is_err() && to == CancelTo::Server {
                    self.cancels -= 1;
                }
            }
            Command::Cancelled => {
                self.cancels = self.cancels.saturating_sub(1);
                self.next();
            }
        }
    }

    /// The client asked to cancel what it has running.
    fn cancel(&mut self) -> CancelTo {
        match self.state {
            State::Waiting(_) => {
                self.emit(Event::Withdrawn {
                    session: self.session.id(),
                });
                self.refuse("57014", "canceling statement due to user request");
                CancelTo::Nobody
            }
            State::Flying(_) => {
                self.cancels += 1;
                CancelTo::Server
            }
            // Over already, or nothing there: it must not hit what comes next.
            State::Rest | State::GapOpen(_) | State::Done(_) => CancelTo::Nobody,
        }
    }

    /// Whether more of the client's bytes are wanted.
    pub fn wants_client(&self) -> bool {
        matches!(self.phase, Phase::Startup | Phase::Ready)
            && !self.client_gone
            && self.to_server.len() < AHEAD
            && self.queued < QUEUE
            && self
                .watched
                .as_ref()
                .is_none_or(|watched| watched.keeps_up())
    }

    /// Whether more of the server's bytes are wanted.
    pub fn wants_server(&self) -> bool {
        let full = match &self.state {
            State::Done(reply) => reply.full(),
            State::GapOpen(flight) => flight.reply.full(),
            State::Rest | State::Waiting(_) | State::Flying(_) => false,
        };
        !matches!(self.phase, Phase::Closed(_)) && self.to_client.len() < BACKPRESSURE && !full
    }

    /// Whether the server is at work for the client, or is letting go of it, on something the lab does not know of.
    pub fn busy(&self) -> bool {
        matches!(&self.state, State::Flying(flight) if flight.kind != Kind::Batch)
            || matches!(self.phase, Phase::Startup | Phase::Leaving(_))
    }

    /// Whether the server is to be told that nothing more comes.
    pub fn leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving(_))
    }

    pub fn closed(&self) -> bool {
        matches!(self.phase, Phase::Closed(_))
    }

    /// Bytes that the client cannot read any more are dropped.
    pub fn client_vanished(&mut self) {
        self.client_gone = true;
        self.to_client.clear();
        self.client_ended();
    }

    pub fn client_is_gone(&self) -> bool {
        self.client_gone
    }

    /// Ends the client's side: what is held for it will not run.
    fn leave(&mut self, reason: &str) {
        if matches!(self.phase, Phase::Leaving(_) | Phase::Closed(_)) {
            return;
        }
        if let State::Waiting(_) = self.state {
            self.state = State::Rest;
            self.emit(Event::Withdrawn {
                session: self.session.id(),
            });
        }
        self.queue.clear();
        self.queued = 0;
        crate::frame::message(&mut self.to_server, b'X', |_| {});
        self.phase = Phase::Leaving(reason.to_owned());
    }
}

impl Machine {
    /// Says that the session is over, once.
    fn tell_closed(&mut self, reason: String) {
        if let State::Waiting(_) = self.state {
            self.state = State::Rest;
            self.emit(Event::Withdrawn {
                session: self.session.id(),
            });
        }
        if self.startup.is_none() {
            self.tell_watcher(|session| Seen::Closed {
                session,
                reason: reason.clone(),
            });
            self.emit(Event::Closed {
                session: self.session.id(),
                reason: reason.clone(),
            });
        }
        self.told = None;
        self.phase = Phase::Closed(reason);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.shared.forget(self.session.id());
        if !self.closed() {
            self.tell_closed("the gate was closed".to_owned());
        }
    }
}
