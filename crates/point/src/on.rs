//! What a point is when it is on: a gate of whoever has [attached](attach) one to the thread, else of the socket that
//! `DEADHEAT_POINTS` names, else nothing.

use std::cell::RefCell;
use std::future::IntoFuture;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::socket::{self, Held};
use crate::values::Values;

/// What reaches a gate.
#[derive(Clone, Debug)]
pub struct Call {
    /// The name of the point.
    pub name: &'static str,
    /// Its values, a JSON object.
    pub values: String,
}

/// Holds the points that are reached on the threads it is [attached](attach) to.
pub trait Gate {
    /// A point that is awaited. Polled until it is ready, with `again` on all polls but the first.
    fn poll(&self, call: &Call, again: bool, context: &mut Context<'_>) -> Poll<()>;

    /// A point that blocks: returns when it may be passed.
    fn block(&self, call: &Call);
}

thread_local! {
    static GATE: RefCell<Option<Rc<dyn Gate>>> = const { RefCell::new(None) };
}

/// Gives this thread's points to a gate, or to none; returns the one that had them.
pub fn attach(gate: Option<Rc<dyn Gate>>) -> Option<Rc<dyn Gate>> {
    GATE.with(|attached| attached.replace(gate))
}

/// None where thread-locals are gone, at the end of a thread.
fn gate() -> Option<Rc<dyn Gate>> {
    GATE.try_with(|attached| attached.borrow().clone())
        .ok()
        .flatten()
}

/// A place in the code that was reached.
#[doc(hidden)]
pub struct Here {
    /// Without anybody to hold it, nothing is remembered.
    call: Option<Call>,
}

impl Here {
    pub fn new(name: &'static str, show: impl Fn(&mut Values)) -> Self {
        if gate().is_none() && socket::address().is_none() {
            return Self { call: None };
        }
        let mut values = Values::default();
        show(&mut values);
        let values = values.json();
        Self {
            call: Some(Call { name, values }),
        }
    }
}

/// What [`point!`](crate::point) makes: dropped, it blocks; awaited, it waits.
pub struct Point<'here> {
    here: &'here Here,
    awaited: bool,
}

impl<'here> Point<'here> {
    #[doc(hidden)]
    pub fn at(here: &'here Here) -> Self {
        Self {
            here,
            awaited: false,
        }
    }
}

impl Drop for Point<'_> {
    fn drop(&mut self) {
        let Some(call) = &self.here.call else { return };
        if self.awaited || std::thread::panicking() {
            return;
        }
        match gate() {
            Some(gate) => gate.block(call),
            None => socket::pass(call),
        }
    }
}

impl IntoFuture for Point<'_> {
    type Output = ();
    type IntoFuture = Reached;

    fn into_future(mut self) -> Reached {
        self.awaited = true;
        Reached {
            call: self.here.call.clone(),
            again: false,
            held: None,
        }
    }
}

/// A point that is awaited.
#[derive(Debug)]
pub struct Reached {
    call: Option<Call>,
    again: bool,
    /// Where it is held by the socket.
    held: Option<Held>,
}

impl Future for Reached {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(call) = &this.call else {
            return Poll::Ready(());
        };
        let again = std::mem::replace(&mut this.again, true);
        let poll = match (gate(), &this.held) {
            (_, Some(held)) => held.poll(context),
            (Some(gate), None) => gate.poll(call, again, context),
            (None, None) => this.held.insert(Held::new(call.clone())).poll(context),
        };
        if poll.is_ready() {
            this.call = None;
        }
        poll
    }
}
