//! Knowing when the runtime has nothing left to do: all tasks that could run have run.
//!
//! The runtime calls [`parking`] when it has nothing to run and is about to sleep. Then the driver, if it waits for
//! that, is woken instead, so that neither the thread sleeps nor the paused clock is moved on.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

thread_local! {
    static QUIET: Quiet = const {
        Quiet {
            awaited: Cell::new(false),
            came: Cell::new(false),
            waker: RefCell::new(None),
            parked: Cell::new(0),
            limit: Cell::new(u64::MAX),
            slept: Cell::new(false),
        }
    };
}

struct Quiet {
    /// Whether the driver waits for it.
    awaited: Cell<bool>,
    /// Whether it has come since.
    came: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// How often this thread has slept, or was about to.
    parked: Cell<u64>,
    /// The driver is woken when it has done so this often.
    limit: Cell<u64>,
    /// Whether it did so though nobody waits for the others to come to rest.
    slept: Cell<bool>,
}

/// For the runtime's `on_thread_park`.
pub(crate) fn parking() {
    QUIET.with(|quiet| {
        quiet.parked.set(quiet.parked.get() + 1);
        let came = quiet.awaited.replace(false);
        quiet.came.set(quiet.came.get() || came);
        let first = !came && !quiet.slept.replace(true);
        let is_wanted = came || first || quiet.parked.get() == quiet.limit.get();
        if let Some(waker) = &*quiet.waker.borrow()
            && is_wanted
        {
            waker.wake_by_ref();
        }
    });
}

/// Waits until nothing else of this runtime can run.
pub(crate) async fn quiet() {
    poll_fn(|context| {
        QUIET.with(|quiet| {
            if quiet.came.take() {
                return Poll::Ready(());
            }
            quiet.remember(context.waker());
            quiet.awaited.set(true);
            Poll::Pending
        })
    })
    .await;
}

/// Whether the thread has come to sleep in earnest; if not, whoever asks is woken when it does.
pub(crate) fn has_slept(driver: &Waker) -> bool {
    QUIET.with(|quiet| {
        quiet.remember(driver);
        quiet.slept.get()
    })
}

/// A limit to how often the thread may sleep.
pub(crate) struct Limit(u64);

impl Limit {
    /// So many times from now on.
    pub fn new(times: u64) -> Self {
        Self(QUIET.with(|quiet| quiet.parked.get()) + times)
    }

    /// Whether it is reached; if not, the driver is woken when it is.
    pub fn is_reached(&self, driver: &Waker) -> bool {
        QUIET.with(|quiet| {
            quiet.remember(driver);
            quiet.limit.set(self.0);
            quiet.parked.get() >= self.0
        })
    }
}

impl Quiet {
    fn remember(&self, driver: &Waker) {
        let mut waker = self.waker.borrow_mut();
        match &mut *waker {
            Some(waker) if waker.will_wake(driver) => {}
            other => *other = Some(driver.clone()),
        }
    }
}

/// Forgets what an earlier run, broken off, was waiting for.
pub(crate) fn forget() {
    QUIET.with(|quiet| {
        quiet.awaited.set(false);
        quiet.came.set(false);
        quiet.limit.set(u64::MAX);
        quiet.slept.set(false);
        quiet.waker.replace(None);
    });
}
