//! How far a search is, on standard error: a bar on a terminal, a line every few seconds elsewhere.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use deadheat_explore::Progress;
use indicatif::{ProgressBar, ProgressStyle};

use crate::search::Watcher;
use crate::signals::Interrupted;

/// Time between two lines where there is no terminal.
const LINES_EVERY: Duration = Duration::from_secs(5);

/// Shows the progress of one search.
pub struct Display {
    interrupted: Interrupted,
    title: String,
    started: Instant,
    last_line: Instant,
    bar: Option<ProgressBar>,
}

impl Display {
    /// Begins to show.
    pub fn new(title: &str, interrupted: &Interrupted) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(
                ProgressStyle::with_template("{spinner} {prefix}  {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.set_prefix(title.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let now = Instant::now();
        Self {
            interrupted: Interrupted::clone(interrupted),
            title: title.to_owned(),
            started: now,
            last_line: now,
            bar,
        }
    }

    /// Says what is being done before the first run.
    pub fn doing(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Watcher for Display {
    fn progress(&mut self, progress: &Progress, serial_runs: u64, races: usize) {
        let runs = progress.runs + serial_runs;
        let seconds = self.started.elapsed().as_secs_f64();
        let mut message = format!(
            "{} traces in {runs} runs, {:.0} a second",
            progress.traces,
            runs as f64 / seconds.max(0.001),
        );
        if let Some(left) = progress.runs_left {
            let _ = write!(message, ", about {left} runs left");
        }
        let plural = if progress.preemptions == 1 { "" } else { "s" };
        let _ = write!(
            message,
            ", up to {} preemption{plural}",
            progress.preemptions
        );
        if races > 0 {
            let _ = write!(message, ", {races} found");
        }
        if let Some(bar) = &self.bar {
            bar.set_message(message);
        } else if self.last_line.elapsed() >= LINES_EVERY {
            self.last_line = Instant::now();
            // Nobody may be listening; the search goes on.
            let _ = writeln!(stderr(), "{}: {message}", self.title);
        }
    }

    fn stopped(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }
}
