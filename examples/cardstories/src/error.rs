//! What can go wrong, and which status says so.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no such game")]
    NoSuchGame,
    #[error("{0}")]
    Refused(&'static str),
    #[error("the game was destroyed")]
    Destroyed,
    #[error("no connection: {0}")]
    Pool(#[from] deadpool_postgres::PoolError),
    #[error("database: {0}")]
    Database(#[from] tokio_postgres::Error),
}

#[derive(Serialize)]
struct Refusal {
    error: String,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoSuchGame => StatusCode::NOT_FOUND,
            Self::Refused(_) => StatusCode::CONFLICT,
            Self::Destroyed | Self::Pool(_) | Self::Database(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        let error = self.to_string();
        (status, Json(Refusal { error })).into_response()
    }
}
