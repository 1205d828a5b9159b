//! `deadheat man`: manual pages, from the same words as the help.

use clap::CommandFactory;
use clap_mangen::Man;

use super::print;
use crate::args::Cli;
use crate::problem::Problem;

/// Runs the command.
pub fn run(of: Option<&str>) -> Result<u8, Problem> {
    let mut whole = Cli::command().disable_help_subcommand(true);
    // Gives the commands their full names.
    whole.build();
    let page = match of {
        None => whole,
        Some(name) => page_of(&whole, name)?,
    };
    let mut words = Vec::new();
    Man::new(page)
        .source(concat!("deadheat ", env!("CARGO_PKG_VERSION")))
        .render(&mut words)
        .map_err(|error| Problem::other(format!("the manual page: {error}"), None))?;
    print(&String::from_utf8_lossy(&words))?;
    Ok(0)
}

fn page_of(whole: &clap::Command, name: &str) -> Result<clap::Command, Problem> {
    if let Some(found) = whole.find_subcommand(name) {
        return Ok(found.clone());
    }
    let known: Vec<&str> = whole
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    let help = format!("one of {}", known.join(", "));
    let message = format!("there is no command `{name}`");
    Err(Problem::other(message, Some(&help)))
}
