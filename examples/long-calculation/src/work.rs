//! What a worker does: takes an object that waits for its result, calculates, and writes the result down.
//!
//! The racy worker looks for an object and then locks it, so that two may take the same; and it writes the result to
//! whatever the object is by then. The cured one claims a lease, of which the database gives one at a time, and writes
//! to the version that it has read, while the lease is still its own. A result that comes too late is discarded, and
//! calculated anew unless somebody else is at it by then.

use std::time::Duration;

use deadheat_cure::guard::{self, Lease, Leased, Versioned};
use deadheat_cure::retry::{self, Policy};
use deadpool_postgres::Pool;
use serde::Serialize;
use tokio::task::spawn_blocking;
use tokio_postgres::Row;

use crate::error::{Error, Failure};

/// How long an object is out of others' reach after its worker was last heard of.
const LEASE: Duration = Duration::from_secs(30);

#[derive(Serialize)]
pub struct Done {
    object: i32,
    version: i64,
    result: i64,
}

/// An object as the worker took it.
struct Taken {
    object: i32,
    version: i64,
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
    let Some((lease, mut taken)) = take(pool).await? else {
        return Ok(None);
    };
    loop {
        let input = taken.input;
        let calculation = lease.during(pool, spawn_blocking(move || calculate(input)));
        let written = match calculation.await {
            Ok(result) => write(pool, &lease, &taken, result?, worker).await,
            Err(lost) => Err(lost.into()),
        };
        match written {
            Ok(done) => return Ok(Some(done)),
            Err(Failure::Guard(guard::Error::Stale(_))) => {}
            Err(Failure::Guard(guard::Error::Lost(_))) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let again = "select id, version, input from objects where id = $1";
        let client = pool.get().await?;
        taken = client.query_one(again, &[&taken.object]).await?.into();
    }
}

/// Finds an object that waits for its result and that nobody is at, and claims it.
async fn take(pool: &Pool) -> Result<Option<(Lease, Taken)>, Failure> {
    let (objects, policy) = (&Leased::table("objects"), Policy::default());
    let taken = retry::transaction(pool, &policy, |tx, _| async move {
        let find = "select id, version, input from objects
            where result is null and (leased_until is null or leased_until <= clock_timestamp())
            order by id limit 1 for update";
        let Some(row) = tx.query_opt(find, &[]).await? else {
            return Ok(None);
        };
        let taken = Taken::from(row);
        let lease = objects.claim(&tx, taken.object, LEASE).await?;
        Ok(lease.map(|lease| (lease, taken)))
    });
    taken.await.map_err(Failure::of_transaction)
}

/// Writes a result, if the object has the version that was read, and gives the object back; both or neither. The lease
/// cannot be given back by one who has lost it, and who has given it back holds the row until the commit.
async fn write(
    pool: &Pool,
    lease: &Lease,
    taken: &Taken,
    result: i64,
    worker: &str,
) -> Result<Done, Failure> {
    let Taken {
        object, version, ..
    } = taken;
    let (objects, policy) = (&Versioned::table("objects"), Policy::default());
    let written = retry::transaction(pool, &policy, |tx, _| async move {
        lease.release(&tx).await?;
        objects
            .update(&tx, object, *version, &[("result", &result)])
            .await?;
        tx.execute(BILL, &[object, version, &worker]).await?;
        Ok::<_, Failure>(())
    });
    written.await.map_err(Failure::of_transaction)?;
    Ok(taken.done(result))
}

impl Taken {
    fn done(&self, result: i64) -> Done {
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
