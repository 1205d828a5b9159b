//! A lab's trouble as a user reads it: where the scenario says so, what the process or the server said, what mends it.

use std::path::Path;

use deadheat_lab::Trouble;
use deadheat_sandbox::{Error, SetupError};

use crate::place::{self, Place};
use crate::problem::{Failure, Problem};

/// How the section of any database begins.
const DATABASE: &str = "[database";
const ACTOR: &str = "[[actor]]";
const SERVER: &str = "is a server running there that takes TCP connections?\n\
                      On Debian: service postgresql start; pg_lsclusters shows its port.\n\
                      Without `server` in the scenario a private one is started.";
const LET_IN: &str = "the server is there and does not let this user in: `server` in the scenario names user, password and \
                      database,\nas in postgres://user:password@127.0.0.1:5432/postgres";

impl Problem {
    /// What kept labs of this scenario from running.
    pub fn of(trouble: Trouble, scenario: &Path) -> Self {
        let seek = |header: &str, value: &str| place::of_value(scenario, header, value);
        let failure = match trouble {
            Trouble::Sandbox(error) => sandbox(&error, scenario),
            Trouble::Setup(error) => setup(&error),
            Trouble::Command { what, how, log } => command(&what, &how, &log, seek),
            Trouble::PortTaken { service, port } => {
                let header = format!("[service.{service}]");
                let message =
                    format!("port {port} is already taken, so {header} cannot listen on it");
                let help = format!(
                    "let a free port be chosen: PORT = \"{{port}}\" in its `env`;\nor stop what listens there: \
                     ss -ltnp \"sport = :{port}\" says who that is"
                );
                Failure::new(message)
                    .mended_by(help)
                    .placed(seek(&header, &port.to_string()), None)
            }
            Trouble::Before { request, how } => {
                Failure::new(format!("[[before]] {request}: {how}"))
                    .mended_by(
                        "every run starts from what [[before]] leaves, so all of it must succeed",
                    )
                    .placed(seek("[[before]]", &request), None)
            }
            Trouble::Invariant { ref sql, .. } => Failure::new(trouble.to_string())
                .mended_by(
                    "an invariant is a query that returns true when all is well: \"select count(*) <= 4 from players\"",
                )
                .placed(seek("[check", sql), None),
            Trouble::Statement {
                ref actor, ref sql, ..
            } => statement(trouble.to_string(), actor, sql, scenario),
            trouble => {
                let help = match &trouble {
                    Trouble::NeverSettles { .. } | Trouble::NeverAnswers { .. } => {
                        "a time-out of the service, a lock outside the database, or a statement that takes that long"
                    }
                    Trouble::Unplayed(_) => {
                        "run the test that plays it; `deadheat serve` is what it attaches itself to"
                    }
                    Trouble::Bug(_) => "please report it, with the scenario and DEADHEAT_LOG=debug",
                    _ => "DEADHEAT_LOG=debug shows what came before",
                };
                Failure::new(trouble.to_string()).mended_by(help)
            }
        };
        failure.into()
    }
}

impl Failure {
    fn placed(self, place: Option<Place>, label: Option<String>) -> Self {
        match place {
            Some(place) => self.at(&place.file, place.text, place.span.into(), label),
            None => self,
        }
    }
}

/// A statement that the server does not understand.
fn statement(message: String, actor: &str, sql: &str, scenario: &Path) -> Failure {
    let failure = Failure::new(message).mended_by(
        "an actor that never gets that far races with nobody; if it is meant to be refused, `allow` that code in [check]",
    );
    match place::of_sent(scenario, ACTOR, sql) {
        Some(place) => failure.placed(Some(place), None),
        // A service's, or written otherwise than it reads.
        None => failure
            .placed(
                place::of_value(scenario, ACTOR, &format!("\"{actor}\"")),
                None,
            )
            .showing(format!("the statement:\n{}", indented(sql))),
    }
}

