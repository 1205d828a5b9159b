//! What can go wrong, and which status says so.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use deadheat_cure::{Source, guard, retry};
use example_support::refusal;

/// Why an object was not taken, or its result not written.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Guard(#[from] guard::Error),
    #[error("database: {0}")]
    Database(#[from] tokio_postgres::Error),
    #[error("no transaction: {0}")]
    Transaction(Source),
}

impl Failure {
    /// That of the body, or of the transaction itself.
    pub fn of_transaction(error: retry::Error<Self>) -> Self {
        error
            .into_body()
            .unwrap_or_else(|error| Self::Transaction(error.into()))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no such object")]
    NoSuchObject,
    #[error("no connection: {0}")]
    Pool(#[from] deadpool_postgres::PoolError),
    #[error("database: {0}")]
    Database(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error("the calculation failed: {0}")]
    Calculation(#[from] tokio::task::JoinError),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoSuchObject => StatusCode::NOT_FOUND,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        refusal(status, &self)
    }
}
