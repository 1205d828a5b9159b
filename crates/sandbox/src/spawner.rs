//! The thread that starts all children.
//!
//! Linux ends a child with its parent (`PR_SET_PDEATHSIG`) when the *thread* that started it ends, not the
//! process. Threads of a runtime or a test come and go, so one thread that lives as long as the process
//! starts every child.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::pin::roam;
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

struct Job {
    command: Command,
    answer: Sender<io::Result<Child>>,
}

static JOBS: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();

/// Starts `command`; the kernel sends it `farewell` when this process ends, however it ends.
pub(crate) fn spawn(mut command: Command, farewell: Signal) -> io::Result<Child> {
    die_with_us(&mut command, farewell);
    let (answer, started) = channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    let jobs = if let Some(jobs) = JOBS.get() {
        jobs
    } else {
        let first = start_thread()?;
        JOBS.get_or_init(|| Mutex::new(first))
    };
    jobs.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send(Job { command, answer })
        .map_err(|_| gone())?;
    started.recv().map_err(|_| gone())?
}

fn start_thread() -> io::Result<Sender<Job>> {
    let (sender, receiver) = channel();
    std::thread::Builder::new()
        .name("deadheat-spawner".to_owned())
        .spawn(move || serve(&receiver))?;
    Ok(sender)
}

fn serve(jobs: &Receiver<Job>) {
    // Whoever asked first may be kept on a processor; what is started is not.
    roam();
    for mut job in jobs {
        let started = job.command.spawn();
        if let Err(unheard) = job.answer.send(started)
            && let Ok(mut child) = unheard.0
        {
            // Nobody waits for it any more: it must not live on unowned.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[allow(unsafe_code)]
fn die_with_us(command: &mut Command, farewell: Signal) {
    let parent = getpid();
    let set_up = move || {
        set_parent_process_death_signal(Some(farewell))?;
        // The parent may have ended before the line above: then no signal will ever come.
        if getppid() == Some(parent) {
            Ok(())
        } else {
            Err(rustix::io::Errno::SRCH.into())
        }
    };
    // SAFETY: between fork and exec only system calls are made (prctl, getppid); nothing is allocated, no
    // lock is taken.
    unsafe { command.pre_exec(set_up) };
}
