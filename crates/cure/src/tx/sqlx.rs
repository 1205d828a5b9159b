//! Transactions over sqlx: `&mut tx` is an executor, whose statements are watched.

use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::pool::PoolConnection;
use sqlx::{Either, Error, Execute, Executor, Postgres, SqlStr, Sqlite};

use super::{Abandoned, Home, OPEN, Savepoint, Tx};
use crate::driver::{Connection, Driver};

/// A part of a transaction that can be undone alone, behind a savepoint. `&mut *part` is an executor.
///
/// It ends with [`Part::keep`] or [`Part::undo`]; a transaction in which one was dropped instead is not committed.
#[derive(Debug)]
#[must_use = "a part that is neither kept nor undone spoils its transaction"]
pub struct Part<'t, C: Connection> {
    tx: &'t mut Tx<C>,
    savepoint: Option<Savepoint>,
}

impl<C: Connection> Part<'_, C> {
    /// What was done in it stays, if the transaction commits.
    ///
    /// # Errors
    /// Whatever the database or the connection says.
    pub async fn keep(self) -> Result<(), <C::Driver as Driver>::Error> {
        self.end(true).await
    }

    /// What was done in it is undone, with its deferred effects, and what it failed with is forgotten. A serialization
    /// failure or a deadlock cannot be answered so: it stays what the transaction failed with.
    ///
    /// # Errors
    /// Whatever the database or the connection says.
    pub async fn undo(self) -> Result<(), <C::Driver as Driver>::Error> {
        self.end(false).await
    }

    async fn end(mut self, stays: bool) -> Result<(), <C::Driver as Driver>::Error> {
        if let Some(savepoint) = self.savepoint.take() {
            self.tx.run(&savepoint.end(stays)).await?;
            savepoint.ended(&self.tx.home.notes, stays);
        }
        Ok(())
    }
}

impl<C: Connection> Drop for Part<'_, C> {
    fn drop(&mut self) {
        if self.savepoint.is_some() {
            drop(Abandoned::watch(&self.tx.home.notes));
        }
    }
}

impl<C: Connection> Deref for Part<'_, C> {
    type Target = Tx<C>;

    fn deref(&self) -> &Tx<C> {
        self.tx
    }
}

impl<C: Connection> DerefMut for Part<'_, C> {
    fn deref_mut(&mut self) -> &mut Tx<C> {
        self.tx
    }
}

/// The answer to a statement, watched: an error is noted, and so is that nobody waited for its end.
struct Watched<'e, C: Connection, T> {
    answer: BoxStream<'e, Result<T, Error>>,
    abandoned: Abandoned<'e>,
    home: &'e Home<C>,
}

impl<C, T> Stream for Watched<'_, C, T>
where
    C: Connection<Driver: Driver<Error = Error>>,
{
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.answer.as_mut().poll_next(context);
        match &next {
            Poll::Ready(None) => self.abandoned.over(),
            Poll::Ready(Some(Err(error))) => {
                Tx::<C>::note(&self.home.notes, Some(error));
                self.abandoned.over();
            }
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        next
    }
}

/// The same for both databases, which no bound can say.
macro_rules! executor {
    ($database:ty) => {
        impl Tx<PoolConnection<$database>> {
            /// Begins a part behind a savepoint, which can be undone while the transaction goes on. This is how a
            /// violated constraint is answered without giving up everything.
            ///
            /// # Errors
            /// Whatever the database or the connection says.
            pub async fn savepoint(
                &mut self,
            ) -> Result<Part<'_, PoolConnection<$database>>, Error> {
                let savepoint = Savepoint::new(&self.home.notes);
                self.run(&savepoint.begin()).await?;
                Ok(Part {
                    tx: self,
                    savepoint: Some(savepoint),
                })
            }

            fn parts(
                &mut self,
            ) -> (
                &mut <$database as sqlx::Database>::Connection,
                &Home<PoolConnection<$database>>,
            ) {
                let connection = self.connection.as_mut().expect(OPEN);
                (connection, &self.home)
            }
        }

        impl<'c> Executor<'c> for &'c mut Tx<PoolConnection<$database>> {
            type Database = $database;

            fn fetch_many<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> BoxStream<
                'e,
                Result<
                    Either<
                        <$database as sqlx::Database>::QueryResult,
                        <$database as sqlx::Database>::Row,
                    >,
                    Error,
                >,
            >
            where
                'c: 'e,
                E: 'q + Execute<'q, $database>,
            {
                let (connection, home) = self.parts();
                Box::pin(Watched {
                    answer: connection.fetch_many(query),
                    abandoned: Abandoned::watch(&home.notes),
                    home,
                })
            }

            fn fetch_optional<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> BoxFuture<'e, Result<Option<<$database as sqlx::Database>::Row>, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, $database>,
            {
                let (connection, home) = self.parts();
                let answer = connection.fetch_optional(query);
                Box::pin(Tx::<PoolConnection<$database>>::watch(&home.notes, answer))
            }

            fn prepare_with<'e>(
                self,
                sql: SqlStr,
                parameters: &'e [<$database as sqlx::Database>::TypeInfo],
            ) -> BoxFuture<'e, Result<<$database as sqlx::Database>::Statement, Error>>
            where
                'c: 'e,
            {
                let (connection, home) = self.parts();
                let prepared = connection.prepare_with(sql, parameters);
                Box::pin(Tx::<PoolConnection<$database>>::watch(
                    &home.notes,
                    prepared,
                ))
            }
        }
    };
}

executor!(Postgres);
executor!(Sqlite);
