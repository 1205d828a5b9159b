//! The handle of a session: what a lab can ask of it.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

#[cfg(doc)]
use crate::event::Event;
use crate::event::Release;

/// A session at the gate: a cheap handle. Calls on a session that is over do nothing.
///
/// Take all events from the channel before calling: a call is about the session's present batch, which is the one the
/// last event named.
#[derive(Clone, Debug)]
pub struct Session {
    id: u32,
    commands: mpsc::UnboundedSender<Command>,
}

/// What can be asked of a session.
#[derive(Debug)]
pub(crate) enum Command {
    Release(Release),
    CommitGap,
    Precede(Arc<str>),
    Enclose(&'static [&'static str]),
    Complete,
    Deliver,
    StandIn,
    Refuse {
        code: String,
        message: String,
    },
    Reset,
    Close,
    /// A client's cancel request; the answer tells what to do with it.
    Cancel(oneshot::Sender<CancelTo>),
    /// A cancel request has been handed to the server and the server has acted on it.
    Cancelled,
    /// The watcher has taken note of a batch.
    Heard,
}

/// What becomes of a cancel request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CancelTo {
    /// Something is running there; [`Command::Cancelled`] is owed.
    Server,
    /// It is settled: the statement was held and has ended, or it is already over.
    Nobody,
}

impl Session {
    pub(crate) fn new(id: u32) -> (Session, mpsc::UnboundedReceiver<Command>) {
        let (commands, receiver) = mpsc::unbounded_channel();
        (Session { id, commands }, receiver)
    }

    /// Number of the session, unique in the process.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Lets the held batch go to the server.
    ///
    /// Time passes for the server while a batch is held: `idle_in_transaction_session_timeout` runs in an open transaction
    /// (an open gap is one too), and a client's own timeout may come as a cancel ([`Event::Withdrawn`]).
    pub fn release(&self, how: Release) {
        self.send(Command::Release(how));
    }

    /// After [`crate::Gap::Open`]: COMMIT.
    pub fn commit_gap(&self) {
        self.send(Command::CommitGap);
    }

    /// Has one statement run before the batch that is released next, on the same connection and inside its gap if there
    /// is one. Its answer stays hidden; if it fails, the batch fails with its error. Not for a batch ended by Flush, nor
    /// for COPY FROM STDIN, which run as if this had not been called.
    pub fn precede(&self, sql: Arc<str>) {
        self.send(Command::Precede(sql));
    }

    /// Has a transaction begin ahead of the batch that is released next, which the client does not see: it stays open
    /// behind the batch, and whatever the client sends is part of it, until its COMMIT arrives ([`crate::Batch::implied`])
    /// and is released. That is when the client takes its leave, or after [`Session::complete`]. After one of these
    /// SQLSTATEs it is rolled back at once.
    pub fn enclose(&self, given_up_after: &'static [&'static str]) {
        self.send(Command::Enclose(given_up_after));
    }

    /// The COMMIT of the transaction that [`Session::enclose`] has begun is due, as soon as the session is at rest.
    pub fn complete(&self) {
        self.send(Command::Complete);
    }

    /// Lets the client see the held reply.
    pub fn deliver(&self) {
        self.send(Command::Deliver);
    }

    /// Answers the held batch with an error instead of sending it to the server. Inside a transaction the transaction
    /// fails, as it would have.
    pub fn refuse(&self, sqlstate: &str, message: &str) {
        self.send(Command::Refuse {
            code: sqlstate.to_owned(),
            message: message.to_owned(),
        });
    }

    /// Answers the held batch as the server answers `select` without anything: with one row that has no columns. For a
    /// point in a transaction that has failed, where the server would refuse it. A batch that also prepares something, and
    /// whatever is not in a failed transaction, is released as it is.
    pub fn stand_in(&self) {
        self.send(Command::StandIn);
    }

    /// ROLLBACK if in a transaction, then DISCARD ALL, as soon as the session is at rest; the replies are swallowed.
    /// [`Event::Reset`] tells when it is done.
    pub fn reset(&self) {
        self.send(Command::Reset);
    }

    /// After [`crate::Seen::Passed`]: it has been taken note of. A client whose batches nobody takes note of is not read
    /// from any more.
    pub fn heard(&self) {
        self.send(Command::Heard);
    }

    /// Ends the session both ways. A statement that runs at the server is not broken off by this.
    pub fn close(&self) {
        self.send(Command::Close);
    }

    pub(crate) fn send(&self, command: Command) {
        // Fails when the session is over: then there is nothing left to do.
        let _ = self.commands.send(command);
    }
}
