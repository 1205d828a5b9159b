//! Points of a process that is started by a lab: held by the socket that `DEADHEAT_POINTS` names.
//!
//! The protocol is in docs/points.md. One connection a point: who waits needs no connection of others then.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::on::Call;

/// The variable that says where points are held.
const VARIABLE: &str = "DEADHEAT_POINTS";

/// Where points are held, if anywhere: read once.
pub(crate) fn address() -> Option<&'static str> {
    static ADDRESS: OnceLock<Option<String>> = OnceLock::new();
    ADDRESS
        .get_or_init(|| {
            std::env::var(VARIABLE)
                .ok()
                .filter(|value| !value.is_empty())
        })
        .as_deref()
}

/// Waits until the point may be passed. A socket that is gone, or was never there, holds nobody.
pub(crate) fn pass(call: &Call) {
    if let Some(address) = address() {
        // Whatever goes wrong: the test that would have held us is over.
        let _ = ask(address, call);
    }
}

fn ask(address: &str, call: &Call) -> std::io::Result<()> {
    match address.strip_prefix("unix:") {
        #[cfg(unix)]
        Some(path) => say(std::os::unix::net::UnixStream::connect(path)?, call),
        #[cfg(not(unix))]
        Some(_) => Err(std::io::ErrorKind::Unsupported.into()),
        None => {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            say(stream, call)
        }
    }
}

fn say(mut stream: impl Read + Write, call: &Call) -> std::io::Result<()> {
    let line = format!("point 1 {} {}\n", call.name, call.values);
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(())
}

/// A point that is awaited; a thread waits in its stead, because no runtime is known here.
#[derive(Debug)]
pub(crate) struct Held(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    passed: bool,
    waker: Option<Waker>,
}

impl Held {
    pub(crate) fn new(call: Call) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let waiting = Arc::clone(&state);
        let wait = move || {
            pass(&call);
            let mut state = lock(&waiting);
            state.passed = true;
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        };
        let started = std::thread::Builder::new()
            .name("deadheat-point".to_owned())
            .spawn(wait);
        if started.is_err() {
            // Nobody can wait, so nobody is held.
            lock(&state).passed = true;
        }
        Self(state)
    }

    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.0);
        if state.passed {
            return Poll::Ready(());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
