//! Services and commands that cannot outlive their run.
//!
//! A [`Process`] leads a process group of its own and carries marks in its environment that its descendants
//! inherit. It is not waited for before it is dropped, so its process id, and that of its group, stay its own.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::sync::watch;

use crate::error::Error;
use crate::live::{self, Ends};
use crate::look::{Look, Watch};
use crate::proc;
use crate::run::{CHILD_VARIABLE, RUN_VARIABLE, Run};
use crate::spawner;

/// How long a killed process may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// How much of a log's end is read for its last lines.
const TAIL_BYTES: u64 = 256 * 1024;

/// What to start.
#[derive(Clone, Debug)]
pub struct Spawn {
    /// The command line, run by `sh -c`.
    pub command: String,
    /// Where to run it.
    pub directory: PathBuf,
    /// Variables added to our own environment.
    pub env: Vec<(OsString, OsString)>,
    /// Variables taken out of our own environment.
    pub without: Vec<OsString>,
    /// File for standard output; `None` for one in the run's folder.
    pub stdout: Option<PathBuf>,
    /// File for standard error; `None` for the same file as standard output.
    pub stderr: Option<PathBuf>,
    /// How long the process has to end after SIGTERM before it is killed.
    pub grace: Duration,
}

impl Spawn {
    /// `command` in `directory`, with our environment, its output in one file in the run's folder.
    pub fn new(command: impl Into<String>, directory: impl Into<PathBuf>) -> Self {
        Self {
            command: command.into(),
            directory: directory.into(),
            env: Vec::new(),
            without: Vec::new(),
            stdout: None,
            stderr: None,
            grace: Duration::from_secs(2),
        }
    }

    /// Starts it.
    ///
    /// # Errors
    /// When a file cannot be written or the shell cannot be started. A command that does not exist is not an
    /// error here: the shell says so in the output and exits with 127.
    pub fn start(&self) -> Result<Process, Error> {
        let run = Run::current()?;
        let number = run.number();
        let stdout = self
            .stdout
            .clone()
            .unwrap_or_else(|| run.dir.join(format!("process-{number}.log")));
        let stderr = self.stderr.clone().unwrap_or_else(|| stdout.clone());
        let (out, err) = outputs(&stdout, &stderr)?;
        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(with_exec(&self.command))
            .current_dir(&self.directory);
        for name in &self.without {
            command.env_remove(name);
        }
        let mark = format!("{}#{number}", run.dir.display());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
            .env(RUN_VARIABLE, &run.dir)
            .env(CHILD_VARIABLE, &mark);
        command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0);
        let child = spawner::spawn(command, Signal::KILL).map_err(Error::io(format!(
            "start `{}` in {}",
            self.command,
            self.directory.display()
        )))?;
        let pid = child.id();
        let (sender, exit) = watch::channel(None);
        let waiter = std::thread::Builder::new()
            .name("deadheat-waiter".to_owned())
            .spawn(move || wait(pid, &sender))
            .map_err(Error::io("watch a process"));
        let held = Held {
            child,
            waiter: None,
        };
        let leash = Leash {
            pid,
            mark,
            grace: self.grace,
            held: Mutex::new(Some(held)),
            _run: run,
        };
        // Not before the leash is there to end the process when this fails.
        let waiter = waiter?;
        if let Some(held) = leash.lock().as_mut() {
            held.waiter = Some(waiter);
        }
        let leash = Arc::new(leash);
        live::register(&leash);
        let watch = Mutex::new(Watch::new(leash.pid, leash.mark.clone()));
        Ok(Process {
            leash,
            exit,
            watch,
            stdout,
            stderr,
        })
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// The status, or the signal's number negated.
    pub fn code(self) -> i32 {
        match self {
            Self::Status(status) => status,
            Self::Signal(signal) => -signal,
        }
    }
}

/// A running (or ended) service or command. Dropping it ends it, its process group and what descends from it:
/// SIGTERM, then, after the grace, SIGKILL; it is gone when the drop returns.
#[derive(Debug)]
pub struct Process {
    leash: Arc<Leash>,
    exit: watch::Receiver<Option<Exit>>,
    watch: Mutex<Watch>,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Its process id, which is the id of its group too.
    pub fn id(&self) -> u32 {
        self.leash.pid
    }

    /// One look at all threads of the process, its descendants and its group.
    pub fn look(&self) -> Look {
        self.watch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .look()
    }

    /// How it ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Waits until it has ended. Descendants may still run. Can be called again, and be cancelled.
    ///
    /// # Errors
    /// When the system lost track of it.
    pub async fn exited(&self) -> Result<Exit, Error> {
        let mut exit = self.exit.clone();
        let found = exit
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|exit| *exit);
        found.ok_or_else(|| Error::io("wait for a process")(rustix::io::Errno::CHILD.into()))
    }

    /// Ends it now, as dropping does.
    pub fn end(&self) {
        self.leash.end();
    }

    /// Kills it, its group and its descendants at once, without SIGTERM; for crashes that are meant.
    pub fn kill(&self) {
        self.leash.kill();
    }

    /// The file of its standard output.
    pub fn stdout(&self) -> &Path {
        &self.stdout
    }

    /// The file of its standard error.
    pub fn stderr(&self) -> &Path {
        &self.stderr
    }

    /// The last lines of its output (of standard output and standard error, where these are two files).
    pub fn tail(&self, lines: usize) -> String {
        let text = tail(&self.stdout, lines);
        if self.stderr != self.stdout {
            let both = [text, tail(&self.stderr, lines)].join("\n");
            return both.trim_matches('\n').to_owned();
        }
        text
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.leash.end();
        live::let_end();
    }
}

