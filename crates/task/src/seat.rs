//! One actor in one run: its future, where it is, what it returned.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Waker;

use deadheat_point::Call;

use crate::bell::{Bell, House};
use crate::fault::{Fate, Of};

/// An actor's work; its output is the value it returned, as `Debug` shows it.
pub(crate) type Work = Pin<Box<dyn Future<Output = String>>>;

/// Who an actor is to the oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One of those that run at the same time: it finishes, and what it returns counts.
    Actor,
    /// Work in the background, chosen like an actor; it need not finish, and returns to whoever spawned it.
    Task,
    /// A fault. A second delivery must come to its end, but what it returns does not count.
    Fault,
}

/// Where an actor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It has not moved.
    Start,
    /// At a point.
    Point(Where),
    /// In an await.
    Await,
    /// At the gate of the database, or waiting behind it.
    Gate,
    /// At its end.
    End,
    /// It panicked.
    Panic,
    /// It crashed.
    Crashed,
    /// Its client has left it.
    Left,
    /// It is a fault that has struck, and has no more to do.
    Struck,
    /// It is a fault that did not happen.
    Idle,
    /// It has no part in this run.
    Absent,
}

/// A point that somebody came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Where {
    pub name: &'static str,
    pub values: String,
}

impl From<&Call> for Where {
    fn from(call: &Call) -> Self {
        Self {
            name: call.name,
            values: call.values.clone(),
        }
    }
}

/// What is held for an actor at the gate of the database.
#[derive(Clone, Debug)]
pub(crate) enum Held {
    /// A statement that has not run.
    Statement { session: u32, text: String },
    /// The commit of one that has.
    Commit { session: u32 },
    /// The answer of one that has waited for a lock.
    Reply { session: u32, text: String },
}

impl Held {
    pub fn session(&self) -> u32 {
        match self {
            Self::Statement { session, .. }
            | Self::Commit { session }
            | Self::Reply { session, .. } => *session,
        }
    }
}

/// One actor.
pub(crate) struct Seat {
    pub name: Cow<'static, str>,
    pub kind: Kind,
    /// Taken while it is polled, and gone at its end.
    pub work: Option<Work>,
    pub bell: Arc<Bell>,
    pub waker: Waker,
    pub place: Place,
    /// The last point it passed.
    pub last_point: Option<&'static str>,
    /// Number of the last step it made, counted from 1.
    pub last_step: Option<usize>,
    pub returned: Option<String>,
    /// What it is to go on with before its own code does.
    pub held: VecDeque<Held>,
    /// Sessions on which its statement waits for a lock.
    pub blocked: Vec<u32>,
    /// It is a thread that waits for the database: nobody but the driver wakes it.
    pub asks: bool,
    pub is_thread: bool,
    /// If it stands for a fault: which.
    pub of: Option<Of>,
    /// What a fault is about to do to it.
    pub fate: Fate,
}

impl Seat {
    pub fn new(name: Cow<'static, str>, kind: Kind, work: Work, house: &Arc<House>) -> Self {
        let bell = Bell::new(house);
        Self {
            name,
            kind,
            work: Some(work),
            waker: Waker::from(Arc::clone(&bell)),
            bell,
            place: Place::Start,
            last_point: None,
            last_step: None,
            returned: None,
            held: VecDeque::new(),
            blocked: Vec::new(),
            asks: false,
            is_thread: false,
            of: None,
            fate: Fate::Well,
        }
    }

    /// Whether its code is at its end.
    pub fn has_ended(&self) -> bool {
        let under_way = [Place::Start, Place::Await, Place::Gate];
        !(under_way.contains(&self.place) || matches!(self.place, Place::Point(_)))
    }

    /// Whether it is at its end, and what it has left to the database too.
    pub fn has_finished(&self) -> bool {
        self.has_ended() && self.held.is_empty() && self.blocked.is_empty()
    }

    /// Whether its code can go on.
    pub fn has_rung(&self) -> bool {
        !self.has_ended() && self.fate != Fate::Left && self.bell.has_rung()
    }

    pub fn can_move(&self) -> bool {
        !self.held.is_empty()
            || self.has_rung()
            || (self.fate != Fate::Well && self.blocked.is_empty())
    }
}
