//! Wakers of actors: who was woken can move, and is polled when he is chosen, not before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// What the wakers of one run have in common: the driver, when it waits for any of them.
#[derive(Debug, Default)]
pub(crate) struct House {
    /// Whether the driver waits for somebody to be woken.
    listening: AtomicBool,
    driver: Mutex<Option<Waker>>,
}

impl House {
    /// The driver wants to be woken when somebody is.
    pub fn listen(&self, driver: &Waker) {
        let mut waker = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        *waker = Some(driver.clone());
        self.listening.store(true, Ordering::SeqCst);
    }

    /// The driver does not care any longer.
    pub fn ignore(&self) {
        self.listening.store(false, Ordering::SeqCst);
    }

    fn ring(&self) {
        if self.listening.swap(false, Ordering::SeqCst) {
            let mut waker = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }
}

/// One actor's.
#[derive(Debug)]
pub(crate) struct Bell {
    rung: AtomicBool,
    house: Arc<House>,
}

impl Bell {
    /// Of an actor that can move: it has not started.
    pub fn new(house: &Arc<House>) -> Arc<Self> {
        Arc::new(Self {
            rung: AtomicBool::new(true),
            house: Arc::clone(house),
        })
    }

    /// Whether the actor was woken since it moved last.
    pub fn has_rung(&self) -> bool {
        self.rung.load(Ordering::SeqCst)
    }

    /// The actor is about to move.
    pub fn still(&self) {
        self.rung.store(false, Ordering::SeqCst);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::SeqCst);
        self.house.ring();
    }
}
