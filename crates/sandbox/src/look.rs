//! One look at all threads of a process tree: does anything move?
//!
//! A thread is read from two files that stay open between looks: its state, and its time on a CPU with the
//! number of times it was put on one. The lists are read again only when a process or thread has started somewhere
//! in the system since, so most looks are two reads a thread.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use crate::proc;
use crate::run::CHILD_VARIABLE;

/// What one look saw. Two looks a moment apart that are equal and asleep mean that nothing moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether every thread was asleep (or stopped). A thread that waits for a disk is not.
    pub asleep: bool,
    /// Changes when a thread ran, came or went.
    pub stamp: u64,
    /// How many processes there were.
    pub processes: usize,
}

/// Keeps what is needed from look to look.
#[derive(Debug)]
pub(crate) struct Watch {
    root: u32,
    mark: String,
    threads: BTreeMap<(u32, u32), Thread>,
    /// Whether its children are left out.
    alone: bool,
    /// The newest process or thread of the system when the lists were read: as long as it is the same one, there is
    /// nothing to add to them.
    listed_at: Option<u32>,
}

/// A process that is none of ours, watched by its own threads: its children may be us.
#[derive(Debug)]
pub struct Neighbour(Mutex<Watch>);

impl Neighbour {
    /// The process of this id, if it is there and may be looked at.
    pub fn new(process: u32) -> Option<Self> {
        let seen = threads_of(process);
        let opened = |thread: &u32| Thread::open(process, *thread).is_some();
        (!seen.is_empty() && seen.iter().all(opened)).then(|| {
            let mut watch = Watch::new(process, String::new());
            watch.alone = true;
            Self(Mutex::new(watch))
        })
    }

    /// One look at all its threads.
    pub fn look(&self) -> Look {
        let mut watch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watch.look()
    }
}

#[derive(Debug)]
struct Thread {
    state: File,
    schedule: File,
    last: Option<Reading>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    asleep: bool,
    /// Nanoseconds on a CPU, and how often it was put on one.
    ran: (u64, u64),
}

impl Watch {
    pub(crate) fn new(root: u32, mark: String) -> Self {
        Self {
            root,
            mark,
            threads: BTreeMap::new(),
            alone: false,
            listed_at: None,
        }
    }

    pub(crate) fn look(&mut self) -> Look {
        // Asked before the lists are read: what starts meanwhile shows in the next look.
        let newest = proc::newest();
        let mut moved = self.read();
        if newest.is_none() || newest != self.listed_at {
            let known = self.threads.len();
            self.follow();
            while !self.alone && self.adopt() {
                self.follow();
            }
            // Those that are new now have been read for the first time.
            moved |= self.read() || self.threads.len() != known;
            self.listed_at = newest;
        }
        self.result(!moved && self.all_asleep())
    }

    fn result(&self, asleep: bool) -> Look {
        let mut stamp = Fnv::default();
        let mut processes = 0;
        let mut before = None;
        for (&(process, thread), known) in &self.threads {
            let ran = known.last.map_or((0, 0), |reading| reading.ran);
            for number in [u64::from(process), u64::from(thread), ran.0, ran.1] {
                stamp.add(number);
            }
            processes += usize::from(before != Some(process));
            before = Some(process);
        }
        Look {
            asleep,
            stamp: stamp.0,
            processes,
        }
    }

    fn all_asleep(&self) -> bool {
        self.threads
            .values()
            .all(|thread| thread.last.is_some_and(|reading| reading.asleep))
    }

    /// Reads every known thread; true if one ran or went.
    fn read(&mut self) -> bool {
        let mut moved = false;
        self.threads.retain(|_, thread| {
            let now = thread.read();
            moved |= thread.last.map(|reading| reading.ran) != now.map(|reading| reading.ran);
            thread.last = now;
            now.is_some()
        });
        moved
    }

