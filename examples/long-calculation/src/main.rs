//! Objects with a result that takes long to calculate: users edit them while workers calculate.
//!
//! An ordinary axum service with a pool of connections; it knows nothing of Deadheat. `CALCULATION_VARIANT=racy` (the
//! default) and `CALCULATION_VARIANT=cured` choose how workers take objects and give results (`work.rs`).

mod error;
mod work;

use std::env;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use deadpool_postgres::Pool;
use example_support::Trouble;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use crate::error::Error;

#[derive(Clone)]
struct Service {
    pool: Pool,
    cured: bool,
}

#[derive(Deserialize)]
struct Edit {
    input: i64,
}

#[derive(Deserialize)]
struct Worker {
    name: String,
}

#[derive(Serialize)]
struct Object {
    id: i32,
    input: i64,
    version: i64,
    result: Option<i64>,
}

impl From<Row> for Object {
    fn from(row: Row) -> Self {
        Self {
            id: row.get("id"),
            input: row.get("input"),
            version: row.get("version"),
            result: row.get("result"),
        }
    }
}

async fn read(State(service): State<Service>, Path(id): Path<i32>) -> Result<Json<Object>, Error> {
    let client = service.pool.get().await?;
    let find = "select id, input, version, result from objects where id = $1";
    let row = client.query_opt(find, &[&id]).await?;
    Ok(Json(row.ok_or(Error::NoSuchObject)?.into()))
}

/// The user edits; what was calculated is of no use any more.
async fn edit(
    State(service): State<Service>,
    Path(id): Path<i32>,
    Json(Edit { input }): Json<Edit>,
) -> Result<Json<Object>, Error> {
    let client = service.pool.get().await?;
    let edit = "update objects set input = $2, version = version + 1, result = null where id = $1
        returning id, input, version, result";
    let row = client.query_opt(edit, &[&id, &input]).await?;
    Ok(Json(row.ok_or(Error::NoSuchObject)?.into()))
}

/// A worker asks for work, does it, and says what it did.
async fn work(
    State(service): State<Service>,
    Json(Worker { name }): Json<Worker>,
) -> Result<Response, Error> {
    let done = if service.cured {
        work::cured(&service.pool, &name).await?
    } else {
        work::racy(&service.pool, &name).await?
    };
    Ok(match done {
        Some(done) => Json(done).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Trouble> {
    let pool = example_support::pool()?;
    let cured = env::var("CALCULATION_VARIANT").is_ok_and(|variant| variant == "cured");

    let routes = Router::new()
        .route("/objects/{id}", get(read).put(edit))
        .route("/work", post(work))
        .with_state(Service { pool, cured });
    example_support::serve(routes).await
}
