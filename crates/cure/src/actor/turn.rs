//! A turn: a message handled in a transaction, in which the actor's state is read, locked, changed and written.

use serde_json::Value;

use super::durable::{Durable, Receive, send};
use crate::retry::{self, Policy};
use crate::tasks::{self, Task};
use crate::{Pool, Session, Source, Tx};

const LOAD: &str = "select state from cure.actors where kind = $1 and id = $2 for update";

const MAKE: &str =
    "insert into cure.actors (kind, id, state) values ($1, $2, $3) on conflict do nothing";

const SAVE: &str =
    "update cure.actors set state = $3, version = version + 1 where kind = $1 and id = $2";

/// What a message is handled in.
#[derive(Debug)]
pub struct Turn<'a> {
    tx: &'a Tx,
    id: &'a str,
}

impl Turn<'_> {
    /// The transaction: for what belongs to the state but is in tables of its own, for tasks and deferred effects.
    pub fn tx(&self) -> &Tx {
        self.tx
    }

    /// The actor's own name.
    pub fn id(&self) -> &str {
        self.id
    }

    /// Sends a message to a durable actor, which may be this one: part of the turn, and received in one of its own.
    ///
    /// # Errors
    /// As [`tasks::enqueue`].
    pub async fn send<A, M>(&self, to: &str, message: &M) -> Result<(), tasks::Error>
    where
        A: Receive<M>,
        M: Task + Sync,
    {
        send::<A, M>(self.tx, to, message).await.map(drop)
    }
}

/// Has a durable actor handle a message, and gives its reply when all that it did is committed.
///
/// # Errors
/// [`retry::Error::Failed`] with the actor's own error, and the others of [`retry::Error`].
pub async fn turn<A, M>(
    pool: &Pool,
    policy: &Policy,
    id: &str,
    message: &M,
) -> Result<A::Reply, retry::Error<A::Error>>
where
    A: Receive<M>,
    M: Sync,
{
    retry::transaction(pool, policy, |tx, _| async move {
        receive::<A, M>(&tx, id, message).await
    })
    .await
}

/// A turn within a transaction.
pub(crate) async fn receive<A, M>(tx: &Tx, id: &str, message: &M) -> Result<A::Reply, A::Error>
where
    A: Receive<M>,
    M: Sync,
{
    let before = load::<A>(tx, id).await?;
    let mut actor = A::deserialize(&before).map_err(Source::from)?;
    let reply = actor.receive(message, &Turn { tx, id }).await?;
    let after = serde_json::to_value(&actor).map_err(Source::from)?;
    if after != before {
        let saved = { tx }.rows(SAVE, vec![&A::KIND, &id, &after]).await;
        saved.map_err(Source::from)?;
    }
    Ok(reply)
}

/// Reads the state and locks it; makes it if it is not there.
async fn load<A: Durable>(tx: &Tx, id: &str) -> Result<Value, Source> {
    if let Some(row) = { tx }.rows(LOAD, vec![&A::KIND, &id]).await?.first() {
        return Ok(row.try_get(0)?);
    }
    let state = serde_json::to_value(A::default())?;
    { tx }.rows(MAKE, vec![&A::KIND, &id, &state]).await?;
    // Somebody else may have made it in between, and be ahead.
    let rows = { tx }.rows(LOAD, vec![&A::KIND, &id]).await?;
    let row = rows.first().ok_or("the state of an actor is gone")?;
    Ok(row.try_get(0)?)
}
