//! Connections to a server, as much of them as isolation specs need and exactly as libpq deals with them.
//!
//! That a step is complete means that the *first* result of its query has been read, not all of them; that notices are
//! printed means that they are read on the way to a result. Both are visible in the output of a spec, so a session here
//! reads message by message and stops where libpq stops. It blocks and belongs to one thread, like the original.

mod handshake;
mod session;
mod socket;

use std::path::PathBuf;

pub use session::Session;

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host name or address for TCP.
    pub host: String,
    /// Port, of the socket's name too.
    pub port: u16,
    /// The folder of the Unix socket, which is used where there is one.
    pub socket: Option<PathBuf>,
    /// User to connect as.
    pub user: String,
    /// Password, where one is needed.
    pub password: Option<String>,
    /// The database.
    pub database: String,
}

/// A connection could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Something failed outside the server.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What.
        doing: &'static str,
        /// How.
        source: std::io::Error,
    },
    /// The server refused.
    #[error("the server refused the connection: {0}")]
    Refused(String),
    /// The server asks for something we do not do.
    #[error("the server asks for {0}, which is not supported here")]
    Unsupported(String),
    /// The connection is at its end.
    #[error("{CLOSED}")]
    Closed,
}

impl WireError {
    fn io(doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}

/// What libpq says when a server has gone.
pub(crate) const CLOSED: &str = "server closed the connection unexpectedly\n\tThis probably means the server terminated \
                                 abnormally\n\tbefore or while processing the request.\n";
