//! Sending a request again that failed because of others: what a wrapper around the code would do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Whether a request is to be sent once more; shared by its driver and the run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Again {
    left: Arc<AtomicU32>,
    /// The database has refused a statement of the actor, with an error after which trying again helps.
    refused: Arc<AtomicBool>,
}

impl Again {
    /// So often at most.
    pub fn times(left: u32) -> Self {
        Self {
            left: Arc::new(AtomicU32::new(left)),
            refused: Arc::default(),
        }
    }

    /// The database has refused a statement.
    pub fn refused(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// Whether what just failed is worth another attempt; then one attempt less is left.
    pub fn is_due(&self, failed: bool) -> bool {
        let refused = self.refused.swap(false, Ordering::Relaxed);
        let left = self.left.load(Ordering::Relaxed);
        let due = failed && refused && left > 0;
        self.left.store(left - u32::from(due), Ordering::Relaxed);
        due
    }
}
