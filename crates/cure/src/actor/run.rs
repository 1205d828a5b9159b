//! The life of an actor: made, message after message, made anew when it panicked.

use std::collections::VecDeque;
use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::address::{Address, Item};
use crate::Source;

/// How an actor is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    mailbox: usize,
    patience: Duration,
    restarts: usize,
    within: Duration,
}

impl Default for Settings {
    /// Room for 64 messages, five seconds for a call, three restarts in ten seconds.
    fn default() -> Self {
        Self {
            mailbox: 64,
            patience: Duration::from_secs(5),
            restarts: 3,
            within: Duration::from_secs(10),
        }
    }
}

impl Settings {
    /// Room for so many messages, one at least, besides the one that is being handled.
    #[must_use]
    pub fn mailbox(mut self, messages: usize) -> Self {
        self.mailbox = messages.max(1);
        self
    }

    /// How long a call may take.
    #[must_use]
    pub fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// It is made anew so many times in any period of that length; at the next panic it stops.
    #[must_use]
    pub fn restarts(mut self, times: usize, within: Duration) -> Self {
        self.restarts = times;
        self.within = within;
        self
    }
}

/// Starts an actor, and keeps it: `make` makes it, at first and after each panic. What was in its mailbox is handled by
/// the next one; the message it panicked at is not handled again.
///
/// It stops, and its callers get [`CallError::Stopped`](super::CallError::Stopped), when `make` fails or its handlers
/// panic more often than the settings allow.
pub fn start<A, F, B>(make: F, settings: Settings) -> Address<A>
where
    A: Send + 'static,
    F: FnMut() -> B + Send + 'static,
    B: Future<Output = Result<A, Source>> + Send + 'static,
{
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let (mailbox, messages) = mpsc::channel(settings.mailbox);
    let patience = settings.patience;
    tokio::spawn(live(make, messages, id, settings));
    Address {
        mailbox,
        id,
        patience,
    }
}

/// When it was made anew.
struct Restarts {
    times: VecDeque<Instant>,
    settings: Settings,
}

impl Restarts {
    /// Whether it may be made anew once more.
    fn allow(&mut self, id: u64, why: &dyn Display) -> bool {
        let now = Instant::now();
        let within = self.settings.within;
        self.times.retain(|time| now - *time < within);
        let allowed = self.times.len() < self.settings.restarts;
        if allowed {
            tracing::warn!(actor = id, %why, "an actor is made anew");
            self.times.push_back(now);
        } else {
            tracing::error!(actor = id, %why, "an actor is given up");
        }
        allowed
    }
}

async fn live<A, F, B>(
    mut make: F,
    mut messages: mpsc::Receiver<Item<A>>,
    id: u64,
    settings: Settings,
) where
    F: FnMut() -> B,
    B: Future<Output = Result<A, Source>>,
{
    let mut restarts = Restarts {
        times: VecDeque::new(),
        settings,
    };
    loop {
        let made = AssertUnwindSafe(async { make().await })
            .catch_unwind()
            .await;
        let why: Source = match made {
            Ok(Ok(actor)) => match handle_all(actor, &mut messages, id).await {
                Ok(()) => return,
                Err(Panicked) => "it panicked".into(),
            },
            Ok(Err(why)) => {
                // What it needs may be there in a moment.
                sleep(Duration::from_millis(50)).await;
                why
            }
            Err(_) => "it panicked while it was made".into(),
        };
        if !restarts.allow(id, &why) {
            return;
        }
    }
}

/// A handler panicked; its actor is gone.
struct Panicked;

async fn handle_all<A>(
    mut actor: A,
    messages: &mut mpsc::Receiver<Item<A>>,
    id: u64,
) -> Result<(), Panicked> {
    while let Some(item) = messages.recv().await {
        let message = match item {
            Item::Message(message) => message,
            Item::Stop => return Ok(()),
        };
        // The actor is not used after a panic, so that nobody sees it half-changed.
        let handled = AssertUnwindSafe(async { message.deliver(&mut actor, id).await });
        handled.catch_unwind().await.map_err(|_| Panicked)?;
    }
    Ok(())
}
