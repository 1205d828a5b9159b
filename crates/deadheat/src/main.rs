//! The program: reads the command line, runs the command, ends with its exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use deadheat::args::Cli;
use deadheat::{command, signals};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_env("DEADHEAT_LOG"))
        .with_writer(std::io::stderr)
        .init();
    deadheat::lay_out_problems();
    let interrupted = match signals::listen() {
        Ok(interrupted) => interrupted,
        Err(error) => {
            // Standard error may be closed; there is nowhere else to say it.
            let _ = writeln!(std::io::stderr(), "cannot listen for signals: {error}");
            return ExitCode::from(2);
        }
    };
    match command::run(cli.command, &interrupted) {
        Ok(code) => ExitCode::from(code),
        Err(problem) => {
            let _ = writeln!(std::io::stderr(), "{}", problem.in_words());
            ExitCode::from(2)
        }
    }
}
