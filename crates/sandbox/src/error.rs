//! What can go wrong, in words a user can act on.

use std::fmt;
use std::path::PathBuf;

use crate::doctor::Findings;

/// Why a server, database or process could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No PostgreSQL server programs on this machine.
    #[error("no PostgreSQL server programs were found on this machine\n{0}")]
    NoBinaries(Box<Findings>),
    /// The operating system refused something.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done, as in "cannot …".
        doing: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A folder that should be ours is not.
    #[error("{path} cannot be used: {why}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it, and what mends it.
        why: String,
    },
    /// A program of PostgreSQL failed.
    #[error("{program} failed: {said}")]
    Program {
        /// The program.
        program: String,
        /// The end of what it said.
        said: String,
    },
    /// A setting that the sandbox itself decides.
    #[error("the setting `{name}` cannot be changed: {why}")]
    Setting {
        /// Name of the setting.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// The address of a named server cannot be understood.
    #[error("the server address cannot be understood: {0}")]
    Address(String),
    /// A named server that is not on this machine.
    #[error("the server {host} is not on this machine, and scratch databases would be made there")]
    Remote {
        /// The host as given.
        host: String,
    },
    /// A named server that cannot serve.
    #[error("the server at {server} cannot be used: {why}")]
    Unfit {
        /// The server, without its password.
        server: String,
        /// What is missing, and what mends it.
        why: String,
    },
    /// A connection could not be made.
    #[error("cannot connect to {to}: {}", in_words(source))]
    Connect {
        /// Server and database, without the password.
        to: String,
        /// What the driver said.
        source: tokio_postgres::Error,
    },
    /// The server refused a statement of the sandbox.
    #[error("cannot {doing}: {}", in_words(source))]
    Sql {
        /// What was being done, as in "cannot …".
        doing: String,
        /// What the server said.
        source: tokio_postgres::Error,
    },
    /// These tables cannot be put back in place: take a fresh copy from the template.
    #[error("the database must be copied afresh from its template: {0}")]
    CopyInstead(String),
    /// [`crate::Database::reset`] was asked for before [`crate::Database::snapshot`].
    #[error("the database has no snapshot to return to")]
    NoSnapshot,
}

impl Error {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    pub(crate) fn sql(doing: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Sql { doing, source }
    }
}

/// The driver's own text for a refusal is "db error": the server's words are behind it.
pub(crate) fn in_words(error: &tokio_postgres::Error) -> String {
    let Some(db) = error.as_db_error() else {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            let inner_text = inner.to_string();
            if !text.contains(&inner_text) {
                text = format!("{text}: {inner_text}");
            }
            cause = inner.source();
        }
        return text;
    };
    let mut text = format!("{} ({})", db.message(), db.code().code());
    for more in [db.detail(), db.hint()].into_iter().flatten() {
        text.push_str("; ");
        text.push_str(more);
    }
    text
}

/// A setup script that failed, with the place it failed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupError {
    /// Where the text came from: usually a file name.
    pub origin: String,
    /// Line in the text, counted from 1.
    pub line: usize,
    /// Column in that line in characters, counted from 1.
    pub column: usize,
    /// Byte of the statement that the server points at; 0 where it points at none.
    pub offset: usize,
    /// The statement that failed; empty when the failure is not one of a statement.
    pub statement: String,
    /// SQLSTATE, when the server refused.
    pub code: Option<String>,
    /// What went wrong.
    pub message: String,
    /// The server's detail.
    pub detail: Option<String>,
    /// What may mend it.
    pub hint: Option<String>,
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.origin, self.line, self.column, self.message
        )?;
        if let Some(detail) = &self.detail {
            write!(f, "\n  {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SetupError {}
