//! Demands: what sellers and customers do with them. A new or edited demand is open until it was validated, by a task.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use deadheat_cure::retry::{self, Policy};
use deadheat_cure::tasks;
use deadheat_cure::{Pool, Tx};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use crate::Service;
use crate::error::{Error, Failure};
use crate::validation::Validate;

/// When the validation is ordered.
#[derive(Clone, Copy)]
pub enum Ordered {
    Before,
    Inside,
    After,
}

#[derive(Deserialize)]
pub struct Draft {
    what: String,
    price: i64,
}

#[derive(Serialize)]
pub struct Demand {
    id: i32,
    what: String,
    price: i64,
    state: String,
}

#[derive(Serialize)]
pub struct Expired {
    expired: u64,
}

impl From<Row> for Demand {
    fn from(row: Row) -> Self {
        Self {
            id: row.get("id"),
            what: row.get("what"),
            price: row.get("price"),
            state: row.get("state"),
        }
    }
}

/// Orders the validation in a transaction of its own.
async fn order_alone(pool: &Pool, demand: i32) -> Result<(), Error> {
    let order = |tx: Tx, _| async move {
        tasks::enqueue(&tx, &Validate { demand }).await?;
        Ok::<_, Failure>(())
    };
    Ok(retry::transaction(pool, &Policy::default(), order).await?)
}

pub async fn create(
    State(service): State<Service>,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, Json<Demand>), Error> {
    let Draft { what, price } = &draft;
    let create = |tx: Tx, _| async move {
        let add =
            "insert into demands (what, price) values ($1, $2) returning id, what, price, state";
        let demand = Demand::from(tx.query_one(add, &[what, price]).await?);
        tasks::enqueue(&tx, &Validate { demand: demand.id }).await?;
        Ok::<_, Failure>(demand)
    };
    let demand = retry::transaction(&service.pool, &Policy::default(), create).await?;
    Ok((StatusCode::CREATED, Json(demand)))
}

/// A demand that is edited is open again until it is validated.
pub async fn edit(
    State(service): State<Service>,
    Path(id): Path<i32>,
    Json(draft): Json<Draft>,
) -> Result<Json<Demand>, Error> {
    if matches!(service.ordered, Ordered::Before) {
        order_alone(&service.pool, id).await?;
    }
    let Draft { what, price } = &draft;
    let inside = matches!(service.ordered, Ordered::Inside);
    let edit = |tx: Tx, _| async move {
        let write = "update demands set what = $2, price = $3, state = 'open'
            where id = $1 and state in ('open', 'invalid', 'published')
            returning id, what, price, state";
        let row = tx.query_opt(write, &[&id, what, price]).await?;
        if inside {
            tasks::enqueue(&tx, &Validate { demand: id }).await?;
        }
        row.map(Demand::from).ok_or(Failure::Past)
    };
    let demand = retry::transaction(&service.pool, &Policy::default(), edit).await?;
    if matches!(service.ordered, Ordered::After) {
        order_alone(&service.pool, id).await?;
    }
    Ok(Json(demand))
}

/// From one of these states to another.
async fn advance(
    service: &Service,
    id: i32,
    from: &[&str],
    to: &str,
) -> Result<Json<Demand>, Error> {
    let advance = |tx: Tx, _| async move {
        let write = "update demands set state = $3 where id = $1 and state = any($2)
            returning id, what, price, state";
        let row = tx.query_opt(write, &[&id, &from, &to]).await?;
        row.map(Demand::from).ok_or(Failure::Past)
    };
    let demand = retry::transaction(&service.pool, &Policy::default(), advance).await?;
    Ok(Json(demand))
}

/// A customer takes it.
pub async fn confirm(
    State(service): State<Service>,
    Path(id): Path<i32>,
) -> Result<Json<Demand>, Error> {
    advance(&service, id, &["published"], "confirmed").await
}

/// Delivered and paid.
pub async fn close(
    State(service): State<Service>,
    Path(id): Path<i32>,
) -> Result<Json<Demand>, Error> {
    advance(&service, id, &["confirmed"], "closed").await
}

pub async fn cancel(
    State(service): State<Service>,
    Path(id): Path<i32>,
) -> Result<Json<Demand>, Error> {
    let from = ["open", "invalid", "published", "confirmed"];
    advance(&service, id, &from, "cancelled").await
}

/// What nobody took in time; to be asked for once a day.
pub async fn expire(State(service): State<Service>) -> Result<Json<Expired>, Error> {
    let expire = |tx: Tx, _| async move {
        let late = "update demands set state = 'expired'
            where state = 'published' and expires_on < current_date";
        Ok::<_, Failure>(tx.execute(late, &[]).await?)
    };
    let expired = retry::transaction(&service.pool, &Policy::default(), expire).await?;
    Ok(Json(Expired { expired }))
}
