//! What `/proc` says about processes, and signals that cannot hit the wrong one.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// How long to wait between two looks at whether a process is gone.
const PAUSE: Duration = Duration::from_millis(2);

/// Start time of a process in clock ticks since boot: with the process id it names one process, ever.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    stat_fields(pid)?.get(19)?.parse().ok()
}

/// Process group of a process.
pub(crate) fn group(pid: u32) -> Option<u32> {
    stat_fields(pid)?.get(2)?.parse().ok()
}

/// The fields of `/proc/PID/stat` after the name, the state first.
fn stat_fields(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may contain anything, parentheses too.
    let rest = &text[text.rfind(')')? + 2..];
    Some(rest.split_ascii_whitespace().map(str::to_owned).collect())
}

/// Whether the process is there and not a zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    stat_fields(pid)
        .is_some_and(|fields| !matches!(fields.first().map(String::as_str), Some("Z" | "X")))
}

/// Whether a process of one thread is running, or about to. A process that is not there is not.
pub fn is_at_work(pid: u32) -> bool {
    let Ok(text) = fs::read(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // As above: the name before the state may contain parentheses.
    let Some(end) = text.iter().rposition(|byte| *byte == b')') else {
        return false;
    };
    matches!(text.get(end + 2), Some(b'R' | b'D'))
}

/// The process or thread that was started last, anywhere in the system (`/proc/loadavg`, last field).
pub(crate) fn newest() -> Option<u32> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_ascii_whitespace().last()?.parse().ok()
}

/// All processes, in order.
pub(crate) fn all() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<u32> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids
}

/// Whether the environment the process was started with has this assignment.
pub(crate) fn has_variable(pid: u32, name: &str, value: &str) -> bool {
    let wanted = format!("{name}={value}");
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|all| {
        all.split(|&byte| byte == 0)
            .any(|one| one == wanted.as_bytes())
    })
}

/// The processes whose working directory is `folder`.
pub(crate) fn working_in(folder: &Path) -> Vec<u32> {
    all()
        .into_iter()
        .filter(|&pid| working_in_one(pid, folder))
        .collect()
}

/// Whether the process's working directory is `folder`.
pub(crate) fn working_in_one(pid: u32, folder: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|found| found == folder)
}

/// Sends `signal` to the process if, held fast by its descriptor, it still is the one that `is_it` accepts.
pub(crate) fn signal_if(pid: u32, signal: Signal, is_it: impl Fn(u32) -> bool) -> bool {
    let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return false;
    };
    let Ok(held) = pidfd_open(id, PidfdFlags::empty()) else {
        return false;
    };
    is_it(pid) && pidfd_send_signal(held, signal).is_ok()
}

/// Waits until `gone` says so; false when it did not within `limit`.
pub(crate) fn wait_until(limit: Duration, mut gone: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if gone() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_sleeper_is_not_at_work_and_a_counter_is() {
        let run = |script: &str| Command::new("sh").args(["-c", script]).spawn().unwrap();
        let mut sleeper = run("exec sleep 60");
        let mut counter = run("while :; do :; done");
        let sleeps = wait_until(Duration::from_secs(10), || !is_at_work(sleeper.id()));
        let counts = wait_until(Duration::from_secs(10), || is_at_work(counter.id()));
        for child in [&mut sleeper, &mut counter] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(sleeps && counts);
        assert!(!is_at_work(sleeper.id()), "it is gone");
    }
}
