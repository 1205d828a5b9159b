//! Transactions that are tried again when they lost against another one.
//!
//! PostgreSQL ends a transaction that cannot be put in a serial order with the others (40001), and one of those that
//! wait for each other (40P01). Both mean: nothing has happened, do it once more. [`transaction`] does, as its
//! [`Policy`] says, and leaves the rest alone:
//!
//! - A violated constraint (23505 and kin) is tried again only where the policy says so
//!   ([`Policy::also_integrity`]), and can be told from the others by [`Error::cause`].
//! - A connection that was lost during COMMIT leaves it open whether there is something to do again:
//!   [`Error::CommitUnknown`], never tried again.
//! - What must happen once, and only if the transaction did, is deferred with [`Tx::on_commit`](crate::Tx::on_commit).
//! - A body that swallows the error of a statement and returns `Ok` gets no commit: PostgreSQL would turn it into a
//!   rollback and call that a success, SQLite would commit half of it.
//! - A transaction within another could not be tried again alone. A [`Tx`](crate::Tx) is no pool, so it does not
//!   compile with the same one; with the pool at hand it is [`Error::Nested`].
//!
//! The transaction itself remembers what its statements failed with, so that a body may return an error of any type.
//!
//! # SQLite
//!
//! With the feature `sqlx` the pool may be one to SQLite. There is no deadlock there, and every transaction is
//! serializable whatever the policy says; one that loses is told so by SQLITE_BUSY (another one is writing, for longer
//! than the `busy_timeout` of the connection) or SQLITE_BUSY_SNAPSHOT (another one has written since this one read),
//! and is tried again. A policy that only reads is refused: SQLite holds a connection to it, not a transaction.

mod cause;
mod error;
mod policy;

use std::future::Future;

pub use cause::{Cause, Violation};
pub use error::Error;
pub(crate) use policy::jittered;
pub use policy::{Isolation, Policy};

use crate::Tx;
use crate::driver::Connect;

tokio::task_local! {
    /// Set while the body of a transaction runs.
    static INSIDE: ();
}

/// Runs `body` in a transaction and commits it; again, from the start, while it loses against others and `policy`
/// allows it. The body gets the transaction and the number of the attempt, from 1.
///
/// It is called once an attempt, so that it borrows what it uses: `let nick = &nick;` before `async move`. (An async
/// closure would capture it by itself, but its future could not be sent to another thread, as handlers of HTTP
/// frameworks must be.) Whatever it changes outside of the database it changes once an attempt; see [`Tx::on_commit`].
/// A future that is dropped before it is done rolls back, unless its COMMIT was on its way.
///
/// # Errors
/// [`Error::Failed`] with the body's own error, and the others of [`Error`]. Only after [`Error::CommitUnknown`] may
/// anything have been written.
pub async fn transaction<P, T, E, F, B>(
    pool: &P,
    policy: &Policy,
    mut body: F,
) -> Result<T, Error<E>>
where
    P: Connect,
    F: FnMut(Tx<P::Connection>, u32) -> B,
    B: Future<Output = Result<T, E>>,
{
    outside()?;
    let mut attempt = 1;
    loop {
        let mut tx = Tx::begin(pool, policy).await?;
        let result = inside(body(tx.lend(), attempt)).await;
        let error = match result {
            Ok(value) => match tx.commit(attempt).await {
                Ok(effects) => {
                    effects.run().await;
                    return Ok(value);
                }
                Err(error) => error.of_commit(),
            },
            Err(error) => Error::Failed {
                cause: tx.roll_back().await,
                attempts: attempt,
                error,
            },
        };
        let again = error.cause().is_some_and(|cause| policy.repeats(cause));
        if !again || attempt >= policy.most_attempts() {
            return Err(error);
        }
        tracing::debug!(attempt, cause = ?error.cause(), "a transaction is tried again");
        policy.pause(attempt).await;
        attempt += 1;
    }
}

/// Refuses a transaction within the body of another.
pub(crate) fn outside<E>() -> Result<(), Error<E>> {
    match INSIDE.try_with(|()| ()) {
        Ok(()) => Err(Error::Nested),
        Err(_) => Ok(()),
    }
}

/// Runs a body so that it is known to be one.
pub(crate) async fn inside<F: Future>(body: F) -> F::Output {
    INSIDE.scope((), body).await
}
