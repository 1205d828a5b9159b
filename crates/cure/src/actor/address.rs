//! Addresses: how an actor is reached, and what can come of it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::chain::Chain;

/// Handles messages of one type.
pub trait Handle<M>: Send + 'static {
    /// What a call is answered with.
    type Reply: Send + 'static;

    /// Handles a message. No other message is handled before it is done.
    fn handle(&mut self, message: M) -> impl Future<Output = Self::Reply> + Send;
}

/// Why a call has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// Its time was over before the actor came to it; it never will.
    #[error("the call was not begun in time, and is withdrawn")]
    Withdrawn,
    /// Its time was over while the actor was at it, which goes on.
    #[error("the call was begun, but not done in time")]
    TimedOut,
    /// The caller is the actor itself, or one that it waits for.
    #[error("an actor cannot wait for itself")]
    SelfCall,
    /// The actor panicked while it was at it.
    #[error("the actor panicked")]
    Panicked,
    /// There is no actor any more; the message was not handled.
    #[error("the actor has stopped")]
    Stopped,
}

/// Why a message could not be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CastError {
    /// The mailbox is full, and the sender the actor itself, or one that it waits for.
    #[error("the mailbox is full, and its owner waits for the sender")]
    Full,
    /// There is no actor any more.
    #[error("the actor has stopped")]
    Stopped,
}

/// A message with all that is needed to handle it.
pub(crate) trait Deliver<A>: Send {
    fn deliver<'a>(
        self: Box<Self>,
        actor: &'a mut A,
        id: u64,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>
    where
        Self: 'a;
}

/// What is in a mailbox.
pub(crate) enum Item<A> {
    Message(Box<dyn Deliver<A>>),
    /// The end, and who waits for it.
    Stop,
}

/// How far a call is.
#[derive(Debug, Default)]
struct Progress(AtomicU8);

const WAITS: u8 = 0;
const BEGUN: u8 = 1;
const WITHDRAWN: u8 = 2;

impl Progress {
    /// Changes it from waiting, if it still is.
    fn change(&self, to: u8) -> bool {
        self.0
            .compare_exchange(WAITS, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

/// A call that is dropped by its caller, for whatever reason, is withdrawn.
struct Caller(Arc<Progress>);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.change(WITHDRAWN);
    }
}

struct Call<M, R> {
    message: M,
    chain: Chain,
    progress: Arc<Progress>,
    reply: oneshot::Sender<R>,
}

impl<A, M> Deliver<A> for Call<M, A::Reply>
where
    A: Handle<M>,
    M: Send,
{
    fn deliver<'a>(
        self: Box<Self>,
        actor: &'a mut A,
        id: u64,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>
    where
        Self: 'a,
    {
        Box::pin(async move {
            if !self.progress.change(BEGUN) {
                return;
            }
            let handling = actor.handle(self.message);
            let reply = self.chain.with(id).scope(handling).await;
            // A caller that went away meanwhile does not want it.
            let _ = self.reply.send(reply);
        })
    }
}

struct Cast<M>(M);

impl<A, M> Deliver<A> for Cast<M>
where
    A: Handle<M>,
    M: Send,
{
    fn deliver<'a>(
        self: Box<Self>,
        actor: &'a mut A,
        id: u64,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>
    where
        Self: 'a,
    {
        Box::pin(async move {
            let handling = actor.handle(self.0);
            Chain::default().with(id).scope(handling).await;
        })
    }
}

/// Where an actor is reached. When the last address is dropped, the actor handles what is in its mailbox and stops.
pub struct Address<A> {
    pub(crate) mailbox: mpsc::Sender<Item<A>>,
    pub(crate) id: u64,
    pub(crate) patience: Duration,
}

impl<A: Send + 'static> Address<A> {
    /// Sends a message and waits for the reply, as long as the actor's settings say.
    ///
    /// A call from within an actor is recognised as such in its own handler, not in tasks that it spawns.
    ///
    /// # Errors
    /// All of [`CallError`].
    pub async fn call<M>(&self, message: M) -> Result<A::Reply, CallError>
    where
        A: Handle<M>,
        M: Send + 'static,
    {
        self.call_within(self.patience, message).await
    }

    /// The same, with a time of its own for all of it: room in the mailbox, messages before it, and its own handling.
    ///
    /// # Errors
    /// All of [`CallError`].
    pub async fn call_within<M>(&self, time: Duration, message: M) -> Result<A::Reply, CallError>
    where
        A: Handle<M>,
        M: Send + 'static,
    {
        let chain = Chain::here();
        if chain.has(self.id) {
            return Err(CallError::SelfCall);
        }
        let progress = Arc::new(Progress::default());
        let caller = Caller(Arc::clone(&progress));
        let (reply, replied) = oneshot::channel();
        let call = Call {
            message,
            chain,
            progress,
            reply,
        };
        let asked = async {
            let sent = self.mailbox.send(Item::Message(Box::new(call))).await;
            sent.map_err(|_| CallError::Stopped)?;
            // The other end goes without a reply when the actor panics, or ends before it comes to it.
            replied.await.map_err(|_| {
                if caller.0.0.load(Ordering::Acquire) == BEGUN {
                    CallError::Panicked
                } else {
                    CallError::Stopped
                }
            })
        };
        match timeout(time, asked).await {
            Ok(answer) => answer,
            Err(_) if caller.0.change(WITHDRAWN) => Err(CallError::Withdrawn),
            Err(_) => Err(CallError::TimedOut),
        }
    }

    /// Leaves a message, and waits for room in the mailbox only.
    ///
    /// # Errors
    /// All of [`CastError`]. A message that was left is handled unless the actor stops before it.
    pub async fn cast<M>(&self, message: M) -> Result<(), CastError>
    where
        A: Handle<M>,
        M: Send + 'static,
    {
        let item = Item::Message(Box::new(Cast(message)));
        if Chain::here().has(self.id) {
            return self.mailbox.try_send(item).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => CastError::Full,
                mpsc::error::TrySendError::Closed(_) => CastError::Stopped,
            });
        }
        let sent = self.mailbox.send(item).await;
        sent.map_err(|_| CastError::Stopped)
    }

    /// Stops the actor after the messages that are in its mailbox, and waits until it has.
    ///
    /// From within the actor itself it does not wait.
    pub async fn stop(&self) {
        if Chain::here().has(self.id) {
            let mailbox = self.mailbox.clone();
            tokio::spawn(async move { mailbox.send(Item::Stop).await.is_ok() });
            return;
        }
        if self.mailbox.send(Item::Stop).await.is_ok() {
            self.mailbox.closed().await;
        }
    }

    /// Waits until the actor has stopped, for whatever reason.
    pub async fn stopped(&self) {
        self.mailbox.closed().await;
    }
}

impl<A> Clone for Address<A> {
    fn clone(&self) -> Self {
        Self {
            mailbox: self.mailbox.clone(),
            id: self.id,
            patience: self.patience,
        }
    }
}

impl<A> fmt::Debug for Address<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.id)
    }
}