/// What ends a process.
#[derive(Debug)]
struct Leash {
    pid: u32,
    mark: String,
    grace: Duration,
    /// `None` when the process is ended and waited for.
    held: Mutex<Option<Held>>,
    // Last: the run's folder may go only after what uses it.
    _run: Arc<Run>,
}

#[derive(Debug)]
struct Held {
    child: Child,
    waiter: Option<JoinHandle<()>>,
}

impl Leash {
    fn id(&self) -> Option<Pid> {
        i32::try_from(self.pid).ok().and_then(Pid::from_raw)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The living members of the group, and the living processes with our mark.
    fn members(&self) -> Vec<u32> {
        proc::all()
            .into_iter()
            .filter(|&pid| self.is_member(pid))
            .collect()
    }

    fn is_member(&self, pid: u32) -> bool {
        let ours = proc::group(pid) == Some(self.pid)
            || proc::has_variable(pid, CHILD_VARIABLE, &self.mark);
        ours && proc::is_alive(pid)
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.id() {
            let _ = kill_process_group(id, signal);
        }
        for pid in self.members() {
            if proc::group(pid) != Some(self.pid) {
                proc::signal_if(pid, signal, |pid| self.is_member(pid));
            }
        }
    }

    /// Kills until nobody is left: a member may be starting another while it is killed.
    fn kill(&self) {
        // The group's id is ours only while its leader has not been waited for.
        let held = self.lock();
        if held.is_some() {
            self.kill_members();
        }
    }

    fn kill_members(&self) {
        proc::wait_until(KILL_LIMIT, || {
            self.signal(Signal::KILL);
            self.members().is_empty()
        });
    }
}

impl Ends for Leash {
    fn end(&self) {
        let mut locked = self.lock();
        let Some(mut held) = locked.take() else {
            return;
        };
        if !self.members().is_empty() {
            self.signal(Signal::TERM);
            // A stopped process hears nothing before it goes on.
            self.signal(Signal::CONT);
            proc::wait_until(self.grace, || self.members().is_empty());
            self.kill_members();
        }
        // It must have seen the end before the process id is given back.
        if held.waiter.is_some_and(|waiter| waiter.join().is_err()) {
            tracing::debug!(pid = self.pid, "the thread that watched a process panicked");
        }
        if let Err(error) = held.child.wait() {
            tracing::debug!(pid = self.pid, %error, "a process could not be waited for");
        }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.end();
    }
}

/// Tells how a child ended, and leaves it to be waited for.
fn wait(pid: u32, sender: &watch::Sender<Option<Exit>>) {
    let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    let found = loop {
        match waitid(
            WaitId::Pid(id),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        ) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(Some(found)) => break found,
            Ok(None) | Err(_) => return,
        }
    };
    let status = found.exit_status().map(Exit::Status);
    sender.send_replace(status.or_else(|| found.terminating_signal().map(Exit::Signal)));
}

fn outputs(stdout: &Path, stderr: &Path) -> Result<(File, File), Error> {
    let create = |path: &Path| {
        let doing = Error::io(format!("write {}", path.display()));
        File::options()
            .create(true)
            .append(true)
            .open(path)
            .map_err(doing)
    };
    let out = create(stdout)?;
    let err = if stderr == stdout {
        out.try_clone().map_err(Error::io("share a log"))?
    } else {
        create(stderr)?
    };
    Ok((out, err))
}

/// Lets the shell give way to a plain command, so that the command itself is what the kernel ends with us and
/// what signals reach. A command with shell syntax, an assignment or a builtin in front is left as it is.
fn with_exec(command: &str) -> String {
    let plain = !command.contains([';', '&', '|', '<', '>', '(', ')', '{', '}', '`', '\n', '#']);
    let first = command.split_ascii_whitespace().next().unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_program = first.contains('/')
        || std::env::split_paths(&path).any(|folder| folder.join(first).is_file());
    if plain && is_program && !first.contains(['=', '$', '\'', '"', '\\']) && !first.is_empty() {
        format!("exec {command}")
    } else {
        command.to_owned()
    }
}

/// The last lines of a file; nothing if it cannot be read.
fn tail(path: &Path, lines: usize) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = fs::metadata(path)?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.trim_end().lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::with_exec;

    #[test]
    fn only_a_plain_command_replaces_its_shell() {
        assert_eq!(with_exec("/bin/sleep 10"), "exec /bin/sleep 10");
        assert_eq!(with_exec("exit 3"), "exit 3");
        assert_eq!(with_exec("A=1 /bin/sleep 10"), "A=1 /bin/sleep 10");
        assert_eq!(
            with_exec("/bin/sleep 10; /bin/true"),
            "/bin/sleep 10; /bin/true"
        );
    }
}
