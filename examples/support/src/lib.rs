//! What the services among the examples share, none of which is in any of the stories: where the database is, where they
//! listen, how an error is answered.

use std::env;
use std::fmt::Display;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use deadpool_postgres::{Manager, Pool};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_postgres::NoTls;

/// Connections in a pool.
pub const CONNECTIONS: usize = 5;

/// Why a service does not start.
pub type Trouble = Box<dyn std::error::Error>;

/// A pool of connections to the database of `DATABASE_URL`.
///
/// # Errors
/// When it does not say which.
pub fn pool() -> Result<Pool, Trouble> {
    let database: tokio_postgres::Config = env::var("DATABASE_URL")?.parse()?;
    let manager = Manager::new(database, NoTls);
    Ok(Pool::builder(manager).max_size(CONNECTIONS).build()?)
}

/// Whether this is the command that the program was called with (`marketplace migrate`).
pub fn called_to(command: &str) -> bool {
    env::args().nth(1).is_some_and(|word| word == command)
}

/// Serves on the port of `PORT`, on this machine only; `/health` says when.
///
/// # Errors
/// When it cannot listen there.
pub async fn serve(routes: Router) -> Result<(), Trouble> {
    let routes = routes.route("/health", get(|| async { "ok" }));
    let listener = TcpListener::bind(format!("127.0.0.1:{}", env::var("PORT")?)).await?;
    axum::serve(listener, routes).await?;
    Ok(())
}

#[derive(Serialize)]
struct Refusal {
    error: String,
}

/// An error as an answer.
pub fn refusal(status: StatusCode, error: &impl Display) -> Response {
    let error = error.to_string();
    (status, Json(Refusal { error })).into_response()
}
