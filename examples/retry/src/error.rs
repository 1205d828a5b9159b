//! What can go wrong, and which status says so.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use deadheat_cure::retry;
use example_support::refusal;

/// Why the body of a transaction gives up.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Refused(&'static str),
    #[error("database: {0}")]
    Database(#[from] tokio_postgres::Error),
}

/// What became of a transaction that did not commit.
pub struct Error(retry::Error<Failure>);

impl From<retry::Error<Failure>> for Error {
    fn from(error: retry::Error<Failure>) -> Self {
        Self(error)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match self.0.body() {
            Some(Failure::Refused(_)) => StatusCode::CONFLICT,
            _ if self.0.is_conflict() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        refusal(status, &self.0)
    }
}
