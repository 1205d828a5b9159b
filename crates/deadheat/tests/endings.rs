//! However a search ends, nothing of it is left: no process, no folder, no scratch database.
#![allow(missing_docs)]

mod common;

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use common::{Bench, example};
use deadheat_sandbox::{PrivateOptions, Server};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A bench whose runs keep their folders apart from all others.
struct Apart {
    bench: Bench,
    /// Short, and open to the user that the server runs as.
    temporary: TempDir,
}

/// The program, under way.
struct Started<'a> {
    apart: &'a Apart,
    child: Child,
}

impl Apart {
    fn new() -> Self {
        let temporary = tempfile::Builder::new()
            .prefix("dh")
            .tempdir_in("/tmp")
            .expect("a folder");
        std::fs::set_permissions(temporary.path(), std::fs::Permissions::from_mode(0o711))
            .expect("is ours");
        Self {
            bench: Bench::new(),
            temporary,
        }
    }

    fn start(&self, args: &[&str]) -> Started<'_> {
        let file = |name: &str| File::create(self.bench.folder.path().join(name)).expect("a file");
        let child = self
            .bench
            .command()
            .args(args)
            .env("TMPDIR", self.temporary.path())
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn()
            .expect("the program starts");
        Started { apart: self, child }
    }

    /// Searches something that takes longer than any test waits.
    fn start_long(&self) -> Started<'_> {
        let path = example("sql/lobby-5-cured.toml");
        self.start(&["find", "--time", "10m", path.to_str().expect("UTF-8")])
    }

    fn said(&self, name: &str) -> String {
        std::fs::read_to_string(self.bench.folder.path().join(name)).expect("is there")
    }

    /// Living processes that carry the mark of a run of ours, or work in its folder; with their states.
    fn processes(&self) -> Vec<(u32, char)> {
        let folder = self.temporary.path();
        let mark = format!("DEADHEAT_RUN={}/", folder.display());
        let entries = std::fs::read_dir("/proc").expect("is there").flatten();
        entries
            .filter_map(|entry| {
                let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
                let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
                let marked = environ
                    .split(|byte| *byte == 0)
                    .any(|one| one.starts_with(mark.as_bytes()));
                let inside = std::fs::read_link(entry.path().join("cwd"))
                    .is_ok_and(|cwd| cwd.starts_with(folder));
                let state = state(&entry.path())?;
                ((marked || inside) && state != 'Z').then_some((pid, state))
            })
            .collect()
    }

    /// What is left in the folder that runs share.
    fn folders(&self) -> Vec<PathBuf> {
        let uid = rustix::process::geteuid().as_raw();
        let shared = self.temporary.path().join(format!("deadheat-{uid}"));
        let entries = std::fs::read_dir(shared).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    #[track_caller]
    fn nothing_is_left(&self) {
        assert_eq!(self.processes(), []);
        assert!(self.folders().is_empty(), "{:?}", self.folders());
    }
}

impl Started<'_> {
    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), signal).expect("is there");
    }

    fn end(&mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }

    /// Waits until the search is under way: a statement waits for a lock, and its server process has been stopped.
    /// The program itself is stopped then, so that it stays like this.
    fn stop_while_a_statement_waits(&mut self) {
        let is_stopped = |all: Vec<(u32, char)>| all.iter().any(|(_, state)| *state == 'T');
        wait_until("a statement waits", || {
            assert!(
                self.child.try_wait().expect("is ours").is_none(),
                "it goes on"
            );
            if !is_stopped(self.apart.processes()) {
                return false;
            }
            self.signal(Signal::STOP);
            let own = PathBuf::from(format!("/proc/{}", self.child.id()));
            wait_until("it stops", || state(&own) == Some('T'));
            let caught = is_stopped(self.apart.processes());
            if !caught {
                self.signal(Signal::CONT);
            }
            caught
        });
    }
}

fn state(process: &Path) -> Option<char> {
    let text = std::fs::read_to_string(process.join("stat")).ok()?;
    text.rsplit_once(") ")?.1.chars().next()
}

#[track_caller]
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A scenario whose service never gets ready, and leaves its process group.
const NEVER_READY: &str = "[database]
engine = \"postgres\"

[service.web]
run = \"setsid sleep 600 & exec sleep 600\"
ready = \"GET /\"
ready_within = \"READY\"

[[actor]]
name = \"ben\"
request = \"GET /\"
";

#[test]
fn success_leaves_nothing() {
    let apart = Apart::new();
    let path = example("sql/lost-update.toml");
    let status = apart.start(&["find", path.to_str().expect("UTF-8")]).end();
    assert_eq!(status.code(), Some(1), "{}", apart.said("err"));
    apart.nothing_is_left();
}

#[test]
fn a_setup_that_fails_leaves_nothing() {
    let apart = Apart::new();
    let text = "[database]\nengine = \"postgres\"\nsql = \"select nothing\"\n\
                [[actor]]\nname = \"ben\"\nsql = [\"select 1\"]\n";
    apart.bench.scenario("lobby.toml", text);
    let status = apart.start(&["find", "lobby.toml"]).end();
    assert_eq!(status.code(), Some(2), "{}", apart.said("err"));
    apart.nothing_is_left();
}

