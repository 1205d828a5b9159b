//! What a transaction remembers: what its statements failed with, its savepoints, its deferred effects.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::effects::Effects;
use crate::retry::Cause;

/// Shared by a transaction's owner and its body.
#[derive(Debug, Default)]
pub struct Notes(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    /// What a statement failed with first; rolling back to a savepoint makes up for it.
    failure: Option<Cause>,
    /// How many savepoints are open.
    depth: usize,
    effects: Effects,
}

impl Notes {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn fails(&self, cause: Cause) {
        self.noted().failure.get_or_insert(cause);
    }

    pub fn take_failure(&self) -> Option<Cause> {
        self.noted().failure.take()
    }

    pub fn defer(&self, effect: impl Future<Output = ()> + Send + 'static) {
        self.noted().effects.push(effect);
    }

    pub fn take_effects(&self) -> Effects {
        std::mem::take(&mut self.noted().effects)
    }
}

/// Notes that something was abandoned, unless it is over.
pub struct Abandoned<'a>(Option<&'a Notes>);

impl<'a> Abandoned<'a> {
    pub fn watch(notes: &'a Notes) -> Self {
        Self(Some(notes))
    }

    pub fn over(&mut self) {
        self.0 = None;
    }
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if let Some(notes) = self.0 {
            notes.fails(Cause::Abandoned);
        }
    }
}

/// A savepoint: its name, and what was deferred before it.
#[derive(Debug)]
pub struct Savepoint {
    name: String,
    effects: usize,
}

impl Savepoint {
    pub fn new(notes: &Notes) -> Self {
        let mut noted = notes.noted();
        noted.depth += 1;
        Self {
            name: format!("cure_{}", noted.depth),
            effects: noted.effects.len(),
        }
    }

    /// What opens it.
    pub fn begin(&self) -> String {
        format!("savepoint {}", self.name)
    }

    /// What ends it, so that what was done since stays or is undone.
    pub fn end(&self, stays: bool) -> String {
        let name = &self.name;
        if stays {
            format!("release {name}")
        } else {
            format!("rollback to {name}; release {name}")
        }
    }

    /// It was ended. What was undone is as if it had not been.
    pub fn ended(self, notes: &Notes, stays: bool) {
        let mut noted = notes.noted();
        noted.depth -= 1;
        if stays {
            return;
        }
        noted.effects.truncate(self.effects);
        if let Some(Cause::Integrity { .. } | Cause::Statement(_)) = noted.failure {
            noted.failure = None;
        }
    }
}
