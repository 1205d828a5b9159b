//! What the server is going to answer, in order: one entry for every message that it was sent.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::frame::Malformed;
use crate::session::statements::{Portal, Prepared, Undo};

/// Whose message it was, and what for. All but `Client` are the gate's own: their answers stay hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Client,
    Begin,
    /// What the lab has put before a batch.
    Ahead,
    Assigned,
    Probe,
    Commit,
    Rollback,
    /// Close of statements that a first attempt has prepared.
    Tidy,
    Refuse,
    Reset,
}

/// One message that is to be answered.
#[derive(Clone, Debug)]
pub(crate) enum Await {
    Parse(Option<Undo>),
    Bind,
    DescribeStatement(Arc<Prepared>),
    DescribePortal(Arc<Portal>),
    /// `None`: the gate's own.
    Execute(Option<Arc<Portal>>),
    Close(Option<Undo>),
    /// Answered by nothing, like `CopyEnd`; kept for their place.
    Flush,
    CopyEnd,
    Sync,
    Query,
    Function,
}

/// The answers due, first one first.
#[derive(Debug, Default)]
pub(crate) struct Script {
    due: VecDeque<(Part, Await)>,
}

impl Script {
    pub fn push(&mut self, part: Part, due: Await) {
        self.due.push_back((part, due));
    }

    /// Answers to [`crate::frontend::own_statement`].
    pub fn push_own(&mut self, part: Part) {
        for due in [
            Await::Close(None),
            Await::Parse(None),
            Await::Bind,
            Await::Execute(None),
            Await::Close(None),
            Await::Close(None),
        ] {
            self.push(part, due);
        }
    }

    /// What is due next.
    pub fn front(&mut self) -> Option<&(Part, Await)> {
        while let Some((_, Await::Flush | Await::CopyEnd)) = self.due.front() {
            self.due.pop_front();
        }
        self.due.front()
    }

    pub fn part(&mut self) -> Option<Part> {
        self.front().map(|(part, _)| *part)
    }

    /// Takes note of a message of the server (other than the asynchronous ones and errors).
    pub fn answered(&mut self, tag: u8) -> Result<(), Malformed> {
        let done = match (tag, self.front().map(|(_, due)| due)) {
            (b'D' | b'd' | b'c' | b'G' | b'H' | b'W', Some(Await::Execute(_) | Await::Query))
            | (b'T' | b'C' | b'I', Some(Await::Query))
            | (b'V', Some(Await::Function))
            | (b't', Some(Await::DescribeStatement(_))) => false,
            (b'1', Some(Await::Parse(_)))
            | (b'2', Some(Await::Bind))
            | (b'3', Some(Await::Close(_)))
            | (b'T' | b'n', Some(Await::DescribeStatement(_) | Await::DescribePortal(_)))
            | (b'C' | b'I' | b's', Some(Await::Execute(_)))
            | (b'Z', Some(Await::Sync | Await::Query | Await::Function)) => true,
            _ => return Err(Malformed::order(tag, "something else")),
        };
        if done {
            self.due.pop_front();
        }
        Ok(())
    }

    /// Takes note of an error. In the extended protocol the server now skips what it was sent up to Sync: what it
    /// skips is returned, last one first. A simple Query or FunctionCall is still owed its ReadyForQuery.
    pub fn failed(&mut self) -> Vec<Await> {
        if let Some((_, Await::Query | Await::Function | Await::Sync)) = self.front() {
            return Vec::new();
        }
        let end = self
            .due
            .iter()
            .position(|(_, due)| matches!(due, Await::Sync));
        self.due
            .drain(..end.unwrap_or(self.due.len()))
            .rev()
            .map(|(_, due)| due)
            .collect()
    }

    /// COPY FROM STDIN has begun: the server ignores Sync and Flush up to the end of the data.
    pub fn copy_begins(&mut self) -> CopyBegins {
        let extended = matches!(self.front(), Some((_, Await::Execute(_))));
        while let Some((_, Await::Sync | Await::Flush)) = self.due.get(1) {
            self.due.remove(1);
        }
        match self.due.get(1) {
            None if extended => CopyBegins::Extended,
            None => CopyBegins::Simple,
            Some(_) => CopyBegins::SentAlready,
        }
    }

    pub fn is_empty(&mut self) -> bool {
        self.front().is_none()
    }
}

/// What is to come from the client when a COPY FROM STDIN begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyBegins {
    /// Data and its end.
    Simple,
    /// Data, its end, and a Sync.
    Extended,
    /// Nothing: data (or a message that breaks the copy off) went along with the batch.
    SentAlready,
}