#[test]
fn a_service_that_never_gets_ready_leaves_nothing() {
    let apart = Apart::new();
    let text = NEVER_READY.replace("READY", "200ms");
    apart.bench.scenario("lobby.toml", &text);
    let status = apart.start(&["find", "lobby.toml"]).end();
    assert_eq!(status.code(), Some(2), "{}", apart.said("err"));
    apart.nothing_is_left();
}

#[test]
fn ctrl_c_ends_with_what_was_found_so_far() {
    let apart = Apart::new();
    let mut started = apart.start_long();
    started.stop_while_a_statement_waits();
    started.signal(Signal::INT);
    started.signal(Signal::CONT);
    assert_eq!(started.end().code(), Some(0), "{}", apart.said("err"));
    let out = apart.said("out");
    assert!(
        out.starts_with("lobby-5-cured.toml: no race found, interrupted, with traces left"),
        "{out}"
    );
    apart.nothing_is_left();
}

#[test]
fn ctrl_c_in_a_search_for_further_races_is_said_beside_those_that_were_found() {
    let apart = Apart::new();
    let path = example("sql/lobby-5.toml");
    let path = path.to_str().expect("UTF-8");
    let mut started = apart.start(&["find", "--keep-going", "--time", "10m", path]);
    wait_until("a race is found", || apart.said("err").contains(" found"));
    started.signal(Signal::INT);
    assert_eq!(started.end().code(), Some(1), "{}", apart.said("err"));
    let out = apart.said("out");
    let last = out.lines().find(|line| line.starts_with("lobby-5.toml: "));
    let last = last.unwrap_or_else(|| panic!("{out}"));
    assert!(
        last.contains(" found, interrupted, with traces left"),
        "{last}"
    );
    apart.nothing_is_left();
}

#[test]
fn ctrl_c_twice_ends_at_once() {
    let apart = Apart::new();
    let text = NEVER_READY.replace("READY", "10m");
    apart.bench.scenario("lobby.toml", &text);
    let mut started = apart.start(&["find", "lobby.toml"]);
    wait_until("the service starts", || {
        let name = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/comm"));
        let sleeps = |pid| name(pid).is_ok_and(|name| name.trim() == "sleep");
        apart.processes().iter().any(|(pid, _)| sleeps(*pid))
    });
    started.signal(Signal::INT);
    wait_until("it says so", || {
        apart.said("err").contains("once more ends at once")
    });
    started.signal(Signal::INT);
    assert_eq!(started.end().code(), Some(130), "{}", apart.said("err"));
    apart.nothing_is_left();
}

#[test]
fn sigterm_leaves_nothing_not_even_a_stopped_server_process() {
    let apart = Apart::new();
    let mut started = apart.start_long();
    started.stop_while_a_statement_waits();
    started.signal(Signal::TERM);
    started.signal(Signal::CONT);
    assert_eq!(started.end().code(), Some(143), "{}", apart.said("err"));
    apart.nothing_is_left();
}

#[test]
fn what_a_killed_search_left_goes_with_the_next_start() {
    let apart = Apart::new();
    let mut started = apart.start_long();
    started.stop_while_a_statement_waits();
    started.signal(Signal::KILL);
    started.end();
    assert!(!apart.folders().is_empty(), "its folder waits for a sweep");
    let path = example("sql/for-update.toml");
    let status = apart.start(&["find", path.to_str().expect("UTF-8")]).end();
    assert_eq!(status.code(), Some(0), "{}", apart.said("err"));
    apart.nothing_is_left();
}

#[test]
fn a_named_server_keeps_no_scratch_database() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime
        .block_on(Server::private(&PrivateOptions::default()))
        .expect("a server");
    let own = runtime.block_on(server.create()).expect("a database");
    let ask = |query: &str| -> i64 {
        let row = runtime.block_on(own.control().query_one(query, &[]));
        row.expect("counts").get(0)
    };
    let ours = "select count(*) from pg_database where datname ~ '^deadheat_[0-9a-f]{8}_'";
    let count = || ask(ours);
    let locks = || ask("select count(*) from pg_locks where locktype = 'advisory'");
    let at = server.address();
    let apart = Apart::new();
    let text = std::fs::read_to_string(example("sql/lobby-5-cured.toml")).expect("an example");
    let url = format!(
        "server = \"postgres://{}@{}:{}/\"",
        at.user, at.host, at.port
    );
    let setup = example("lobby/schema.sql");
    let text = text.replace("../lobby/schema.sql", setup.to_str().expect("UTF-8"));
    let text = text.replace(
        "engine = \"postgres\"",
        &format!("engine = \"postgres\"\n{url}"),
    );
    apart.bench.scenario("named.toml", &text);

    let status = apart.start(&["find", "--runs", "3", "named.toml"]).end();
    assert_eq!(status.code(), Some(0), "{}", apart.said("err"));
    assert_eq!(count(), 0, "after success");

    for (signal, left) in [(Signal::TERM, false), (Signal::KILL, true)] {
        let mut started = apart.start(&["find", "--time", "10m", "named.toml"]);
        wait_until("it makes its databases", || count() >= 2);
        started.signal(signal);
        started.end();
        assert_eq!(count() > 0, left, "{signal:?}");
    }
    // Busy as it may be with a database that was asked for, the server has to notice that nobody waits for it.
    wait_until("the server notices", || locks() == 0);
    let status = apart.start(&["find", "--runs", "3", "named.toml"]).end();
    assert_eq!(status.code(), Some(0), "{}", apart.said("err"));
    assert_eq!(count(), 0, "after the next start");
    apart.nothing_is_left();
}
