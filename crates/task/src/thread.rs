//! Blocking code as an actor: a thread of its own that runs only while it is its turn.
//!
//! Its steps end at points, at statements that it sends to the test's database, and at its end. What else it may wait for (a mutex, a blocking receive) is not seen; that it
//! waits is: the thread sleeps, and was not switched to for several looks. Then it has *stalled*, and goes on by itself
//! when something else has moved. Who gets a mutex is the system's choice then, so a search in which a thread stalled is
//! never called complete.

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use deadheat_point::{Call, Gate, attach};

use crate::panics;
use crate::record::Wrong;
use crate::seat::{Place, Where};
use crate::stage::{Moved, Stage};

/// Time between two looks at a thread.
const GAP: Duration = Duration::from_micros(300);
/// Looks in a row that found it asleep, after which it has stalled.
const LOOKS: u32 = 12;
/// The same before the database is asked whether the thread waits for it.
const LOOKS_AT_BASE: u32 = 2;
/// How long threads are given to end when the run is over.
const GOODBYE: Duration = Duration::from_secs(1);

/// What the thread and its lab share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// Number of the thread in the system, once it runs.
    number: Option<i32>,
    /// Woken when the thread stops by itself, after it has stalled.
    waker: Option<Waker>,
    /// The run is over: who comes to a point ends there.
    over: bool,
}

/// Where the thread is.
#[derive(Default)]
enum Phase {
    /// It runs, or waits where nobody sees it.
    #[default]
    Running,
    /// It is held at a point.
    Held(Where),
    /// It is at its end.
    Ended(Result<String, String>),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread stops: whoever waits for that is told.
    fn stop(&self, phase: Phase) {
        let mut state = self.lock();
        state.phase = phase;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        self.changed.notify_all();
    }

    /// Waits until the thread stops; `false` if it was found asleep in so many looks in a row.
    fn stops(&self, looks: u32) -> bool {
        let mut state = self.lock();
        let mut last = None;
        let mut still = 0;
        while matches!(state.phase, Phase::Running) {
            let waited = self.changed.wait_timeout(state, GAP);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            let look = state.number.and_then(asleep);
            still = if look.is_some() && look == last {
                still + 1
            } else {
                0
            };
            last = look;
            if still == looks {
                return !matches!(state.phase, Phase::Running);
            }
        }
        true
    }
}

/// How often the thread was switched to, if it sleeps.
fn asleep(number: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/self/task/{number}/status")).ok()?;
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim().to_owned())
    };
    if !value("State:")?.starts_with('S') {
        return None;
    }
    let switches = |key| value(key)?.parse::<u64>().ok();
    Some(switches("voluntary_ctxt_switches:")? + switches("nonvoluntary_ctxt_switches:")?)
}

/// Holds the points of the thread.
struct Held(Arc<Shared>);

/// Ends a thread whose run is over, from within.
struct Over;

impl Gate for Held {
    fn poll(&self, call: &Call, _: bool, _: &mut Context<'_>) -> Poll<()> {
        self.block(call);
        Poll::Ready(())
    }

