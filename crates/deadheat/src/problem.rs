//! What keeps the program from running, as a user reads it: one message, and what mends it.

use std::path::Path;

use deadheat_lab::Trouble;
use deadheat_scenario::Errors;
use deadheat_verdict::LoadError;
use miette::{Diagnostic, Report};
use thiserror::Error;

/// Why nothing could be run; exit code 2.
#[derive(Debug, Error, Diagnostic)]
pub enum Problem {
    /// The scenario cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Scenario(#[from] Errors),
    /// A lab cannot be built or run.
    #[error("{trouble}")]
    Lab {
        /// Why.
        trouble: Trouble,
        /// What mends it.
        #[help]
        help: Option<String>,
    },
    /// A saved race cannot be read.
    #[error("{file}: {error}")]
    Race {
        /// The file.
        file: String,
        /// Why.
        error: LoadError,
    },
    /// A file cannot be read or written.
    #[error("{file}: {error}")]
    File {
        /// The file.
        file: String,
        /// Why.
        error: std::io::Error,
    },
    /// Anything else.
    #[error("{message}")]
    Other {
        /// What.
        message: String,
        /// What mends it.
        #[help]
        help: Option<String>,
    },
}

impl Problem {
    /// A file that cannot be used.
    pub fn file(path: &Path, error: std::io::Error) -> Self {
        Self::File {
            file: path.display().to_string(),
            error,
        }
    }

    /// Something else.
    pub fn other(message: impl Into<String>, help: Option<&str>) -> Self {
        Self::Other {
            message: message.into(),
            help: help.map(str::to_owned),
        }
    }

    /// As it is printed.
    pub fn report(self) -> Report {
        Report::new(self)
    }
}

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        let help = match &trouble {
            Trouble::PortTaken { .. } | Trouble::Sandbox(_) | Trouble::Setup(_) => None,
            Trouble::Command { .. } => Some(
                "these are its last lines; run it by hand with the DATABASE_URL of a database of yours to see more",
            ),
            Trouble::Before { .. } => Some(
                "what comes before the runs must succeed: `request`, `form`, `json` and `as` of this [[before]] decide",
            ),
            Trouble::NeverSettles { .. } | Trouble::NeverAnswers { .. } => Some(
                "a time-out of the service, a lock outside the database, or a statement that takes that long",
            ),
            Trouble::Bug(_) => Some("please report it, with the scenario and DEADHEAT_LOG=debug"),
            _ => None,
        };
        Self::Lab {
            help: help.map(str::to_owned),
            trouble,
        }
    }
}
