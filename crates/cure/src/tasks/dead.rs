//! Tasks that were given up: to look at, to bring back, to remove.

use serde_json::Value;

use super::{CHANNEL, Error};
use crate::driver::TokioPostgres;
use crate::{Session, Transactional};

/// A task that was given up, after its last attempt or for good.
#[derive(Clone, Debug)]
pub struct Dead {
    /// Its number.
    pub task: i64,
    /// Its kind.
    pub kind: String,
    /// What it is about.
    pub payload: Value,
    /// How often it was begun.
    pub attempt: u32,
    /// What it failed with last.
    pub last_error: Option<String>,
}

/// The dead tasks of a queue, oldest first, `most` at most.
///
/// # Errors
/// [`Error::Database`].
pub async fn dead(
    mut session: impl Session<Driver = TokioPostgres>,
    queue: &str,
    most: u32,
) -> Result<Vec<Dead>, Error> {
    let find = "select id, kind, payload, attempt, last_error from cure.tasks
        where queue = $1 and dead order by id limit $2";
    let rows = session.rows(find, vec![&queue, &i64::from(most)]).await?;
    let mut found = Vec::new();
    for row in rows {
        found.push(Dead {
            task: row.try_get(0)?,
            kind: row.try_get(1)?,
            payload: row.try_get(2)?,
            attempt: row.try_get::<_, i32>(3)? as u32,
            last_error: row.try_get(4)?,
        });
    }
    Ok(found)
}

/// Lets a dead task begin anew, with all its attempts; whether there was one of that number. If another one with its
/// unique key waits, that one stands for it.
///
/// # Errors
/// [`Error::Database`].
pub async fn revive(
    mut tx: impl Transactional<Driver = TokioPostgres>,
    task: i64,
) -> Result<bool, Error> {
    let revive = "with given_up as (delete from cure.tasks where id = $1 and dead returning *)
        insert into cure.tasks as waiting (queue, kind, payload, unique_key, max_attempts, due, created_at)
        select queue, kind, payload, unique_key, max_attempts, now(), created_at from given_up
        on conflict (queue, unique_key) where not running and not dead do update
        set due = least(waiting.due, excluded.due), merged = waiting.merged + 1
        returning pg_notify($2, waiting.queue)";
    Ok(!tx.rows(revive, vec![&task, &CHANNEL]).await?.is_empty())
}

/// Removes a dead task; whether there was one of that number.
///
/// # Errors
/// [`Error::Database`].
pub async fn discard(
    mut session: impl Session<Driver = TokioPostgres>,
    task: i64,
) -> Result<bool, Error> {
    let discard = "delete from cure.tasks where id = $1 and dead returning 1";
    Ok(!session.rows(discard, vec![&task]).await?.is_empty())
}
