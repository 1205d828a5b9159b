//! Waiters that are kept from waking up together.
//!
//! When one COMMIT frees two statements that wait, both go on inside the server at the same time, and which one is
//! first is chance: two that wait for one row race for its new version. So the server process of a statement that waits
//! is stopped, and goes on only when its lock was granted, one process after the other. This needs a server of our own: its
//! processes may be signalled.
//!
//! A process may only stay stopped where it holds up nobody. Once in its wait it looks for a deadlock, with the whole lock
//! table locked; stopped in the middle of that it would hold up everybody, for ever. So it is stopped first, and *then*
//! the server is asked for whom it waits: an answer needs the whole lock table, and proves that the process does not hold it.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long an answer may take before the process that was stopped is let go for it. It takes far less unless that process
/// holds it up, or the machine is very busy.
const PATIENCE: Duration = Duration::from_millis(5);
/// Patience is doubled after each time that it was not enough, up to this.
const MOST_PATIENCE: Duration = Duration::from_secs(1);

/// The server processes that are stopped. Dropping it lets all go on.
#[derive(Debug)]
pub struct Frozen {
    pids: BTreeSet<i32>,
    patience: Duration,
}

impl Default for Frozen {
    fn default() -> Self {
        Self {
            pids: BTreeSet::new(),
            patience: PATIENCE,
        }
    }
}

impl Frozen {
    /// Stops a process and asks the server something that it can only answer with its whole lock table at hand
    /// (`pg_blocking_pids`). Returns the answer that was given while the process stood still, which proves that it may stay
    /// so; the caller lets it go on where it does not wait. `None`: it was let go before there was an answer, and what
    /// was answered after that says nothing.
    pub async fn stop_and_ask<T>(&mut self, pid: i32, ask: impl Future<Output = T>) -> Option<T> {
        if signal(pid, Signal::STOP) {
            self.pids.insert(pid);
        }
        let mut ask = pin!(ask);
        if let Ok(answer) = tokio::time::timeout(self.patience, &mut ask).await {
            self.patience = PATIENCE;
            return Some(answer);
        }
        self.thaw(pid);
        self.patience = (self.patience * 2).min(MOST_PATIENCE);
        tracing::debug!(pid, "a stopped process held up the server; it was let go");
        ask.await;
        None
    }

    /// Lets a process go on.
    pub fn thaw(&mut self, pid: i32) {
        if self.pids.remove(&pid) {
            signal(pid, Signal::CONT);
        }
    }

    /// Lets all go on.
    pub fn thaw_all(&mut self) {
        for pid in std::mem::take(&mut self.pids) {
            signal(pid, Signal::CONT);
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.thaw_all();
    }
}

/// Whether the process was there and could be signalled.
fn signal(pid: i32, signal: Signal) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| kill_process(pid, signal).is_ok())
}
