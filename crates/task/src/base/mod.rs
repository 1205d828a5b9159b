//! The database of a test, seen from the test's own thread.
//!
//! ```text
//!   the test's thread                          the database's thread (`hall`)
//!     actors, pools ──── Unix socket ────►  `link` ────►  gate ────►  PostgreSQL of the test's own
//!     driver        ──── requests ───────►  `hall`  ───── who waits for whom? ──►
//!                   ◄─── answers ─────────
//! ```
//!
//! The gate has a thread and a runtime of its own, whose clock runs. The driver asks it and waits for the answer, so one
//! of the two threads moves at a time. What the gate has to say to clients is kept in the `link` until the driver lets it
//! flow: what comes between two steps does not depend on which thread was faster. `answer` tells a statement that is
//! answered from one that waits for a lock; `rows` reads what a run left.

mod answer;
mod hall;
mod link;
mod rows;
mod words;

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

pub(crate) use self::rows::{Mask, Table};

/// What is asked of the database's thread.
pub(super) enum Ask {
    /// Puts the database to its start, and makes it first if there is none.
    Begin(String, Sender<Result<String, String>>),
    /// Waits until the gate has nothing left to do, and lets flow what it has to say. With `true` statements are held.
    Flow(bool, Sender<Result<Flow, String>>),
    /// Runs what is held on a session.
    Run(u32, Sender<Result<Answer, String>>),
    /// Lets the client see the answer.
    Deliver(u32),
    /// Ends these sessions, and waits until the server has undone what was open on them.
    Close(Vec<u32>, Sender<Result<(), String>>),
    /// Which statements that waited are answered.
    Freed(Sender<Result<Vec<(u32, Said)>, String>>),
    /// What is in the tables.
    Tables(Sender<Result<Vec<Table>, String>>),
    /// Ends all sessions.
    End(Sender<Result<(), String>>),
}

/// What has happened at the gate.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// Whether anything has; if not, the gate is at rest until somebody moves.
    pub moved: bool,
    /// Whether a client has connected.
    pub joined: bool,
    pub told: Vec<Told>,
}

/// What a session did.
#[derive(Debug)]
pub(crate) enum Told {
    /// It sent a statement, which is held.
    Arrived { session: u32, text: String },
    /// What it sent will not run, or it is over.
    Withdrawn { session: u32 },
}

/// What became of what ran.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The server has answered; the client has not seen it.
    Answered(Said),
    /// It waits for locks of these sessions.
    Blocked(Vec<u32>),
    /// The session is over.
    Gone,
}

impl Answer {
    /// Of a commit that was a step of its own: the statement's tag was told before.
    pub fn of_commit(mut self) -> Self {
        if let Self::Answered(said) = &mut self
            && !said.failed
        {
            said.text.clear();
        }
        self
    }
}

/// What the server said.
#[derive(Debug)]
pub(crate) struct Said {
    pub text: String,
    /// It is an error.
    pub failed: bool,
    /// The statement has run, and its commit is a step of its own.
    pub commits: bool,
    /// The session's transaction is open.
    pub open: bool,
}

/// The database of a test. Dropping it ends its server.
pub(crate) struct Base {
    asks: Option<UnboundedSender<Ask>>,
    thread: Option<JoinHandle<()>>,
}

impl Base {
    /// Starts the thread; the server comes with the first [`Base::begin`].
    pub fn start() -> std::io::Result<Self> {
        let (asks, asked) = unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("deadheat-gate".to_owned())
            .spawn(move || hall::serve(asked))?;
        Ok(Self {
            asks: Some(asks),
            thread: Some(thread),
        })
    }

    /// The URL of the database that `schema`, a file, has set up, as it was at the start.
    pub fn begin(&self, schema: &str) -> Result<String, String> {
        self.ask(|answer| Ask::Begin(schema.to_owned(), answer))
    }

    pub fn flow(&self, held: bool) -> Result<Flow, String> {
        self.ask(|answer| Ask::Flow(held, answer))
    }

    pub fn run(&self, session: u32) -> Result<Answer, String> {
        self.ask(|answer| Ask::Run(session, answer))
    }

    pub fn deliver(&self, session: u32) {
        // Whoever is gone says so when it is asked.
        let _ = self
            .asks
            .as_ref()
            .map(|asks| asks.send(Ask::Deliver(session)));
    }

    pub fn close(&self, sessions: Vec<u32>) -> Result<(), String> {
        self.ask(|answer| Ask::Close(sessions, answer))
    }

    pub fn freed(&self) -> Result<Vec<(u32, Said)>, String> {
        self.ask(Ask::Freed)
    }

    pub fn tables(&self) -> Result<Vec<Table>, String> {
        self.ask(Ask::Tables)
    }

    pub fn end(&self) -> Result<(), String> {
        self.ask(Ask::End)
    }

    fn ask<T>(&self, make: impl FnOnce(Sender<Result<T, String>>) -> Ask) -> Result<T, String> {
        let gone = || "the thread of the database is gone".to_owned();
        let (answer, answered) = channel();
        let asks = self.asks.as_ref().ok_or_else(gone)?;
        asks.send(make(answer)).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        drop(self.asks.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was heard as an error of the request that it broke.
            let _ = thread.join();
        }
    }
}
