//! What can go wrong, and which status says so.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use example_support::refusal;

use crate::rules::Refused;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no such game")]
    NoSuchGame,
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the game was destroyed")]
    Destroyed,
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("cards that are none: {0}")]
    Cards(#[from] serde_json::Error),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoSuchGame => StatusCode::NOT_FOUND,
            Self::Refused(_) => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        refusal(status, &self)
    }
}
