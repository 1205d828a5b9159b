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
    /// COMMIT and ROLLBACK of the transaction around the client's batches.
    Complete,
    GiveUp,
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

/// The answers due, first one first, each with what it belongs to.
#[derive(Debug)]
pub(crate) struct Script<Of = Part> {
    due: VecDeque<(Of, Await)>,
}

impl<Of> Default for Script<Of> {
    fn default() -> Self {
        Script {
            due: VecDeque::new(),
        }
    }
}

impl Script {
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

    pub fn part(&mut self) -> Option<Part> {
        self.front().map(|(part, _)| *part)
    }

    /// COPY FROM STDIN has begun.
    pub fn copy_begins(&mut self) -> CopyBegins {
        let extended = matches!(self.front(), Some((_, Await::Execute(_))));
        match self.behind_copy() {
            None if extended => CopyBegins::Extended,
            None => CopyBegins::Simple,
            Some(_) => CopyBegins::SentAlready,
        }
    }
}

impl<Of> Script<Of> {
    pub fn push(&mut self, of: Of, due: Await) {
        self.due.push_back((of, due));
    }

    /// How many answers are due, counting what none comes for.
    pub fn count(&self) -> usize {
        self.due.len()
    }

    /// What is due next.
    pub fn front(&mut self) -> Option<&(Of, Await)> {
        while let Some((_, Await::Flush | Await::CopyEnd)) = self.due.front() {
            self.due.pop_front();
        }
        self.due.front()
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

    /// What was sent behind a COPY FROM STDIN that has begun, but for what the server ignores up to the end of the data:
    /// Sync and Flush.
    pub fn behind_copy(&mut self) -> Option<&Await> {
        while let Some((_, Await::Sync | Await::Flush)) = self.due.get(1) {
            self.due.remove(1);
        }
        self.due.get(1).map(|(_, due)| due)
    }

    /// Makes everything up to the next Sync belong to what is due now; returns what that Sync belonged to, if there is one.
    pub fn join_to_sync(&mut self) -> Option<Of>
    where
        Of: Copy,
    {
        let of = self.due.front()?.0;
        for (belongs, due) in self.due.iter_mut().skip(1) {
            let before = std::mem::replace(belongs, of);
            if matches!(due, Await::Sync) {
                return Some(before);
            }
        }
        None
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