    fn block(&self, call: &Call) {
        self.0.stop(Phase::Held(Where::from(call)));
        let mut state = self.0.lock();
        while matches!(state.phase, Phase::Held(_)) && !state.over {
            let waited = self.0.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        if state.over {
            drop(state);
            resume_unwind(Box::new(Over));
        }
    }
}

/// A thread of the run.
pub(crate) struct Thread {
    shared: Arc<Shared>,
    handle: RefCell<Option<JoinHandle<()>>>,
    /// It waits for the database, which goes on when its actor is chosen.
    asks: Cell<bool>,
}

impl Thread {
    /// Starts it; it runs from now on.
    fn start<T: Debug>(
        name: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<Rc<Self>> {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let life = move || {
            own.lock().number = own_number();
            let noting = panics::note();
            attach(Some(Rc::new(Held(Arc::clone(&own)))));
            let ended = catch_unwind(AssertUnwindSafe(|| format!("{:?}", work())));
            attach(None);
            let said = panics::first();
            drop(noting);
            own.stop(Phase::Ended(ended.map_err(|_| said.unwrap_or_default())));
        };
        let handle = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(life)?;
        Ok(Rc::new(Self {
            shared,
            handle: RefCell::new(Some(handle)),
            asks: Cell::new(false),
        }))
    }

    /// Lets it go on if it is held.
    fn go_on(&self) {
        let mut state = self.shared.lock();
        if matches!(state.phase, Phase::Held(_)) {
            state.phase = Phase::Running;
            self.shared.changed.notify_all();
        }
    }

    /// Whether it is neither held nor at its end.
    pub fn is_loose(&self) -> bool {
        !self.asks.get() && matches!(self.shared.lock().phase, Phase::Running)
    }

    /// Waits until it stops, or sleeps; whether it has stopped.
    pub fn comes_to_rest(&self) -> bool {
        self.shared.stops(LOOKS)
    }

    /// The run is over: lets it end, if it can.
    pub fn dismiss(&self) {
        self.shared.lock().over = true;
        self.shared.changed.notify_all();
    }

    /// Waits until it has ended; one that waits for ever is left to itself.
    pub fn bury(&self) {
        let start = Instant::now();
        let Some(handle) = self.handle.take() else {
            return;
        };
        while !handle.is_finished() && start.elapsed() < GOODBYE {
            std::thread::sleep(GAP);
        }
        if handle.is_finished() {
            // What it had to say of a panic was noted.
            let _ = handle.join();
        }
    }
}

/// The number by which the system knows the calling thread.
fn own_number() -> Option<i32> {
    let link = std::fs::read_link("/proc/thread-self").ok()?;
    link.file_name()?.to_str()?.parse().ok()
}

/// The thread as an actor: every poll is a step.
pub(crate) struct Turns<W> {
    stage: Rc<Stage>,
    name: String,
    /// Until it is started.
    work: Option<W>,
    thread: Option<Rc<Thread>>,
}

impl<W> Turns<W> {
    pub fn new(stage: &Rc<Stage>, name: String, work: W) -> Self {
        Self {
            stage: Rc::clone(stage),
            name,
            work: Some(work),
            thread: None,
        }
    }
}

/// Nothing in it is pinned.
impl<W> Unpin for Turns<W> {}

impl<T, W> Future for Turns<W>
where
    T: Debug,
    W: FnOnce() -> T + Send + 'static,
{
    type Output = String;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<String> {
        let this = &mut *self;
        if let Some(work) = this.work.take() {
            match Thread::start(&this.name, work) {
                Ok(thread) => {
                    this.stage.threads.borrow_mut().push(Rc::clone(&thread));
                    this.thread = Some(thread);
                }
                Err(error) => panic!("a thread cannot be started: {error}"),
            }
        } else if let Some(thread) = &this.thread
            && !thread.asks.get()
        {
            // One that has asked the database went on by itself, perhaps to a point already.
            thread.go_on();
        }
        let Some(thread) = &this.thread else {
            return Poll::Pending;
        };
        if let Some(why) = this.stage.follow(thread) {
            this.stage.wrong.borrow_mut().get_or_insert(why);
        }
        let mut state = thread.shared.lock();
        match &state.phase {
            Phase::Held(at) => {
                this.stage.comes_to(at.clone());
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Phase::Ended(Ok(returned)) => Poll::Ready(returned.clone()),
            Phase::Ended(Err(message)) => {
                let message = message.clone();
                drop(state);
                this.stage.panicked(message);
                Poll::Pending
            }
            Phase::Running if thread.asks.get() => Poll::Pending,
            Phase::Running => {
                state.waker = Some(context.waker().clone());
                this.stage.stalled.set(true);
                Poll::Pending
            }
        }
    }
}

impl Stage {
    /// The actor whose turn it is has come to a point.
    fn comes_to(&self, at: Where) {
        if let Some(current) = self.current.get() {
            let seat = &mut self.seats.borrow_mut()[current];
            seat.last_point = Some(at.name);
            seat.place = Place::Point(at);
        }
    }

    /// The actor whose turn it is has panicked, on its own thread.
    fn panicked(&self, message: String) {
        if let Some(current) = self.current.get() {
            let seat = &mut self.seats.borrow_mut()[current];
            seat.place = Place::Panic;
            let who = Some(seat.name.to_string());
            let wrong = Wrong::Panicked { who, message };
            self.wrong.borrow_mut().get_or_insert(wrong);
        }
    }

    /// Waits until the thread whose turn it is stops, asks the database, or has stalled.
    fn follow(&self, thread: &Thread) -> Option<Wrong> {
        thread.asks.set(false);
        if self.base().is_none() {
            thread.shared.stops(LOOKS);
            return None;
        }
        let mut idle = 0;
        while !thread.shared.stops(LOOKS_AT_BASE) && idle < LOOKS {
            match self.flow() {
                Ok(Moved::Nothing) => idle += LOOKS_AT_BASE,
                Ok(_) => idle = 0,
                Err(why) => return Some(Wrong::Database(why)),
            }
            if let Some(current) = self.current.get() {
                // Borrowed by nobody while an actor is polled.
                let seat = &mut self.seats.borrow_mut()[current];
                seat.asks = !seat.held.is_empty();
                thread.asks.set(seat.asks);
                if seat.asks {
                    return None;
                }
            }
        }
        None
    }

    /// The threads that neither are held nor have ended.
    pub fn loose_threads(&self) -> Vec<Rc<Thread>> {
        let threads = self.threads.borrow();
        let loose = threads.iter().filter(|thread| thread.is_loose());
        loose.cloned().collect()
    }
}
