//! What each command does, one module a command.

mod find;
mod fix;
mod ground;
mod init;
mod man;
mod narrow;
mod proxy;
mod replay;
mod rules;
mod saving;
mod screen;
mod searching;
mod serve;
mod show;
mod spec;
mod step;

use std::io::{IsTerminal, Write, stdout};
use std::path::Path;

use clap::CommandFactory;
use deadheat_report::Style;

use crate::args::{Cli, Command};
use crate::problem::Problem;
use crate::signals::Interrupted;

/// Runs a command; returns the exit code.
///
/// # Errors
/// When nothing could be run: a bad file, no database.
pub fn run(command: Command, interrupted: &Interrupted) -> Result<u8, Problem> {
    match command {
        Command::Init(init) => init::run(&init, interrupted),
        Command::Find(find) => find::run(&find, interrupted),
        Command::Replay(replay) => replay::run(&replay, interrupted),
        Command::Step(step) => step::run(&step, interrupted),
        Command::Serve(serve) => serve::run(&serve, interrupted),
        Command::Show(show) => show::run(&show),
        Command::Fix(fix) => fix::run(&fix, interrupted),
        Command::Spec(spec) => spec::run(&spec, interrupted),
        Command::Proxy(proxy) => proxy::run(&proxy, interrupted),
        Command::Doctor => {
            let findings = deadheat_sandbox::doctor();
            print(&format!("{findings}\n"))?;
            Ok(if findings.used.is_some() { 0 } else { 2 })
        }
        Command::Schema { race } => {
            let schema = if race {
                deadheat_verdict::schema()
            } else {
                deadheat_scenario::schema()
            };
            print(&format!("{schema:#}\n"))?;
            Ok(0)
        }
        Command::Man { of } => man::run(of.as_deref()),
        Command::Completions { shell } => {
            let mut words = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "deadheat", &mut words);
            print(&String::from_utf8_lossy(&words))?;
            Ok(0)
        }
    }
}

/// Writes a result to standard output.
fn print(text: &str) -> Result<(), Problem> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads has enough (`| head`).
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Problem::other(format!("cannot print: {error}"), None)),
        Ok(()) => Ok(()),
    }
}

/// How text looks on this standard output.
fn style() -> Style {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let width = rustix::termios::tcgetwinsize(stdout())
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|width| *width > 0);
    Style {
        width: width.unwrap_or(100),
        colour: stdout().is_terminal() && !plain,
    }
}

/// The last part of a path, as people call the file.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
