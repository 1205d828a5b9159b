//! What a test has in its hands: it brings actors, says what must hold, and lets them run.

use std::borrow::Cow;
use std::fmt::Debug;
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::base::Base;
use crate::drive::{Checks, drive};
use crate::runner::NoSockets;
use crate::seat::Kind;
use crate::stage::{Always, Stage};
use crate::thread::Turns;

/// The lab of one run. The test's body is run anew for every schedule, each time with a lab of its own.
#[derive(Clone)]
pub struct Lab {
    pub(crate) stage: Rc<Stage>,
}

impl Lab {
    /// Brings an actor: from the test's end on it takes turns with the others. Its steps end at awaits that have to wait,
    /// and at points. What it returns is compared with what serial orders return, by its `Debug`.
    pub fn actor<F>(&self, name: impl Into<Cow<'static, str>>, work: F)
    where
        F: Future + 'static,
        F::Output: Debug,
    {
        let shown = self.stage.how.shown;
        let work = async move {
            let returned = work.await;
            if shown {
                format!("{returned:?}")
            } else {
                String::new()
            }
        };
        self.stage.seat(name.into(), Kind::Actor, Box::pin(work));
    }

    /// As `tokio::spawn`, but the task takes turns with the actors instead of running whenever it can. A run is over
    /// when the actors are at their ends and no such task can go on.
    pub fn spawn<F>(&self, name: impl Into<Cow<'static, str>>, work: F) -> Spawned<F::Output>
    where
        F: Future + 'static,
    {
        let (send, receive) = oneshot::channel();
        let work = async move {
            // Nobody may be interested.
            let _ = send.send(work.await);
            String::new()
        };
        self.stage.seat(name.into(), Kind::Task, Box::pin(work));
        Spawned(receive)
    }

    /// Brings an actor that is blocking code: a thread of its own, which runs while it is its turn. Its steps end at
    /// points, which block there, and at its end. It must not wait for another actor otherwise; where it does, for a
    /// mutex, say, the search goes on and is never called complete.
    pub fn thread<T, W>(&self, name: impl Into<Cow<'static, str>>, work: W)
    where
        T: Debug + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let name = name.into();
        let turns = Turns::new(&self.stage, name.to_string(), work);
        self.stage.seat(name, Kind::Actor, Box::pin(turns));
        if let Some(seat) = self.stage.seats.borrow_mut().last_mut() {
            seat.is_thread = true;
        }
    }

    /// A database of PostgreSQL's, on a private server that the test's runs share: `schema` is a file of SQL, whose path
    /// begins at the package. Returns the URL that pools and clients connect to. At the start of every run the database
    /// is as the file has set it up; what the actors leave in its tables is compared like [`Lab::state`]. From the first
    /// step on, each statement that touches anything shared is a step, and so is the commit of one that writes outside
    /// a transaction.
    ///
    /// # Panics
    /// When there is no server to be had or the file cannot be run; and when actors move already.
    #[track_caller]
    pub fn postgres(&self, schema: &str) -> String {
        let stage = &self.stage;
        let may_begin = stage.cursor.borrow().is_some();
        assert!(
            may_begin,
            "`lab.postgres` is for the test itself, before its actors move"
        );
        if !stage.ground.io.get() {
            resume_unwind(Box::new(NoSockets));
        }
        let base = match stage.ground.base.get() {
            Some(base) => base,
            None => match Base::start() {
                Ok(base) => stage.ground.base.get_or_init(|| base),
                Err(error) => panic!("there is no thread for the database: {error}"),
            },
        };
        stage.at_base.set(true);
        match base.begin(schema) {
            Ok(url) => url,
            Err(why) => panic!("{why}"),
        }
    }

    /// Something that must be true before the first step and after every other.
    ///
    /// In a `#[deadheat::test]`, where it is a statement of the test itself, the closure may borrow what the test holds.
    #[track_caller]
    pub fn always(&self, holds: impl Fn() -> bool + 'static) {
        let at = Location::caller();
        let at = format!("{}:{}", at.file(), at.line());
        let holds = Box::new(holds);
        self.stage.always.borrow_mut().push(Always { at, holds });
    }

    /// State that the actors leave behind: at the end it must be what some serial order leaves, by its `Debug`.
    ///
    /// In a `#[deadheat::test]`, where it is a statement of the test itself, the closure may borrow what the test holds.
    pub fn state<T: Debug>(&self, state: impl Fn() -> T + 'static) {
        let show = Box::new(move || format!("{:?}", state()));
        self.stage.state.borrow_mut().push(show);
    }

    /// Lets the actors run to their ends, in the order that this run is to show. Happens by itself at the end of the
    /// test; a test that has something to say afterwards awaits it. Runs once.
    pub async fn run(&self) {
        drive(&self.stage, &Checks::default()).await;
    }
}

/// A task that was spawned as an actor: its output, or an error if it panicked.
#[derive(Debug)]
pub struct Spawned<T>(oneshot::Receiver<T>);

impl<T> Future for Spawned<T> {
    type Output = Result<T, oneshot::error::RecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}
