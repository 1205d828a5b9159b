//! Removes what dead runs left on this machine.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::initdb;
use crate::private;
use crate::proc;
use crate::run::{self, DeadRun, RUN_VARIABLE};

/// How long a killed process may take to be gone.
const END_LIMIT: Duration = Duration::from_secs(5);

/// What a sweep removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Folders of dead runs (and of half-made caches) that were removed.
    pub folders: Vec<PathBuf>,
    /// How many processes of dead runs were ended.
    pub processes: usize,
    /// Folders that could not be removed.
    pub stuck: Vec<PathBuf>,
}

impl Report {
    /// Whether there was nothing to do.
    pub fn is_empty(&self) -> bool {
        self.folders.is_empty() && self.stuck.is_empty() && self.processes == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} folders and {} processes of dead runs",
            self.folders.len(),
            self.processes
        )?;
        for folder in &self.stuck {
            write!(f, "; {} could not be removed", folder.display())?;
        }
        Ok(())
    }
}

/// Ends the processes and removes the folders of runs that are dead: that carry our mark, and whose lock the
/// kernel has freed. Live runs, of other users too, are not touched. Servers that a scenario names are swept
/// when they are connected to.
pub fn sweep() -> Report {
    let mut report = Report::default();
    let base = run::base().ok();
    for parent in base.into_iter().chain([initdb::cache()]) {
        for dead in run::dead_runs(&parent) {
            report.processes += end_processes(&dead);
            if run::remove(&dead.dir) {
                report.folders.push(dead.dir);
            } else {
                report.stuck.push(dead.dir);
            }
        }
    }
    report
}

fn end_processes(dead: &DeadRun) -> usize {
    let folder = dead.dir.to_string_lossy().into_owned();
    // The servers first: they carry the mark too, but must be ended in order to give their memory back.
    let mut ended: usize = data_folders(&dead.dir)
        .iter()
        .map(|data| end_server(data))
        .sum();
    // Again, since a service may start another while it is being ended.
    for _ in 0..10 {
        let marked = kill_marked(&folder);
        if marked == 0 {
            break;
        }
        ended += marked;
    }
    ended
}

/// Kills the processes whose environment carries the run's mark; waits until they are gone.
fn kill_marked(run: &str) -> usize {
    let is_marked = |pid| proc::has_variable(pid, RUN_VARIABLE, run) && proc::is_alive(pid);
    let marked: Vec<u32> = proc::all()
        .into_iter()
        .filter(|&pid| is_marked(pid))
        .collect();
    let killed = marked
        .iter()
        .filter(|&&pid| proc::signal_if(pid, Signal::KILL, is_marked))
        .count();
    proc::wait_until(END_LIMIT, || !marked.iter().any(|&pid| is_marked(pid)));
    killed
}

fn data_folders(run: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(run).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .map(|entry| entry.path().join("data"))
        .filter(|data| data.is_dir())
        .collect();
    found.sort();
    found
}

/// Ends the server that works in `data`: in order if it obeys, by force if not.
fn end_server(data: &Path) -> usize {
    let serves = |pid| proc::working_in_one(pid, data);
    let postmaster = std::fs::read_to_string(data.join("postmaster.pid")).ok();
    let postmaster = postmaster.and_then(|text| text.lines().next()?.trim().parse::<u32>().ok());
    let mut ended = 0;
    if let Some(pid) = postmaster
        && proc::signal_if(pid, Signal::QUIT, serves)
    {
        proc::wait_until(END_LIMIT, || !serves(pid));
        ended += 1;
    }
    ended + private::end_workers(data)
}
