//! Runs that wait for a lab.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use deadheat_explore::Cursor;
use deadheat_lab::Options;
use deadheat_sql::Footprint;

/// One run to make.
pub(super) struct Job {
    pub ticket: u64,
    pub cursor: Cursor<Footprint>,
    pub options: Options,
}

/// First come, first served, to whichever lab is free.
#[derive(Default)]
pub(super) struct Queue {
    line: Mutex<Line>,
    grown: Condvar,
}

#[derive(Default)]
struct Line {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    /// Adds a run at the end.
    pub fn add(&self, job: Job) {
        self.line().jobs.push_back(job);
        self.grown.notify_one();
    }

    /// Waits for a run; `None` when there will be none.
    pub fn next(&self) -> Option<Job> {
        let waits = |line: &mut Line| line.jobs.is_empty() && !line.closed;
        let line = self.grown.wait_while(self.line(), waits);
        line.unwrap_or_else(PoisonError::into_inner)
            .jobs
            .pop_front()
    }

    /// Takes out all that wait; their tickets.
    pub fn empty(&self) -> Vec<u64> {
        self.line().jobs.drain(..).map(|job| job.ticket).collect()
    }

    /// Nothing that waits is made any more, and nothing is added.
    pub fn close(&self) {
        let mut line = self.line();
        line.closed = true;
        line.jobs.clear();
        self.grown.notify_all();
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Whoever panicked did not hold it: nothing in here panics.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
