//! What a worker does: takes an object that waits for its result, calculates, and writes the result down.
//!
//! The racy worker looks for an object and then locks it, so that two may take the same; and it writes the result to
//! whatever the object is by then. The cured one does both under a condition that the database holds: it locks what is
//! not locked, and writes to the version that it has read. A result that comes too late is discarded and calculated anew.

use deadpool_postgres::Pool;
use serde::Serialize;
use tokio_postgres::Row;

use crate::error::Error;

#[derive(Serialize)]
pub struct Done {
    object: i32,
    version: i32,
    result: i64,
}

/// An object as the worker took it.
struct Taken {
    object: i32,
    version: i32,
    input: i64,
}

impl From<Row> for Taken {
    fn from(row: Row) -> Self {
        Self {
            object: row.get("id"),
            version: row.get("version"),
            input: row.get("input"),
        }
    }
}

const BILL: &str = "insert into bills (object, version, worker) values ($1, $2, $3)";

/// The sum of the squares up to `input`, the long way.
pub fn calculate(input: i64) -> i64 {
    (1..=input).map(|n| n * n).sum()
}

pub async fn racy(pool: &Pool, worker: &str) -> Result<Option<Done>, Error> {
    let mut client = pool.get().await?;
    let find = "select id, version, input from objects
        where result is null and not locked order by id limit 1";
    let Some(row) = client.query_opt(find, &[]).await? else {
        return Ok(None);
    };
    let taken = Taken::from(row);
    let lock = "update objects set locked = true where id = $1";
    client.execute(lock, &[&taken.object]).await?;

    let result = calculate(taken.input);

    let transaction = client.transaction().await?;
    let write = "update objects set result = $2, locked = false where id = $1";
    let to = taken.object;
    transaction.execute(write, &[&to, &result]).await?;
    transaction
        .execute(BILL, &[&to, &taken.version, &worker])
        .await?;
    transaction.commit().await?;
    Ok(Some(taken.done(result)))
}

pub async fn cured(pool: &Pool, worker: &str) -> Result<Option<Done>, Error> {
    let mut client = pool.get().await?;
    let lock = "update objects set locked = true
        where not locked and id =
            (select id from objects where result is null and not locked order by id limit 1 for update)
        returning id, version, input";
    let Some(row) = client.query_opt(lock, &[]).await? else {
        return Ok(None);
    };
    let mut taken = Taken::from(row);
    loop {
        let result = calculate(taken.input);

        let transaction = client.transaction().await?;
        let write = "update objects set result = $3, locked = false where id = $1 and version = $2";
        let written = transaction
            .execute(write, &[&taken.object, &taken.version, &result])
            .await?;
        if written == 1 {
            transaction
                .execute(BILL, &[&taken.object, &taken.version, &worker])
                .await?;
            transaction.commit().await?;
            return Ok(Some(taken.done(result)));
        }
        let again = "select id, version, input from objects where id = $1";
        let row = transaction.query_one(again, &[&taken.object]).await?;
        transaction.commit().await?;
        taken = Taken::from(row);
    }
}

impl Taken {
    fn done(self, result: i64) -> Done {
        Done {
            object: self.object,
            version: self.version,
            result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::calculate;

    #[test]
    fn it_is_what_the_formula_says() {
        let formula = |n: i64| n * (n + 1) * (2 * n + 1) / 6;
        for input in [0, 1, 2, 1000] {
            assert_eq!(calculate(input), formula(input));
        }
    }
}
