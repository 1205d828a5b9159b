//! A marketplace: sellers edit demands, a task validates them, customers confirm what is published.
//!
//! An ordinary axum service with a pool of connections and the tasks of deadheat-cure; several instances may run.
//! `marketplace migrate` makes the tables of the tasks. `MARKET_VARIANT` says when an edit orders the validation:
//! `before` its transaction, `after` its commit, or `inside` (the default).

mod demands;
mod error;
mod validation;

use std::env;

use axum::Router;
use axum::routing::{post, put};
use deadheat_cure::Pool;
use example_support::Trouble;

use crate::demands::Ordered;

#[derive(Clone)]
struct Service {
    pool: Pool,
    ordered: Ordered,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Trouble> {
    let pool = example_support::pool()?;
    if example_support::called_to("migrate") {
        deadheat_cure::schema::migrate(&pool).await?;
        return Ok(());
    }
    let ordered = match env::var("MARKET_VARIANT").as_deref() {
        Ok("before") => Ordered::Before,
        Ok("after") => Ordered::After,
        _ => Ordered::Inside,
    };

    let routes = Router::new()
        .route("/demands", post(demands::create))
        .route("/demands/{id}", put(demands::edit))
        .route("/demands/{id}/confirm", post(demands::confirm))
        .route("/demands/{id}/close", post(demands::close))
        .route("/demands/{id}/cancel", post(demands::cancel))
        .route("/expiries", post(demands::expire))
        .route("/tasks", post(validation::work))
        .with_state(Service { pool, ordered });
    example_support::serve(routes).await
}
