//! A search that is watched on its page while it goes on (browser/live.test.js), and is no other search for that; actors
//! that are moved by hand on a page (browser/step.test.js).
#![allow(missing_docs)]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Stdio};

use common::browser::{browse, browser, can_browse};
use common::{Bench, example};
use serde_json::Value;

/// A search with a page; it is interrupted when it is dropped.
struct Watched {
    child: Child,
    err: BufReader<ChildStderr>,
    page: String,
}

impl Watched {
    fn begin(bench: &Bench, args: &[&str]) -> Self {
        let mut command = bench.command();
        command
            .args(args)
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let mut err = BufReader::new(child.stderr.take().expect("a pipe"));
        let page = line_with(&mut err, "page: ");
        Self { child, err, page }
    }

    /// Waits until the search is over, and ends the program.
    fn over(mut self) -> (Option<i32>, String) {
        line_with(&mut self.err, "the page stays until Ctrl-C: ");
        self.end()
    }

    /// Ends the program as a person would. Its exit code, and what it printed.
    fn end(mut self) -> (Option<i32>, String) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
        let mut out = String::new();
        let mut pipe = self.child.stdout.take().expect("a pipe");
        pipe.read_to_string(&mut out).expect("text");
        (self.child.wait().expect("it ends").code(), out)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let pid = rustix::process::Pid::from_child(&self.child);
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

/// What follows these words on the first line that begins with them.
fn line_with(lines: &mut BufReader<ChildStderr>, start: &str) -> String {
    let mut line = String::new();
    while lines.read_line(&mut line).expect("text") > 0 {
        if let Some(rest) = line.trim_end().strip_prefix(start) {
            return rest.to_owned();
        }
        line.clear();
    }
    panic!("no line begins with {start:?}");
}

#[test]
fn people_watch_a_search_in_a_browser() {
    let Some(chromium) = can_browse() else {
        return;
    };
    let bench = Bench::new();
    let many = browser().join("many.toml").display().to_string();
    let search = [
        "find",
        "--ui",
        "--keep-going",
        "--no-shrink",
        "--labs",
        "2",
        "--time",
        "12s",
        &many,
    ];
    let watched = Watched::begin(&bench, &search);
    browse(&chromium, "live.test.js", ("PAGE", &watched.page));
    let (code, out) = watched.over();
    assert_eq!(code, Some(1));
    assert!(out.contains("many.toml: race"), "{out}");
}

#[test]
fn a_search_that_is_watched_is_no_other_search() {
    let bench = Bench::new();
    let scenario = example("sql/lost-update.toml");
    let (alone, json) = bench.find(&scenario, &["--labs", "1"]);
    let scenario = scenario.display().to_string();
    let search = ["find", "--ui", "--json", "--labs", "1", &scenario];
    let (code, out) = Watched::begin(&bench, &search).over();
    let watched: Value = serde_json::from_str(&out).expect("JSON alone");
    assert_eq!(code, Some(alone.code));
    for key in ["verdict", "exhausted", "runs", "traces", "races", "notes"] {
        assert_eq!(watched[key], json[key], "{key}");
    }
}

#[test]
fn what_cannot_be_read_has_no_page() {
    let bench = Bench::new();
    let said = bench.run(["find", "--ui", "nowhere.toml"]);
    assert_eq!(said.code, 2);
    assert!(!said.err.contains("page: "), "{}", said.err);
}

#[test]
fn people_move_the_actors_in_a_browser_and_replay_what_they_saved() {
    let Some(chromium) = can_browse() else {
        return;
    };
    let bench = Bench::new();
    let scenario = example("sql/lost-update.toml").display().to_string();
    let watched = Watched::begin(&bench, &["step", "--ui", &scenario]);
    browse(&chromium, "step.test.js", ("PAGE", &watched.page));
    let (code, out) = watched.end();
    assert_eq!(code, Some(0));
    let race = ".deadheat/lost-update-1.json";
    assert!(out.contains(&format!("saved: {race}")), "{out}");
    let again = bench.run(["replay", race]);
    assert_eq!(again.code, 1, "{}", again.err);
}
