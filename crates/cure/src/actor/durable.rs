//! Durable actors: what they are, and how they are reached.

use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::turn::{Turn, receive, turn};
use super::{Address, Handle, Settings, start};
use crate::driver::OnPostgres;
use crate::retry::{self, Policy};
use crate::tasks::{self, Enqueued, Failure, Handler, Job, Options, Task};
use crate::{Pool, Source, Transactional, Tx};

/// The state of an actor that is kept in the database, as JSON; at first it is the default.
pub trait Durable: Serialize + DeserializeOwned + Default + Send + Sync + 'static {
    /// Its name in the database: it stays when the type is renamed.
    const KIND: &'static str;
}

/// Receives messages of one type.
///
/// ```no_run
/// # use deadheat_cure::{Pool, Source, actor::{self, Durable, Receive, Settings, Turn}, tasks::Task};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Default, Serialize, Deserialize)]
/// struct Account { balance: i64 }
/// impl Durable for Account { const KIND: &'static str = "account"; }
///
/// #[derive(Serialize, Deserialize)]
/// struct Credit { amount: i64 }
/// impl Task for Credit { const KIND: &'static str = "credit"; }   // it can be sent
///
/// struct Transfer { to: String, amount: i64 }
///
/// impl Receive<Credit> for Account {
///     type Reply = i64;
///     type Error = Source;
///     async fn receive(&mut self, credit: &Credit, _: &Turn<'_>) -> Result<i64, Source> {
///         self.balance += credit.amount;
///         Ok(self.balance)
///     }
/// }
///
/// impl Receive<Transfer> for Account {
///     type Reply = i64;
///     type Error = Source;
///     async fn receive(&mut self, transfer: &Transfer, turn: &Turn<'_>) -> Result<i64, Source> {
///         if self.balance < transfer.amount {
///             return Err("not enough".into());
///         }
///         self.balance -= transfer.amount;
///         turn.send::<Account, _>(&transfer.to, &Credit { amount: transfer.amount }).await?;
///         Ok(self.balance)
///     }
/// }
///
/// # async fn example(pool: &Pool) -> Result<(), Box<dyn std::error::Error>> {
/// let ann = actor::durable::<Account>(pool, "ann", Settings::default());
/// let left = ann.call(Transfer { to: "ben".to_owned(), amount: 5 }).await?;   // replied after the commit
/// # Ok(()) }
/// ```
///
/// What was sent is a task: a [`Worker`](crate::tasks::Worker) that `.handles::<Sent<Account, Credit>>()` delivers it,
/// and completes it in the same transaction in which the receiver changes, so that it counts once. Messages to one actor
/// may overtake each other.
pub trait Receive<M>: Durable {
    /// What a call is answered with, after the commit.
    type Reply: Send + 'static;
    /// Why a message was refused.
    type Error: From<Source> + Send + 'static;

    /// Handles a message in the transaction of `turn`; again, with the state read anew, if that loses against another.
    ///
    /// # Errors
    /// Nothing of the turn remains then: neither state nor messages nor what was written in its transaction.
    fn receive(
        &mut self,
        message: &M,
        turn: &Turn<'_>,
    ) -> impl Future<Output = Result<Self::Reply, Self::Error>> + Send;
}

/// A durable actor in this process: its mailbox. Its state is in the database, where other processes may change it too,
/// each turn with the state locked.
pub struct Seat<A> {
    pool: Pool,
    id: String,
    policy: Policy,
    actor: PhantomData<fn() -> A>,
}

/// The address of a durable actor.
///
/// Without it, by [`turn`], it works as well; but then all who call it at once wait for its row with a connection of the
/// pool each, where here they wait in its mailbox.
pub fn durable<A: Durable>(pool: &Pool, id: &str, settings: Settings) -> Address<Seat<A>> {
    let (pool, id) = (pool.clone(), id.to_owned());
    let make = move || {
        let seat = Seat {
            pool: pool.clone(),
            id: id.clone(),
            policy: Policy::default(),
            actor: PhantomData,
        };
        async move { Ok(seat) }
    };
    start(make, settings)
}

impl<A, M> Handle<M> for Seat<A>
where
    A: Receive<M>,
    M: Send + Sync + 'static,
{
    type Reply = Result<A::Reply, retry::Error<A::Error>>;

    async fn handle(&mut self, message: M) -> Self::Reply {
        turn::<A, M>(&self.pool, &self.policy, &self.id, &message).await
    }
}

impl<A> fmt::Debug for Seat<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A message on its way to a durable actor: a task.
#[derive(Serialize, Deserialize)]
#[serde(bound = "M: Serialize + DeserializeOwned")]
pub struct Sent<A, M> {
    to: String,
    message: M,
    #[serde(skip)]
    actor: PhantomData<fn() -> A>,
}

impl<A: Durable, M: Task> Task for Sent<A, M> {
    const KIND: &'static str = "cure.sent";

    fn kind() -> String {
        format!("{} {} {}", Self::KIND, A::KIND, M::kind())
    }
}

/// Delivers what was sent: every worker can.
impl<H, A, M> Handler<Sent<A, M>> for H
where
    H: Send + Sync + 'static,
    A: Receive<M>,
    A::Error: fmt::Display,
    M: Task + Sync + 'static,
{
    async fn handle(&self, sent: Sent<A, M>, tx: &Tx, _: &Job) -> Result<(), Failure> {
        match receive::<A, M>(tx, &sent.to, &sent.message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::new(error.to_string())),
        }
    }
}

/// Sends a message to a durable actor as part of a transaction: it is received if the transaction commits, once.
///
/// # Errors
/// As [`tasks::enqueue`].
pub async fn send<A, M>(
    tx: impl Transactional<Driver: OnPostgres>,
    to: &str,
    message: &M,
) -> Result<Enqueued, tasks::Error>
where
    A: Receive<M>,
    M: Task,
{
    let payload = serde_json::json!({ "to": to, "message": message });
    let kind = Sent::<A, M>::kind();
    tasks::order(tx, kind, payload.to_string(), &Options::default()).await
}
