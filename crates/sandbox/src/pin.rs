//! Keeping together what takes turns.
//!
//! A lab is a chain: its thread with its gate, and the server's processes of its sessions; mostly one of them is at work, and
//! wakes the next. Where several labs keep a machine busy, the system moves the links of these chains about, and wakes
//! a processor that has just gone to sleep for many of the steps. A lab that stays on one processor is spared both: two labs
//! on two processors are 1.8 times as fast as one then, instead of 1.5 times. Services are started elsewhere
//! and are not kept anywhere: how many processors a program finds is its own affair.

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// A processor for each of so many threads, beginning with the one that this thread is on; none where there is only one
/// thread, or not one for each.
pub fn processors(threads: usize) -> Vec<Option<usize>> {
    let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    let mut all: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|cpu| set.is_set(*cpu))
        .collect();
    let here = all.iter().position(|cpu| *cpu == sched_getcpu());
    all.rotate_left(here.unwrap_or(0));
    let apart = threads > 1 && threads <= all.len();
    let of = |at| all.get(at).copied().filter(|_| apart);
    (0..threads).map(of).collect()
}

/// Keeps the calling thread, and threads that it starts, on a processor.
pub fn stay_on(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    keep(None, &set);
}

/// Keeps a process where the calling thread is kept, if that was told to stay somewhere.
pub fn keep_here(pid: i32) {
    if let (Ok(set), Some(pid)) = (sched_getaffinity(None), Pid::from_raw(pid))
        && set.count() == 1
    {
        keep(Some(pid), &set);
    }
}

/// Lets the calling thread go wherever the process may.
pub(crate) fn roam() {
    // The first thread has the process' own number; it is never kept.
    if let Ok(set) = sched_getaffinity(Some(rustix::process::getpid())) {
        keep(None, &set);
    }
}

/// Refused, nothing is lost but time.
fn keep(pid: Option<Pid>, set: &CpuSet) {
    if let Err(error) = sched_setaffinity(pid, set) {
        tracing::debug!(%error, ?pid, "cannot be kept on a processor");
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::spawner::spawn;

    fn may_use(pid: u32) -> usize {
        let pid = Pid::from_raw(pid.cast_signed());
        sched_getaffinity(pid).expect("a process").count() as usize
    }

    #[test]
    fn a_lab_stays_but_what_it_starts_does_not() {
        let all = may_use(std::process::id());
        let kept = std::thread::spawn(move || {
            let mut set = sched_getaffinity(None).expect("a set");
            let first = (0..CpuSet::MAX_CPU).find(|cpu| set.is_set(*cpu));
            stay_on(first.expect("a processor"));
            set = sched_getaffinity(None).expect("a set");
            let mut sleep = Command::new("sleep");
            sleep.arg("60");
            let mut child = spawn(sleep, rustix::process::Signal::KILL).expect("a child");
            let before = may_use(child.id());
            keep_here(child.id().cast_signed());
            let after = may_use(child.id());
            child.kill().expect("a child");
            child.wait().expect("a child");
            (set.count(), before, after)
        });
        assert_eq!(kept.join().expect("a thread"), (1, all, 1));
    }

    #[test]
    fn one_lab_roams_and_so_do_too_many() {
        assert_eq!(processors(1), [None]);
        let most = CpuSet::MAX_CPU + 1;
        assert_eq!(processors(most), vec![None; most]);
    }
}