    /// Adds the threads that are not known yet, of the root and of all children's children.
    fn follow(&mut self) {
        let mut open = vec![self.root];
        open.extend(self.threads.keys().map(|&(process, _)| process));
        open.sort_unstable();
        open.dedup();
        let mut done = Vec::new();
        while let Some(process) = open.pop() {
            if done.contains(&process) {
                continue;
            }
            done.push(process);
            for thread in threads_of(process) {
                if !self.threads.contains_key(&(process, thread))
                    && let Some(opened) = Thread::open(process, thread)
                {
                    self.threads.insert((process, thread), opened);
                }
                if self.alone {
                    continue;
                }
                let path = format!("/proc/{process}/task/{thread}/children");
                let children = fs::read_to_string(path).unwrap_or_default();
                open.extend(
                    children
                        .split_ascii_whitespace()
                        .filter_map(|id| id.parse::<u32>().ok()),
                );
            }
        }
    }

    /// Adds processes that no longer hang below the root; true if there were any.
    fn adopt(&mut self) -> bool {
        let known: Vec<u32> = self.threads.keys().map(|&(process, _)| process).collect();
        let before = self.threads.len();
        for process in proc::all() {
            let ours = !known.contains(&process)
                && (proc::group(process) == Some(self.root)
                    || proc::has_variable(process, CHILD_VARIABLE, &self.mark));
            if ours {
                for thread in threads_of(process) {
                    if let Some(opened) = Thread::open(process, thread) {
                        self.threads.insert((process, thread), opened);
                    }
                }
            }
        }
        self.threads.len() != before
    }
}

impl Thread {
    fn open(process: u32, thread: u32) -> Option<Self> {
        let folder = format!("/proc/{process}/task/{thread}");
        let state = File::open(format!("{folder}/stat")).ok()?;
        let schedule = File::open(format!("{folder}/schedstat")).ok()?;
        Some(Self {
            state,
            schedule,
            last: None,
        })
    }

    /// `None` when the thread is gone.
    fn read(&self) -> Option<Reading> {
        // The state first: a thread that wakes between the two reads shows in the second, or in the next look.
        let mut buffer = [0; 512];
        let length = self.state.read_at(&mut buffer, 0).ok()?;
        let stat = &buffer[..length];
        let state = *stat.get(stat.iter().rposition(|&byte| byte == b')')? + 2)?;
        if matches!(state, b'Z' | b'X') {
            return None;
        }
        let mut buffer = [0; 96];
        let length = self.schedule.read_at(&mut buffer, 0).ok()?;
        let text = std::str::from_utf8(&buffer[..length]).ok()?;
        let mut numbers = text
            .split_ascii_whitespace()
            .map_while(|number| number.parse::<u64>().ok());
        let on_cpu = numbers.next()?;
        let times = numbers.nth(1)?;
        Some(Reading {
            asleep: matches!(state, b'S' | b'T' | b't' | b'I'),
            ran: (on_cpu, times),
        })
    }
}

fn threads_of(process: u32) -> Vec<u32> {
    let entries = fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// The hash of Fowler, Noll and Vo, over 64-bit words.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn who_is_not_there_cannot_be_looked_at() {
        assert!(Neighbour::new(4_000_000_000).is_none());
    }

    #[test]
    fn a_neighbour_sleeps_though_its_child_does_not() {
        let busy = "while :; do :; done & exec sleep 60";
        let mut parent = Command::new("sh").args(["-c", busy]).spawn().unwrap();
        let neighbour = Neighbour::new(parent.id()).expect("it is there");
        let ends = Instant::now() + Duration::from_secs(20);
        let mut still = 0;
        while still < 5 && Instant::now() < ends {
            std::thread::sleep(Duration::from_millis(2));
            let look = neighbour.look();
            still = if look.asleep { still + 1 } else { 0 };
        }
        let children = format!("/proc/{0}/task/{0}/children", parent.id());
        let children = fs::read_to_string(children).unwrap();
        let child: i32 = children.trim().parse().expect("one child");
        let child = rustix::process::Pid::from_raw(child).expect("a process");
        rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
        parent.kill().unwrap();
        parent.wait().unwrap();
        assert_eq!(still, 5);
    }
}
