//! The commands and their flags, as tables, from the words of the program's own help.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};

/// All commands, in the order of the help.
pub fn all() -> String {
    let mut whole = deadheat::args::Cli::command().disable_help_subcommand(true);
    whole.build();
    let mut text = String::new();
    for command in whole.get_subcommands().filter(|one| !one.is_hide_set()) {
        describe(command, &mut text);
    }
    text
}

fn describe(command: &Command, text: &mut String) {
    let about = command.get_about().map(ToString::to_string);
    let name = command.get_bin_name().expect("it was built");
    write!(
        text,
        "\n### {name}\n\n{}.\n",
        about.unwrap_or_default().trim_end_matches('.')
    )
    .expect("a string takes all");
    let of_its_own = |arg: &&Arg| !arg.is_hide_set() && arg.get_id() != "help";
    let mut rows = String::new();
    for arg in command.get_arguments().filter(of_its_own) {
        let meaning = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let row =
            [form(arg), format!("{meaning}.{}", more(arg))].map(|cell| cell.replace('|', "\\|"));
        writeln!(rows, "| {} |", row.join(" | ")).expect("as above");
    }
    if !rows.is_empty() {
        write!(text, "\n| flag | meaning |\n| --- | --- |\n{rows}").expect("as above");
    }
}

/// How it is typed.
fn form(arg: &Arg) -> String {
    let values: Vec<String> = arg
        .get_value_names()
        .filter(|_| arg.get_action().takes_values())
        .into_iter()
        .flatten()
        .map(ToString::to_string)
        .collect();
    let value = values.join(" ");
    if arg.is_positional() {
        let several = arg.get_num_args().is_some_and(|n| n.max_values() > 1);
        return format!("`{value}{}`", if several { "…" } else { "" });
    }
    let long = arg.get_long().map(|long| format!("--{long}"));
    let short = arg.get_short().map(|short| format!("-{short}"));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    let typed = format!("{} {value}", names.join(", "));
    format!("`{}`", typed.trim_end())
}

/// What the help says in brackets.
fn more(arg: &Arg) -> String {
    if !arg.get_action().takes_values() {
        return String::new();
    }
    let mut text = String::new();
    let choices: Vec<String> = arg
        .get_possible_values()
        .iter()
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !choices.is_empty() {
        write!(text, " One of {}.", choices.join(", ")).expect("a string takes all");
    }
    let defaults: Vec<String> = arg
        .get_default_values()
        .iter()
        .map(|value| format!("`{}`", value.display()))
        .collect();
    if !defaults.is_empty() {
        write!(text, " Default: {}.", defaults.join(", ")).expect("as above");
    }
    text
}
