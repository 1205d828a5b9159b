//! What a lab is doing, for whoever looks in from outside while it runs.

use std::sync::{Mutex, MutexGuard, PoisonError};

use deadheat_explore::Actor;

/// The schedule of the run that a lab makes now, as far as it is.
#[derive(Debug, Default)]
pub struct Window(Mutex<Vec<Actor>>);

impl Window {
    /// Who has moved in the run under way, or in the last one.
    pub fn schedule(&self) -> Vec<Actor> {
        self.chosen().clone()
    }

    pub(crate) fn begin(&self) {
        self.chosen().clear();
    }

    pub(crate) fn moves(&self, actor: Actor) {
        self.chosen().push(actor);
    }

    fn chosen(&self) -> MutexGuard<'_, Vec<Actor>> {
        // Nothing that holds it panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
