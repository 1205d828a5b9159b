//! Whose turn it is on the servers that labs share.
//!
//! Whether two serializable transactions overlap PostgreSQL tells by transaction ids, which are those of the whole server: a
//! transaction in another lab's database can make it refuse one here that it would not refuse alone. So a run with
//! serializable transactions has the servers to itself.

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Lets runs be made side by side, or one alone.
#[derive(Debug, Default)]
pub(crate) struct Turns(RwLock<()>);

/// Held as long as the turn lasts.
#[derive(Debug)]
pub(crate) enum Turn<'a> {
    Shared { _held: RwLockReadGuard<'a, ()> },
    Alone { _held: RwLockWriteGuard<'a, ()> },
}

impl Turns {
    /// Waits for a turn, shared with others or `alone`.
    pub async fn take(&self, alone: bool) -> Turn<'_> {
        if alone {
            Turn::Alone {
                _held: self.0.write().await,
            }
        } else {
            Turn::Shared {
                _held: self.0.read().await,
            }
        }
    }
}
