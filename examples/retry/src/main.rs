//! A bank in which transactions lose against each other, in each of the ways that PostgreSQL knows.
//!
//! An ordinary axum service with a pool of connections and the transactions of deadheat-cure; nothing in it is for the
//! sake of being searched. `BANK_VARIANT=racy` (the default) tries each transaction once; `BANK_VARIANT=cured` tries it
//! again.

mod error;

use std::env;
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use deadheat_cure::retry::{self, Isolation, Policy};
use deadpool_postgres::Pool;
use example_support::Trouble;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Failure};

#[derive(Clone)]
struct Bank {
    pool: Pool,
    policy: Policy,
}

#[derive(Deserialize)]
struct Transfer {
    from: i32,
    to: i32,
    amount: i64,
}

#[derive(Deserialize)]
struct Withdrawal {
    account: i32,
    owner: String,
    amount: i64,
}

#[derive(Deserialize)]
struct Newcomer {
    name: String,
}

#[derive(Serialize)]
struct Owner {
    id: i32,
    name: String,
}

#[derive(Serialize)]
struct Balance {
    balance: i64,
}

#[derive(Serialize)]
struct Total {
    total: i64,
}

/// Money from one account to the other: two that go opposite ways lock the rows in opposite order.
async fn transfer(
    State(bank): State<Bank>,
    Json(transfer): Json<Transfer>,
) -> Result<Json<Balance>, Error> {
    let Transfer { from, to, amount } = transfer;
    let done = retry::transaction(&bank.pool, &bank.policy, |tx, _| async move {
        let take = "update accounts set balance = balance - $2
            where id = $1 and balance >= $2 returning balance";
        let row = tx.query_opt(take, &[&from, &amount]).await?;
        let row = row.ok_or(Failure::Refused("there is not so much in the account"))?;
        let give = "update accounts set balance = balance + $2 where id = $1";
        if tx.execute(give, &[&to, &amount]).await? == 0 {
            return Err(Failure::Refused("no such account"));
        }
        Ok(row.get("balance"))
    });
    let balance = done.await?;
    Ok(Json(Balance { balance }))
}

/// An account may be overdrawn as long as its owner has enough in the others: a condition on several rows, which only
/// SERIALIZABLE holds.
async fn withdraw(
    State(bank): State<Bank>,
    Json(withdrawal): Json<Withdrawal>,
) -> Result<Json<Balance>, Error> {
    let Withdrawal {
        account,
        owner,
        amount,
    } = &withdrawal;
    let policy = bank.policy.isolation(Isolation::Serializable);
    let done = retry::transaction(&bank.pool, &policy, |tx, _| async move {
        let all = "select coalesce(sum(balance), 0)::bigint from accounts where owner = $1";
        let total: i64 = tx.query_one(all, &[owner]).await?.get(0);
        if total < *amount {
            return Err(Failure::Refused("there is not so much in the accounts"));
        }
        let take = "update accounts set balance = balance - $2 where id = $1 returning balance";
        let row = tx.query_opt(take, &[account, amount]).await?;
        let row = row.ok_or(Failure::Refused("no such account"))?;
        Ok(row.get("balance"))
    });
    let balance = done.await?;
    Ok(Json(Balance { balance }))
}

/// The end of the day: nobody may move money while it is counted, and then there is interest. Two of them share the
/// lock of the table, and each waits with its interest until the other gives it up.
async fn close(State(bank): State<Bank>) -> Result<Json<Total>, Error> {
    let done = retry::transaction(&bank.pool, &bank.policy, |tx, _| async move {
        tx.batch_execute("lock table accounts in share mode")
            .await?;
        let count =
            "insert into closings (total) select sum(balance) from accounts returning total";
        let total = tx.query_one(count, &[]).await?.get("total");
        let interest = "update accounts set balance = balance + balance / 100";
        tx.batch_execute(interest).await?;
        Ok(total)
    });
    let total = done.await?;
    Ok(Json(Total { total }))
}

/// An owner, new or known. Of two who are new with the same name one violates the key; that it then finds the other's
/// row makes it one that is worth another try.
async fn know(
    State(bank): State<Bank>,
    Json(Newcomer { name }): Json<Newcomer>,
) -> Result<Json<Owner>, Error> {
    let policy = bank.policy.also_integrity();
    let name = &name;
    let done = retry::transaction(&bank.pool, &policy, |tx, _| async move {
        let find = "select id from owners where name = $1";
        if let Some(row) = tx.query_opt(find, &[name]).await? {
            return Ok(row.get("id"));
        }
        let add = "insert into owners (name) values ($1) returning id";
        Ok::<i32, Failure>(tx.query_one(add, &[name]).await?.get("id"))
    });
    let id = done.await?;
    let name = name.clone();
    Ok(Json(Owner { id, name }))
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Trouble> {
    let pool = example_support::pool()?;
    let cured = env::var("BANK_VARIANT").is_ok_and(|variant| variant == "cured");
    let attempts = if cured { 10 } else { 1 };
    let (base, cap) = (Duration::from_millis(1), Duration::from_millis(5));
    let policy = Policy::default().attempts(attempts).backoff(base, cap);

    let routes = Router::new()
        .route("/transfers", post(transfer))
        .route("/withdrawals", post(withdraw))
        .route("/closings", post(close))
        .route("/owners", post(know))
        .with_state(Bank { pool, policy });
    example_support::serve(routes).await
}
