//! Ctrl-C and its kin.
//!
//! The first Ctrl-C asks the search to end with what it has found; a second one, SIGTERM and SIGHUP end everything at
//! once. Either way nothing is left behind.

use std::io::{Write, stderr};
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use deadheat_sandbox::end_all;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Set once the user has asked the search to end.
pub type Interrupted = Arc<AtomicBool>;

/// What is done before a signal ends the program.
static AT_THE_END: Mutex<Option<fn()>> = Mutex::new(None);

/// Has something done before a signal ends the program: a terminal is given back as it was.
pub fn at_the_end(what: Option<fn()>) {
    *AT_THE_END.lock().unwrap_or_else(PoisonError::into_inner) = what;
}

/// Whether nothing is under way that would be broken off.
static AT_REST: AtomicBool = AtomicBool::new(false);

/// From now on nothing is under way: an interrupt ends nothing early, and says nothing.
pub fn at_rest() {
    AT_REST.store(true, Ordering::SeqCst);
}

/// Begins to listen.
///
/// # Errors
/// When the system refuses a thread or a handler.
pub fn listen() -> std::io::Result<Interrupted> {
    let interrupted = Interrupted::default();
    let flag = Arc::clone(&interrupted);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (interrupt, terminate, hangup) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        )
    };
    std::thread::Builder::new()
        .name("deadheat-signals".to_owned())
        .spawn(move || runtime.block_on(serve(interrupt, terminate, hangup, &flag)))?;
    Ok(interrupted)
}

async fn serve(
    mut interrupt: Signal,
    mut terminate: Signal,
    mut hangup: Signal,
    interrupted: &AtomicBool,
) {
    loop {
        let kind = tokio::select! {
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = terminate.recv() => SignalKind::terminate(),
            _ = hangup.recv() => SignalKind::hangup(),
        };
        if kind == SignalKind::interrupt() && !interrupted.swap(true, Ordering::SeqCst) {
            if !AT_REST.load(Ordering::SeqCst) {
                // Standard error may be closed; the search ends all the same.
                let _ = writeln!(
                    stderr(),
                    "ending with what was found so far; once more ends at once"
                );
            }
            continue;
        }
        end_all();
        let last = *AT_THE_END.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last {
            last();
        }
        exit(128 + kind.as_raw_value());
    }
}
