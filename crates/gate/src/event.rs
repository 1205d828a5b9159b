//! What gate and lab tell each other: plain data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

pub use crate::param::Param;
pub use crate::session::Session;

/// What happened at the gate. Events of one session come in order.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "moved once through a channel; a box would cost more"
)]
pub enum Event {
    /// A client is connected and authenticated: the server's first ReadyForQuery has passed.
    Opened {
        /// The handle.
        session: Session,
        /// Which gate (or which call of [`crate::Gate::connect`]) it came through.
        tag: u32,
        /// Process id of the backend; 0 when the server gave none.
        pid: i32,
        /// Parameters of the startup packet (`user`, `database`, `application_name`, …).
        startup: BTreeMap<String, String>,
    },
    /// The client sent a batch that executes something; it is held until [`Session::release`].
    Arrived {
        /// [`Session::id`].
        session: u32,
        /// What it is.
        batch: Batch,
    },
    /// The server has answered; the reply is held until [`Session::deliver`] (or, with the gap open, until
    /// [`Session::commit_gap`] has led to another `Ran`).
    Ran {
        /// [`Session::id`].
        session: u32,
        /// What the server said.
        reply: Ran,
    },
    /// The held batch will not come to the server any more: cancelled, terminated, or its client vanished.
    Withdrawn {
        /// [`Session::id`].
        session: u32,
    },
    /// [`Session::reset`] is done.
    Reset {
        /// [`Session::id`].
        session: u32,
    },
    /// The session is over. When the client left, the server has already ended its side (a transaction left open is
    /// rolled back by now). When it comes between a release
    /// and its `Ran`, there is no `Ran`. The last event of a session; none comes for one that never got as far as `Opened`.
    Closed {
        /// [`Session::id`].
        session: u32,
        /// Why.
        reason: String,
    },
}

/// What passed a gate that holds nothing ([`crate::Gate::watching`]). What is told of one session comes in order.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "moved once through a channel; a box would cost more"
)]
pub enum Seen {
    /// A client is connected and authenticated.
    Opened {
        /// The handle.
        session: Session,
        /// Parameters of the startup packet (`user`, `database`, `application_name`, …).
        startup: BTreeMap<String, String>,
    },
    /// A batch has been answered, and client and server have long gone on. [`Session::heard`] is due.
    ///
    /// A batch that executes nothing is told only if it failed: then it is the text that could not be prepared.
    Passed {
        /// [`Session::id`].
        session: u32,
        /// What the client sent.
        batch: Batch,
        /// What the server said.
        reply: Ran,
        /// When the batch was complete.
        at: Instant,
        /// From then to the end of the answer.
        took: Duration,
    },
    /// What passes is not understood from here on. It passes all the same.
    Lost {
        /// [`Session::id`].
        session: u32,
        /// What was not understood.
        why: String,
    },
    /// The session is over; the last that is told of it.
    Closed {
        /// [`Session::id`].
        session: u32,
        /// Why.
        reason: String,
    },
}

/// Whom a gate tells what happens.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// Who decides about every batch.
    Lab(mpsc::UnboundedSender<Event>),
    /// Who only looks.
    Watcher(mpsc::UnboundedSender<Seen>),
}

/// Transaction status as in ReadyForQuery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxStatus {
    /// Outside a transaction.
    Idle,
    /// In a transaction.
    Open,
    /// In a transaction that has failed.
    Failed,
}

/// What a client sent up to Sync, Flush or a simple Query.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What it executes, in order; never empty.
    pub statements: Vec<Statement>,
    /// The session's state before it. After batches ended by Flush the implicit transaction that Sync will commit
    /// counts as one.
    pub status: TxStatus,
    /// A simple Query (or FunctionCall).
    pub simple: bool,
    /// Ended by Flush, not Sync: no gap, no probe.
    pub flush: bool,
    /// A Sync alone that commits what batches ended by Flush did, or the end of [`Session::enclose`]; its one statement
    /// reads `COMMIT`.
    pub implied: bool,
}

/// One execution.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The text: the whole of a simple Query; what was prepared, for an Execute; `function call OID` for FunctionCall.
    pub sql: Arc<str>,
    /// Its parameters; none for a simple Query.
    pub params: Vec<Param>,
}

impl Statement {
    /// Without parameters.
    pub(crate) fn of(sql: Arc<str>) -> Self {
        Statement {
            sql,
            params: Vec::new(),
        }
    }
}

/// How a held batch is to be run.
#[derive(Clone, Debug, Default)]
pub struct Release {
    /// Run it with a commit gap. Ignored inside a transaction, for batches ended by Flush, for COPY FROM STDIN, and for
    /// texts that have refused to run inside a transaction block before.
    pub gap: bool,
    /// Keep the gap open though nothing was written, for what may draw from a sequence: whether the server gives such a
    /// transaction an id is chance (it logs a sequence every 32 values, and anew after a checkpoint).
    pub keep: bool,
    /// One statement to run right behind it on the same connection; its rows come back in [`Ran::probe`].
    pub probe: Option<Arc<str>>,
}

impl Release {
    /// With a gap or not, kept or not, and without a probe.
    pub fn unasked(gap: bool, keep: bool) -> Self {
        Self {
            gap,
            keep,
            probe: None,
        }
    }
}

/// The commit gap of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The batch was run as it was.
    None,
    /// It has written and is not committed: [`Session::commit_gap`] is due.
    Open,
    /// Committed, or rolled back after an error.
    Closed,
}

/// The server's answer to a batch.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Afterwards, as the client will see it.
    pub status: TxStatus,
    /// Command tags, in order.
    pub tags: Vec<String>,
    /// The error, if there was one.
    pub error: Option<SqlError>,
    /// Column names of the last result.
    pub columns: Vec<String>,
    /// The first 20 rows of the last result, cells cut at 200 characters; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// What became of the gap.
    pub gap: Gap,
    /// Rows of the probe; `None` if there was none or it could not run.
    pub probe: Option<Vec<Vec<Option<String>>>>,
    /// The reply was too large to hold (16 MB): its rows have been passed to the client already, the rest waits for
    /// [`Session::deliver`]. It has no gap.
    pub streamed: bool,
}

/// An error of the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SqlError {
    /// `ERROR`, `FATAL` or `PANIC`.
    pub severity: String,
    /// SQLSTATE.
    pub code: String,
    /// Primary message.
    pub message: String,
    /// Detail.
    pub detail: Option<String>,
    /// Hint.
    pub hint: Option<String>,
    /// Context (call stack of functions).
    pub context: Option<String>,
    /// Schema it is about.
    pub schema: Option<String>,
    /// Table it is about.
    pub table: Option<String>,
    /// Column it is about.
    pub column: Option<String>,
    /// Constraint it is about.
    pub constraint: Option<String>,
}

impl SqlError {
    /// Whether it ends the session.
    pub fn is_fatal(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }
}
