//! The mark on scratch databases of named servers: the database's comment.
//!
//! It says who made the database, so that a later run can tell whether that process still lives. The owner
//! also holds an advisory lock on the server for as long as it is connected: the server's own sign of life.

use std::fs;

use crate::proc;

const FIRST: &str = "deadheat scratch database";

/// Who made a scratch database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Name of the machine's installation; empty where it has none.
    pub(crate) machine: String,
    /// This start of the machine, and the space in which the process id counts.
    pub(crate) space: String,
    pub(crate) pid: u32,
    /// Start time of the process, in clock ticks since boot.
    pub(crate) start: u64,
    /// Key of the advisory lock.
    pub(crate) key: u32,
}

impl Mark {
    pub(crate) fn own(key: u32) -> Self {
        let read = |path| {
            fs::read_to_string(path)
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let boot = read("/proc/sys/kernel/random/boot_id");
        let space = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let pid = std::process::id();
        Self {
            machine: read("/etc/machine-id"),
            space: format!("{boot}/{}", space.display()),
            pid,
            start: proc::start_time(pid).unwrap_or_default(),
            key,
        }
    }

    pub(crate) fn write(&self) -> String {
        let Self {
            machine,
            space,
            pid,
            start,
            key,
        } = self;
        format!("{FIRST} machine={machine} space={space} pid={pid} start={start} key={key}")
    }

    pub(crate) fn read(comment: &str) -> Option<Self> {
        let mut words = comment.strip_prefix(FIRST)?.split_ascii_whitespace();
        let mut value = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=');
        Some(Self {
            machine: value("machine")?.to_owned(),
            space: value("space")?.to_owned(),
            pid: value("pid")?.parse().ok()?,
            start: value("start")?.parse().ok()?,
            key: value("key")?.parse().ok()?,
        })
    }

    /// Whether the maker, whose advisory lock is known to be free, is certainly gone. A maker on another
    /// machine, or in another container, may have lost its connection only.
    pub(crate) fn is_dead(&self, own: &Self) -> bool {
        if self.space == own.space {
            return proc::start_time(self.pid) != Some(self.start) || !proc::is_alive(self.pid);
        }
        !self.machine.is_empty() && self.machine == own.machine
    }
}

#[cfg(test)]
mod tests {
    use super::Mark;

    #[test]
    fn a_mark_survives_being_written() {
        let own = Mark::own(7);
        assert_eq!(Mark::read(&own.write()), Some(own));
    }

    #[test]
    fn a_comment_of_someone_else_is_no_mark() {
        assert_eq!(Mark::read("the shop's production database"), None);
        assert_eq!(Mark::read("deadheat scratch database pid=1"), None);
    }

    #[test]
    fn a_maker_lives_while_its_process_does() {
        let own = Mark::own(7);
        assert!(!own.is_dead(&own));
        let recycled = Mark {
            start: own.start + 1,
            ..own.clone()
        };
        assert!(
            recycled.is_dead(&own),
            "the process id was given to another process"
        );
    }

    #[test]
    fn a_maker_on_another_machine_is_left_alone() {
        let own = Mark::own(7);
        let other = Mark {
            machine: "elsewhere".to_owned(),
            space: "elsewhere".to_owned(),
            ..own.clone()
        };
        assert!(!other.is_dead(&own));
    }
}