/// A service, `prepare` or a command that failed.
fn command(
    what: &str,
    how: &str,
    log: &str,
    seek: impl Fn(&str, &str) -> Option<Place>,
) -> Failure {
    let (before, run) = what.split_once('`').unwrap_or((what, ""));
    let run = run.trim_end_matches('`');
    let header = before.split(' ').next().unwrap_or(before);
    let place = seek(header, run).or_else(|| seek(DATABASE, run));
    let message = match &place {
        // The command itself stands below.
        Some(place) if section_of(place).starts_with("[database]") => {
            format!("{}{how}", before.replace("[database.main]", "[database]"))
        }
        Some(_) => format!("{before}{how}"),
        None => format!("{what} {how}"),
    };
    let help = if how.contains("status 127") {
        "the shell found no such command: is it installed, and on the PATH?"
    } else if how.contains(" within ") {
        "`ready` in the scenario says how to tell that it is ready, `ready_within` how long to wait; it must listen on \
         the PORT in its environment"
    } else {
        "by hand, to see more: run it with DATABASE_URL set to a database of yours"
    };
    let details = match log.trim() {
        "" => "it printed nothing".to_owned(),
        log => format!("its last lines:\n{}", indented(log)),
    };
    Failure::new(message)
        .mended_by(help)
        .showing(details)
        .placed(place, None)
}

/// The header of the section that a place is in.
fn section_of(place: &Place) -> &str {
    let before = &place.text[..place.span.start];
    let headers = before.lines().rev().map(str::trim);
    headers
        .into_iter()
        .find(|line| line.starts_with('['))
        .unwrap_or_default()
}

/// A statement of the setup that the server refused.
fn setup(error: &SetupError) -> Failure {
    let code = error.code.as_ref().map(|code| format!(" ({code})"));
    let what = if error.origin.ends_with("[[before]] sql") {
        "[[before]]"
    } else {
        "the setup"
    };
    let message = format!(
        "{what} failed: {}{}",
        error.message,
        code.unwrap_or_default()
    );
    let mut failure = Failure::new(message);
    failure.help.clone_from(&error.hint);
    if let Some(place) = place::of_statement(error) {
        return failure.placed(Some(place), error.detail.clone());
    }
    let place = format!("{}:{}:{}", error.origin, error.line, error.column);
    let mut details = vec![format!("at {place}:"), indented(&error.statement)];
    details.extend(error.detail.clone());
    failure.showing(details.join("\n"))
}

/// No server, or one that cannot be used.
fn sandbox(error: &Error, scenario: &Path) -> Failure {
    let message = error.to_string();
    let server = || place::of_key(scenario, DATABASE, "server");
    match error {
        Error::NoBinaries(findings) => {
            let remedy = findings.remedy.as_deref().unwrap_or("install PostgreSQL");
            let help = format!(
                "{remedy}\n(or name a server in the scenario: server = \"postgres://user@127.0.0.1/\")"
            );
            Failure::new("no PostgreSQL server programs were found on this machine")
                .mended_by(help)
                .showing(findings.searched())
        }
        Error::Remote { host } => Failure::new(message)
            .mended_by("deadheat find --allow-remote-server, if that is meant")
            .placed(place::of_value(scenario, DATABASE, host), None),
        Error::Address(_) | Error::Unfit { .. } => Failure::new(message).placed(server(), None),
        Error::Setting { name, .. } => {
            Failure::new(message).placed(place::of_value(scenario, DATABASE, name), None)
        }
        Error::Connect { source, .. } => match server() {
            Some(place) if source.as_db_error().is_some() => Failure::new(message)
                .mended_by(LET_IN)
                .placed(Some(place), None),
            Some(place) => Failure::new(message)
                .mended_by(SERVER)
                .placed(Some(place), None),
            None => Failure::new(message).mended_by("`deadheat doctor` says more"),
        },
        Error::Program { program, said } => Failure::new(format!("{program} failed"))
            .mended_by("`deadheat doctor` says which programs are used, and as whom")
            .showing(format!("it said:\n{}", indented(said))),
        _ => Failure::new(message),
    }
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}
