//! How a transaction can end otherwise than well.

use crate::Source;

use super::cause::Cause;

/// Why a transaction did not commit. `E` is the error of its body.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error<E> {
    /// The body returned an error; all of it was rolled back.
    #[error("{error}")]
    Failed {
        /// What the body returned.
        #[source]
        error: E,
        /// What the server said to the statement that failed first, if one did.
        cause: Option<Cause>,
        /// How often it was tried.
        attempts: u32,
    },
    /// The server refused to commit; all of it was rolled back.
    #[error("the transaction cannot be committed: {source}")]
    Refused {
        /// What the server said.
        source: Source,
        /// The same, classified.
        cause: Cause,
        /// How often it was tried.
        attempts: u32,
    },
    /// The connection was lost while COMMIT was on its way: it may have happened or not. Look before doing it again, or
    /// make it such that twice is as good as once (a unique key of the caller's choice).
    #[error("the connection was lost during COMMIT, which may have happened or not: {source}")]
    CommitUnknown {
        /// What became of the connection.
        source: Source,
    },
    /// The body returned `Ok` although one of its statements had failed, so that there was nothing left to commit; all
    /// of it was rolled back.
    #[error("a statement of the transaction failed, which its body did not say: {cause:?}")]
    Swallowed {
        /// What the statement failed with.
        cause: Cause,
        /// How often it was tried.
        attempts: u32,
    },
    /// This was to be a transaction within the body of another: when it had to be tried again, so would the outer one.
    #[error("a transaction that is tried again cannot be within another one")]
    Nested,
    /// The body has ended, but its transaction was kept by somebody: nothing was committed, and nothing will be.
    #[error("the transaction was kept beyond its body")]
    Escaped,
    /// There was no connection, or it did not take BEGIN.
    #[error("no transaction could be begun: {source}")]
    NotBegun {
        /// What the pool or the server said.
        source: Source,
    },
}

impl<E> Error<E> {
    /// What the server said, where it did.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Failed { cause, .. } => cause.as_ref(),
            Self::Refused { cause, .. } | Self::Swallowed { cause, .. } => Some(cause),
            Self::CommitUnknown { .. } | Self::Nested | Self::Escaped | Self::NotBegun { .. } => {
                None
            }
        }
    }

    /// The error of the body.
    pub fn body(&self) -> Option<&E> {
        match self {
            Self::Failed { error, .. } => Some(error),
            _ => None,
        }
    }

    /// The error of the body, or the others as they are.
    ///
    /// # Errors
    /// Where it is not the body's.
    pub fn into_body(self) -> Result<E, Self> {
        match self {
            Self::Failed { error, .. } => Ok(error),
            other => Err(other),
        }
    }

    /// Whether it lost against others as often as it was tried (40001, 40P01): another time it may well work.
    pub fn is_conflict(&self) -> bool {
        matches!(self.cause(), Some(Cause::Serialization | Cause::Deadlock))
    }

    /// The name of the violated constraint, where it is one and has one.
    pub fn constraint(&self) -> Option<&str> {
        match self.cause() {
            Some(Cause::Integrity { constraint, .. }) => constraint.as_deref(),
            _ => None,
        }
    }
}

/// The errors that do not come from a body, to be turned into those of one.
impl Error<std::convert::Infallible> {
    pub(crate) fn of_commit<E>(self) -> Error<E> {
        match self {
            Self::Failed { error, .. } => match error {},
            Self::Refused {
                source,
                cause,
                attempts,
            } => Error::Refused {
                source,
                cause,
                attempts,
            },
            Self::CommitUnknown { source } => Error::CommitUnknown { source },
            Self::Swallowed { cause, attempts } => Error::Swallowed { cause, attempts },
            Self::Nested => Error::Nested,
            Self::Escaped => Error::Escaped,
            Self::NotBegun { source } => Error::NotBegun { source },
        }
    }
}
