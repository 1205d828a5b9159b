//! The command line: its words, and nothing of what they do.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Finds race conditions in services that keep their state in a database.
#[derive(Debug, Parser)]
#[command(
    name = "deadheat",
    version,
    max_term_width = 100,
    after_help = "To begin: deadheat init, then deadheat find deadheat.toml\n\
                  Exit codes: 0 no race, 1 a race, 2 it could not run, 3 not repeatable"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a first scenario, from flags or from a few questions.
    Init(Init),
    /// Search scenarios for races; save each race that is found.
    Find(Find),
    /// Run a saved race again, exactly, and say whether it still happens.
    Replay(Replay),
    /// Move the actors by hand, on a terminal or in the browser: see what each would do next, choose who moves, take steps back.
    Step(Step),
    /// Have a scenario searched by tests that attach themselves and play actors of it, by HTTP on this machine.
    Serve(Serve),
    /// Print a saved race: timeline, cause, what differs.
    Show(Show),
    /// Try, without touching the code, what would have prevented a saved race; say what to change.
    Fix(Fix),
    /// Run PostgreSQL isolation specs as isolationtester does, or explore what they can do.
    Spec(Spec),
    /// Stand between programs and a server, and say what every statement touches and how long it takes.
    Proxy(Proxy),
    /// Say what was found on this machine, and what to install where something lacks.
    Doctor,
    /// Print the JSON Schema of scenario files, for editors, or of saved races.
    Schema {
        /// That of saved races.
        #[arg(long)]
        race: bool,
    },
    /// Print the manual page of the program or of one of its commands: deadheat man find | man -l -
    Man {
        /// Of which command.
        #[arg(value_name = "COMMAND")]
        of: Option<String>,
    },
    /// Print completions for a shell.
    Completions {
        /// For which shell.
        shell: Shell,
    },
}

/// `deadheat init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The scenario to write.
    #[arg(value_name = "SCENARIO", default_value = "deadheat.toml")]
    pub file: PathBuf,
    /// What it is about, in a few words.
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// The command that starts the service; it gets DATABASE_URL and PORT in its environment.
    #[arg(long, value_name = "COMMAND")]
    pub run: Option<String>,
    /// The folder to run it in.
    #[arg(long, value_name = "FOLDER")]
    pub directory: Option<PathBuf>,
    /// An environment variable of the service; {port} stands for its port. Repeat it for more.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    /// The path that answers GET well when the service is ready [default: its port is open].
    #[arg(long, value_name = "PATH")]
    pub ready: Option<String>,
    /// A file of SQL that sets the database up; repeat it for more.
    #[arg(long, value_name = "FILE")]
    pub setup: Vec<PathBuf>,
    /// SQL that sets it up, after the files.
    #[arg(long, value_name = "SQL")]
    pub sql: Option<String>,
    /// A command that sets it up, such as a migration.
    #[arg(long, value_name = "COMMAND")]
    pub prepare: Option<String>,
    /// A request, with a JSON body if it has one: 'POST /orders {"item": 1}'. Repeat it for what comes at the same
    /// time; a single one is sent twice.
    #[arg(long, value_name = "REQUEST")]
    pub request: Vec<String>,
    /// Write over a file that is there.
    #[arg(long)]
    pub force: bool,
    /// Search the scenario at once.
    #[arg(long)]
    pub find: bool,
}

/// Flags of every command that searches.
#[derive(Debug, Args)]
pub struct SearchFlags {
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
    /// Save races as they were found, with actors and requests that they happen without.
    #[arg(long)]
    pub no_shrink: bool,
    /// What databases may be used.
    #[command(flatten)]
    pub server: ServerFlags,
}

/// `deadheat find`.
#[derive(Debug, Args)]
pub struct Find {
    /// Scenario files.
    #[arg(required = true, value_name = "SCENARIO")]
    pub scenarios: Vec<PathBuf>,
    /// How it is searched.
    #[command(flatten)]
    pub search: SearchFlags,
    /// Print one JSON object for each scenario instead of text.
    #[arg(long)]
    pub json: bool,
    /// Write results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write what was found as a page for the browser: one file with everything in it.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Show the search in the browser while it goes on, on a page of this machine that stays until Ctrl-C.
    #[arg(long)]
    pub ui: bool,
    /// Say where the time went.
    #[arg(long)]
    pub profile: bool,
}

