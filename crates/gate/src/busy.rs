//! Counts the sessions of which the server is at work, for [`crate::Gate::busy`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One session's part in the count.
#[derive(Debug)]
pub(crate) struct Busy {
    count: Arc<AtomicUsize>,
    /// Whether this session is counted.
    on: bool,
}

impl Busy {
    /// A session that is being connected: counted.
    pub fn new(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self { count, on: true }
    }

    /// Counts the session, or no longer.
    pub fn set(&mut self, on: bool) {
        if on && !self.on {
            self.count.fetch_add(1, Ordering::Relaxed);
        } else if !on && self.on {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        self.on = on;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.set(false);
    }
}
