//! Moving the actors by hand, on a terminal that tmux makes: keys are pressed, the screen is read.
#![allow(missing_docs)]

mod common;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Bench, example, has, said};

/// How long a screen may take to show what is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// A terminal in which a person steps.
struct Screen<'b> {
    bench: &'b Bench,
    socket: String,
}

impl<'b> Screen<'b> {
    /// Opens a terminal and runs a shell command in it; the terminal stays when it ends.
    fn open(bench: &'b Bench, columns: u16, lines: u16, command: &str) -> Self {
        let socket = bench.folder.path().join("tmux").display().to_string();
        let screen = Self { bench, socket };
        let (columns, lines) = (columns.to_string(), lines.to_string());
        let shell =
            format!("{command}; echo left with $?; stty -a | grep -ow -- '-*icanon'; sleep 600");
        let size = ["-x", &columns, "-y", &lines];
        screen.tmux(
            &[
                &["-f", "/dev/null", "new-session", "-d"],
                &size[..],
                &[&shell],
            ]
            .concat(),
        );
        screen
    }

    fn tmux(&self, words: &[&str]) -> String {
        let mut command = self.bench.command_of("tmux");
        command
            .env_remove("NO_COLOR")
            .env_remove("TMUX")
            .env("LC_ALL", "C.UTF-8");
        let output = command
            .args(["-u", "-S", &self.socket])
            .args(words)
            .stdin(Stdio::null())
            .output();
        let said = said(output.expect("tmux runs"));
        assert_eq!(said.code, 0, "{words:?}: {}", said.err);
        said.out
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn shown(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the screen shows it; returns the screen.
    #[track_caller]
    fn wait(&self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let shown = self.shown();
            if shown.contains(text) {
                return shown;
            }
            assert!(begun.elapsed() < PATIENCE, "waited for {text:?}:\n{shown}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

fn step(scenario: &str) -> String {
    let program = env!("CARGO_BIN_EXE_deadheat");
    let path = example(scenario);
    format!("{program} step {}", path.display())
}

#[test]
fn a_person_steps_into_a_lost_update_and_saves_it() {
    if !has("tmux") {
        return;
    }
    let bench = Bench::new();
    let screen = Screen::open(&bench, 120, 24, &step("sql/lost-update.toml"));
    let begun = screen.wait("steps: 0");
    assert_eq!(begun.matches("starts: ").count(), 2, "{begun}");
    assert!(
        begun.contains("counter"),
        "the tables stand beside:\n{begun}"
    );
    screen.press(&["1"]);
    screen.wait("steps: 1");
    screen.press(&["2"]);
    screen.wait("steps: 2");
    screen.press(&["s"]);
    screen.wait("not over");
    screen.press(&["e"]);
    screen.wait("RACE: lost-update");
    screen.press(&["s"]);
    screen.wait("saved: .deadheat/lost-update-1.json");
    screen.press(&["q"]);
    let left = screen.wait("left with 0");
    assert!(
        left.contains("again: deadheat replay .deadheat/lost-update-1.json"),
        "{left}"
    );
    let replay = bench.run(["replay", ".deadheat/lost-update-1.json"]);
    assert_eq!(replay.code, 1, "{}\n{}", replay.out, replay.err);
}

#[test]
fn a_step_is_taken_back_and_one_after_the_other_is_no_race() {
    if !has("tmux") {
        return;
    }
    let bench = Bench::new();
    let screen = Screen::open(&bench, 120, 24, &step("sql/lost-update.toml"));
    screen.wait("steps: 0");
    screen.press(&["Down", "Enter"]);
    screen.wait("steps: 1");
    screen.press(&["BSpace"]);
    screen.wait("steps: 0");
    screen.press(&["e"]);
    screen.wait("over: no race");
    screen.press(&["s"]);
    screen.wait("nothing to save");
    screen.press(&["Escape"]);
    screen.wait("left with 0");
    assert!(!bench.folder.path().join(".deadheat").exists());
}

#[test]
fn who_waits_for_a_lock_is_seen_to_wait_on_a_narrow_screen_without_colour() {
    if !has("tmux") {
        return;
    }
    let bench = Bench::new();
    let command = format!("NO_COLOR=1 {}", step("sql/for-update.toml"));
    let screen = Screen::open(&bench, 60, 16, &command);
    screen.wait("steps: 0");
    screen.press(&["1"]);
    screen.wait("steps: 1");
    screen.press(&["2"]);
    let shown = screen.wait("waits for a1");
    assert!(!shown.contains("committed rows"), "{shown}");
    screen.press(&["2"]);
    screen.wait("somebody else must move");
    screen.press(&["Tab"]);
    screen.wait("committed rows");
    let painted = screen.tmux(&["capture-pane", "-p", "-e"]);
    let colours = (0..8).any(|n| painted.contains(&format!("\u{1b}[3{n}m")));
    assert!(!colours, "{painted:?}");
    screen.press(&["C-c"]);
    screen.wait("left with 0");
}

#[test]
fn a_signal_gives_the_terminal_back() {
    if !has("tmux") {
        return;
    }
    let bench = Bench::new();
    // Who runs it leaves its number behind.
    let command = format!(
        "sh -c 'echo $$ > pid; exec {}'",
        step("sql/lost-update.toml")
    );
    let screen = Screen::open(&bench, 80, 20, &command);
    screen.wait("steps: 0");
    let pid = std::fs::read_to_string(bench.folder.path().join("pid")).expect("is there");
    let killed = Command::new("kill").args(["-TERM", pid.trim()]).status();
    assert!(killed.expect("kill runs").success());
    let left = screen.wait("left with 143");
    assert!(
        !left.contains("steps: 0"),
        "the screen is as it was:\n{left}"
    );
    let lines = screen.wait("icanon");
    assert!(
        !lines.contains("-icanon"),
        "lines are read as before:\n{lines}"
    );
}

#[test]
fn without_a_terminal_it_says_what_it_is_for() {
    let bench = Bench::new();
    let path = example("sql/lost-update.toml");
    let path = path.to_str().expect("UTF-8");
    let refused = bench.run(["step", path]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.err.contains("for a person at a terminal"),
        "{}",
        refused.err
    );
    assert!(refused.err.contains("deadheat find"), "{}", refused.err);
}
