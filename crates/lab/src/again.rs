//! Sending a request again that failed because of others: what a wrapper around the code would do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a driver is to send its request once more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Again {
    left: u32,
    /// The database has refused a statement of the actor, with an error after which trying again helps.
    refused: Arc<AtomicBool>,
}

impl Again {
    /// So often at most.
    pub fn times(left: u32) -> Self {
        Self {
            left,
            refused: Arc::default(),
        }
    }

    /// The database has refused a statement.
    pub fn refused(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// Whether what just failed is worth another attempt; then one attempt less is left.
    pub fn is_due(&mut self, failed: bool) -> bool {
        let refused = self.refused.swap(false, Ordering::Relaxed);
        let due = failed && refused && self.left > 0;
        self.left -= u32::from(due);
        due
    }
}
