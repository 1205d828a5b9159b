//! What can go wrong, and which status says so.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use deadheat_cure::{retry, tasks};
use example_support::refusal;

/// Why the body of a transaction gives up.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("no such demand, or it is past that")]
    Past,
    #[error(transparent)]
    Tasks(#[from] tasks::Error),
    #[error("database: {0}")]
    Database(#[from] tokio_postgres::Error),
}

/// What a request fails with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Transaction(#[from] retry::Error<Failure>),
    #[error(transparent)]
    Tasks(#[from] tasks::Error),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let past = |error: &retry::Error<Failure>| matches!(error.body(), Some(Failure::Past));
        let status = match &self {
            Self::Transaction(error) if past(error) => StatusCode::CONFLICT,
            Self::Transaction(_) | Self::Tasks(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        refusal(status, &self)
    }
}
