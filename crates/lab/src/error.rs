//! What can keep a lab from running.

use deadheat_sandbox::{Error as SandboxError, SetupError};
use thiserror::Error;

use crate::record::{Record, Step};

/// Why a lab could not be built, or a run could not be finished.
#[derive(Debug, Error)]
pub enum Trouble {
    /// The sandbox could not be made, put back or asked.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A statement of the scenario's setup failed.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The control connection failed.
    #[error("the database answered the lab's own question with an error: {}", in_words(.0))]
    Database(#[from] tokio_postgres::Error),
    /// The system refused a socket, a timer or a file.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A command of the scenario (`prepare`, a service, `[[before]]`) failed.
    #[error("{what} {how}\n{log}")]
    Command {
        /// Which one: ``[service.web] `python app.py` ``.
        what: String,
        /// What happened: "exited at once with status 1".
        how: String,
        /// The last lines that it printed.
        log: String,
    },
    /// The port a service is to listen on is taken.
    #[error(
        "port {port} is already taken, so [service.{service}] cannot listen on it; leave `PORT` to `{{port}}`, or stop what listens there"
    )]
    PortTaken {
        /// The service.
        service: String,
        /// The port.
        port: u16,
    },
    /// A request before the runs was not answered as expected.
    #[error("[[before]] {request}: {how}")]
    Before {
        /// The request.
        request: String,
        /// What happened.
        how: String,
    },
    /// An invariant's query says neither true nor false when nothing goes wrong.
    #[error("the invariant \"{name}\" cannot be asked: {how}")]
    Invariant {
        /// Which one.
        name: String,
        /// Its query.
        sql: String,
        /// What the server said.
        how: String,
    },
    /// A statement of an actor means nothing to the server, whoever comes first.
    #[error("{actor}: {how}, whoever comes first")]
    Statement {
        /// Whose it is.
        actor: String,
        /// The statement.
        sql: String,
        /// What the server said.
        how: String,
    },
    /// A value in a template is not there.
    #[error("{actor}: {how}")]
    Template {
        /// Whose request or statement it was.
        actor: String,
        /// What is wrong.
        how: String,
    },
    /// An actor ran longer than any step may take.
    #[error("{actor} neither sent a statement nor finished nor came to rest within {seconds} s")]
    NeverSettles {
        /// Who.
        actor: String,
        /// The limit.
        seconds: u64,
    },
    /// A statement was neither answered nor waits for another actor.
    #[error(
        "a statement of {actor} was not answered within {seconds} s, and waits for no lock of another actor"
    )]
    NeverAnswers {
        /// Who.
        actor: String,
        /// The limit.
        seconds: u64,
    },
    /// The server does not say who waits for whom.
    #[error("the server has not said within {seconds} s who waits for whose locks")]
    Silent {
        /// The limit.
        seconds: u64,
    },
    /// An actor is attached, and nobody plays it.
    #[error("{0} is attached, and nobody plays it")]
    Unplayed(String),
    /// The statements of an actor that runs alone do not come to repeat themselves.
    #[error("the same schedule gave different runs")]
    Unrepeatable(Box<Difference>),
    /// Something that must not happen happened.
    #[error("a bug in deadheat: {0}")]
    Bug(String),
}

/// Two runs of one schedule that differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The schedule up to the step, by name.
    pub schedule: Vec<String>,
    /// The step at which they differ, counted from 0.
    pub step: usize,
    /// Whose step it is.
    pub actor: String,
    /// What the one did, in words.
    pub one: String,
    /// What the other did.
    pub other: String,
}

/// What the server said, or what happened to the connection.
pub(crate) fn in_words(error: &tokio_postgres::Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), |db| db.message().to_owned())
}

impl Difference {
    /// At a step of this run.
    pub fn at(record: &Record, step: usize, one: String, other: String) -> Self {
        let name = |step: &Step| record.actors[usize::from(step.actor.0)].clone();
        Self {
            schedule: record.steps.iter().take(step).map(name).collect(),
            actor: record
                .steps
                .get(step)
                .map_or_else(|| "nobody".to_owned(), name),
            step,
            one,
            other,
        }
    }
}

impl Trouble {
    pub(crate) fn bug(what: &str) -> Self {
        Self::Bug(what.to_owned())
    }

    /// For `map_err`: what was tried when the system refused.
    pub(crate) fn system(what: &str) -> impl FnOnce(std::io::Error) -> Self + use<'_> {
        move |source| Self::System {
            what: what.to_owned(),
            source,
        }
    }
}
