//! The command line: its words, and nothing of what they do.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Finds race conditions in services that keep their state in a database.
#[derive(Debug, Parser)]
#[command(name = "deadheat", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Search scenarios for races; save each race that is found.
    Find(Find),
    /// Run a saved race again, exactly, and say whether it still happens.
    Replay(Replay),
    /// Print a saved race: timeline, cause, what differs.
    Show(Show),
    /// Say what was found on this machine, and what to install where something lacks.
    Doctor,
    /// Print the JSON Schema of scenario files, for editors.
    Schema,
    /// Print completions for a shell.
    Completions {
        /// For which shell.
        shell: Shell,
    },
}

/// `deadheat find`.
#[derive(Debug, Args)]
pub struct Find {
    /// Scenario files.
    #[arg(required = true, value_name = "SCENARIO")]
    pub scenarios: Vec<PathBuf>,
    /// How schedules are chosen.
    #[arg(long, value_enum)]
    pub strategy: Option<Strategy>,
    /// The most preemptions a schedule may have.
    #[arg(long, value_name = "N")]
    pub preemptions: Option<u32>,
    /// The most runs.
    #[arg(long, value_name = "N")]
    pub runs: Option<u64>,
    /// The longest time, such as 90s or 2m; 60s unless the scenario says otherwise.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub time: Option<Duration>,
    /// How many labs run side by side [default: one a core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub labs: Option<u16>,
    /// Where random choices begin.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Look for further races after the first.
    #[arg(long)]
    pub keep_going: bool,
    /// Print one JSON object for each scenario instead of text.
    #[arg(long)]
    pub json: bool,
    /// Write results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Say where the time went.
    #[arg(long)]
    pub profile: bool,
    /// What databases may be used.
    #[command(flatten)]
    pub server: ServerFlags,
}

/// Flags of every command that starts labs.
#[derive(Debug, Args)]
pub struct ServerFlags {
    /// Allow a `server` in the scenario that is not on this machine.
    #[arg(long)]
    pub allow_remote_server: bool,
}

/// `deadheat replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// A saved race.
    #[arg(value_name = "RACE")]
    pub race: PathBuf,
    /// Run it so often.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub times: u32,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
    /// What databases may be used.
    #[command(flatten)]
    pub server: ServerFlags,
}

/// `deadheat show`.
#[derive(Debug, Args)]
pub struct Show {
    /// A saved race.
    #[arg(value_name = "RACE")]
    pub race: PathBuf,
}

/// How schedules are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Strategy {
    /// Every one that can make a difference.
    Exhaustive,
    /// At random.
    Random,
}

fn duration(text: &str) -> Result<Duration, String> {
    deadheat_scenario::parse_duration(text)
        .ok_or_else(|| "write a number and its unit: 500ms, 90s, 2m".to_owned())
}