/// `deadheat serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// A scenario file.
    #[arg(value_name = "SCENARIO")]
    pub scenario: PathBuf,
    /// How it is searched.
    #[command(flatten)]
    pub search: SearchFlags,
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

/// `deadheat step`.
#[derive(Debug, Args)]
pub struct Step {
    /// A scenario file.
    #[arg(value_name = "SCENARIO")]
    pub scenario: PathBuf,
    /// Do it in the browser, on a page of this machine.
    #[arg(long)]
    pub ui: bool,
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
    /// Write it as a page for the browser instead: one file with everything in it.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// `deadheat spec`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
pub struct Spec {
    /// Isolation specs.
    #[arg(required_unless_present = "schedule", value_name = "SPEC")]
    pub specs: Vec<PathBuf>,
    /// Run the specs of a schedule too, which lie in the folder `specs` beside it.
    #[arg(long, value_name = "FILE")]
    pub schedule: Option<PathBuf>,
    /// Compare with the expected files (../expected/NAME.out, NAME_1.out, …) instead of printing.
    #[arg(long)]
    pub check: bool,
    /// How many specs run side by side, each on a server of its own (with --server: in a database of its own).
    #[arg(long, short, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: u16,
    /// Leave the permutations aside: run all interleavings that can make a difference, and say what they come to.
    #[arg(long, conflicts_with_all = ["check", "jobs"])]
    pub explore: bool,
    /// Explore without reduction: every interleaving, also those that can make no difference.
    #[arg(long, requires = "explore")]
    pub every: bool,
    /// The most runs of an exploration.
    #[arg(long, value_name = "N", default_value_t = 10_000, requires = "explore")]
    pub runs: u64,
    /// The longest time of an exploration, such as 90s or 2m.
    #[arg(long, value_parser = duration, value_name = "TIME", default_value = "60s", requires = "explore")]
    pub time: Duration,
    /// Print one JSON object for each spec that was explored instead of text.
    #[arg(long, requires = "explore")]
    pub json: bool,
    /// Use this server, in scratch databases of our own, instead of a private one.
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// What databases may be used.
    #[command(flatten)]
    pub server_flags: ServerFlags,
}

/// `deadheat proxy`.
#[derive(Debug, Args)]
pub struct Proxy {
    /// The server: postgres://USER@HOST:PORT/, HOST:PORT, or the folder of its socket.
    #[arg(long, value_name = "ADDR")]
    pub to: String,
    /// Where to listen: HOST:PORT, or a port of this machine.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: String,
    /// Allow a `--listen` address that other machines can reach.
    #[arg(long)]
    pub allow_remote_clients: bool,
    /// Encrypt for clients that ask for it, with a certificate that vouches for itself.
    #[arg(long)]
    pub tls: bool,
    /// Write that certificate to a file, for clients that check it (sslrootcert).
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub certificate: Option<PathBuf>,
    /// Show only statements that touch this table; repeat it for more.
    #[arg(long, value_name = "NAME")]
    pub table: Vec<String>,
    /// Show only statements with this in their text, in capitals or not; repeat it for more.
    #[arg(long, value_name = "TEXT")]
    pub text: Vec<String>,
    /// Show only statements that take at least this long, such as 50ms.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub slower: Option<Duration>,
    /// Print one JSON object a line instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `deadheat fix`.
#[derive(Debug, Args)]
pub struct Fix {
    /// A saved race.
    #[arg(value_name = "RACE")]
    pub race: PathBuf,
    /// The most runs for each cure.
    #[arg(long, value_name = "N")]
    pub runs: Option<u64>,
    /// The longest time for each cure, such as 30s or 2m.
    #[arg(long, value_parser = duration, value_name = "TIME", default_value = "20s")]
    pub time: Duration,
    /// How many labs run side by side [default: one a core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub labs: Option<u16>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
    /// What databases may be used.
    #[command(flatten)]
    pub server: ServerFlags,
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

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
