//! Waiters that are kept from waking up together.
//!
//! When one COMMIT frees two statements that wait, both go on inside the server at the same time, and which one is
//! first is chance: two that wait for one row race for its new version. So the server process of a statement that waits
//! is stopped (it sleeps in its lock wait and holds nothing but locks), and goes on only when its lock was granted,
//! one process after the other. This needs a server of our own: its processes may be signalled.

use std::collections::BTreeSet;

use rustix::process::{Pid, Signal, kill_process};

/// The server processes that are stopped. Dropping it lets all go on.
#[derive(Debug, Default)]
pub struct Frozen {
    pids: BTreeSet<i32>,
}

impl Frozen {
    /// Stops a process that sleeps in a lock wait.
    pub fn freeze(&mut self, pid: i32) {
        if signal(pid, Signal::STOP) {
            self.pids.insert(pid);
        }
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
