//! A worker on the tasks of deadheat-cure: it takes a task, and completes it with what it found out.
//!
//! An ordinary service. `queue-ours prepare` makes the tables and orders a task. A task that was claimed more than a
//! minute ago goes to whoever asks next.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use deadheat_cure::retry::{self, Policy};
use deadheat_cure::tasks::{self, Task};
use deadheat_cure::{Pool, Tx, schema};
use example_support::{Trouble, refusal};
use serde::{Deserialize, Serialize};

const QUEUE: &str = "default";
const LEASE: Duration = Duration::from_mins(1);

#[derive(Serialize, Deserialize)]
struct Report {
    about: String,
}

impl Task for Report {
    const KIND: &'static str = "report";
}

/// Why the body of a transaction gives up.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Tasks(#[from] tasks::Error),
    #[error("database: {0}")]
    Database(#[from] tokio_postgres::Error),
}

/// What a request fails with.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("no connection: {0}")]
    Pool(#[from] deadpool_postgres::PoolError),
    #[error(transparent)]
    Tasks(#[from] tasks::Error),
    #[error(transparent)]
    Transaction(#[from] retry::Error<Failure>),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let lost = |error: &retry::Error<Failure>| {
            matches!(
                error.body(),
                Some(Failure::Tasks(tasks::Error::Lost { .. }))
            )
        };
        let status = match &self {
            Self::Transaction(error) if lost(error) => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        refusal(status, &self)
    }
}

#[derive(Serialize)]
struct Done {
    attempt: u32,
}

async fn prepare(pool: &Pool) -> Result<(), Trouble> {
    schema::migrate(pool).await?;
    let order = |tx: Tx, _| async move {
        let about = "September".to_owned();
        tasks::enqueue(&tx, &Report { about }).await?;
        Ok::<_, Failure>(())
    };
    retry::transaction(pool, &Policy::default(), order).await?;
    Ok(())
}

/// Takes a task and completes it, together with what it found out.
async fn work(State(pool): State<Pool>) -> Result<Response, Error> {
    let client = pool.get().await?;
    let claimed = tasks::claim(&client, QUEUE, None, 1, LEASE).await?;
    drop(client);
    let Some(claim) = claimed.first() else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let attempt = claim.attempt();
    let complete = |tx: Tx, _| async move {
        let note = "insert into results (task, attempt, attempt_by_then)
            select id, $2::integer, attempt from cure.tasks where id = $1";
        tx.execute(note, &[&claim.task(), &(attempt as i32)])
            .await?;
        claim.complete(&tx).await?;
        Ok::<_, Failure>(())
    };
    retry::transaction(&pool, &Policy::default(), complete).await?;
    Ok(Json(Done { attempt }).into_response())
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Trouble> {
    let pool = example_support::pool()?;
    if example_support::called_to("prepare") {
        return prepare(&pool).await;
    }
    let routes = Router::new().route("/work", post(work)).with_state(pool);
    example_support::serve(routes).await
}
