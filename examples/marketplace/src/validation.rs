//! The validation of a demand: a task, and what does it.

use axum::Json;
use axum::extract::State;
use deadheat_cure::Tx;
use deadheat_cure::tasks::{Failure, Handler, Job, Task, Worker};
use serde::{Deserialize, Serialize};

use crate::Service;
use crate::error::Error;

#[derive(Serialize, Deserialize)]
pub struct Validate {
    pub demand: i32,
}

impl Task for Validate {
    const KIND: &'static str = "validate";
}

pub struct Validator;

impl Handler<Validate> for Validator {
    async fn handle(&self, task: Validate, tx: &Tx, _: &Job) -> Result<(), Failure> {
        let find = "select what, price from demands where id = $1 and state = 'open' for update";
        let Some(row) = tx.query_opt(find, &[&task.demand]).await? else {
            return Ok(());
        };
        let valid = !row.get::<_, String>("what").is_empty() && row.get::<_, i64>("price") > 0;
        let state = if valid { "published" } else { "invalid" };
        let write = "update demands set state = $2 where id = $1";
        tx.execute(write, &[&task.demand, &state]).await?;
        Ok(())
    }
}

#[derive(Serialize)]
pub struct Done {
    done: usize,
}

/// Does the tasks that are due; to be asked for every few seconds.
pub async fn work(State(service): State<Service>) -> Result<Json<Done>, Error> {
    let worker = Worker::new(service.pool, Validator).handles::<Validate>();
    let done = worker.drain().await?;
    Ok(Json(Done { done }))
}
