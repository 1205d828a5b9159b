//! What is alive and must be ended: the list behind [`end_all`].
//!
//! Destructors do not run when a signal ends a process. Whoever starts something registers it here, and a
//! signal handler (ours, or the caller's own calling [`end_all`]) ends it all first.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::signal::unix::{SignalKind, signal};

use crate::error::Error;

/// Something that can be ended from any thread, more than once.
pub(crate) trait Ends: Send + Sync {
    /// Ends it and waits until it is gone. Later calls find nothing to do.
    fn end(&self);
}

static LIVE: Mutex<Vec<Weak<dyn Ends>>> = Mutex::new(Vec::new());

/// Puts `one` on the list for as long as it lives.
pub(crate) fn register(one: &Arc<impl Ends + 'static>) {
    let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
    live.retain(|known| known.strong_count() > 0);
    let weak: Weak<dyn Ends> = Arc::downgrade(one) as Weak<dyn Ends>;
    live.push(weak);
}

/// Held while everything is being ended.
static ENDING: Mutex<()> = Mutex::new(());

/// Waits until an [`end_all`] on another thread is through. For destructors: `main` must not return, and end
/// the process with it, in the middle of that.
pub(crate) fn let_end() {
    drop(ENDING.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Ends every process, server and scratch database of this process, the latest first. Blocks until they are
/// gone. For signal handlers and `exit`; ordinary ends are done by dropping.
pub fn end_all() {
    let _ending = ENDING.lock().unwrap_or_else(PoisonError::into_inner);
    end_each();
}

fn end_each() {
    loop {
        // Taken one by one and outside the lock: ending may take a while, and must not wait for itself.
        let last = LIVE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match last {
            Some(weak) => {
                if let Some(one) = weak.upgrade() {
                    one.end();
                }
            }
            None => return,
        }
    }
}

/// From now on Ctrl-C, SIGTERM and SIGHUP first end everything, then this process with the usual status.
///
/// # Errors
/// When the system refuses a thread or a signal handler.
pub fn end_on_signals() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::io("watch for signals"))?;
    let watched = {
        let _inside = runtime.enter();
        let watch = |kind| signal(kind).map_err(Error::io("watch for signals"));
        (
            watch(SignalKind::interrupt())?,
            watch(SignalKind::terminate())?,
            watch(SignalKind::hangup())?,
        )
    };
    let body = move || {
        let (mut interrupt, mut terminate, mut hangup) = watched;
        let number = runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => SignalKind::interrupt(),
                _ = terminate.recv() => SignalKind::terminate(),
                _ = hangup.recv() => SignalKind::hangup(),
            }
        });
        // Held to the last: other threads wait in their destructors, and the status is that of the signal.
        let _ending = ENDING.lock().unwrap_or_else(PoisonError::into_inner);
        end_each();
        std::process::exit(128 + number.as_raw_value());
    };
    std::thread::Builder::new()
        .name("deadheat-signals".to_owned())
        .spawn(body)
        .map_err(Error::io("watch for signals"))?;
    Ok(())
}
