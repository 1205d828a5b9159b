//! Makes one run: a runtime of its own, the test's body, its actors.

use std::cell::Cell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use deadheat_explore::Cursor;
use deadheat_point::attach;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep};

use crate::drive::{Checks, NEVER, drive};
use crate::lab::Lab;
use crate::panics;
use crate::quiet;
use crate::record::{Played, Wrong};
use crate::stage::{Ground, Guide, How, Stage};
use crate::tend::{Tended, Tending, settle};
use crate::touch::Touch;

/// Why a run did not take place.
pub(crate) enum Early {
    /// The test panicked before any actor moved.
    Panicked(String),
    /// The test waits for something that does not come, before its actors move.
    Waits,
    /// The test returned before its end, where its actors would have run.
    Returned,
    /// The test asked for a database on a runtime that has no sockets.
    NoSockets(Cursor<Touch>),
    /// There is no runtime to be had.
    Runtime(String),
}

/// Where a test lets its actors run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    /// When its future is ready, if it has not done so itself.
    Afterwards,
    /// At its own end.
    AtItsEnd,
}

/// Makes runs.
#[derive(Default)]
pub(crate) struct Runner {
    /// A runtime that is as good as new: its tasks have ended and its clock has not moved.
    unused: Cell<Option<Runtime>>,
    ground: Rc<Ground>,
}

/// Ends a run that has no sockets and turned out to need them.
pub(crate) struct NoSockets;

impl Runner {
    /// Makes runs that may have so many faults.
    pub fn new(faults: u32) -> Self {
        let runner = Self::default();
        runner.ground.faults.set(faults);
        runner
    }

    /// Makes one run of the test.
    pub fn make<F, Fut>(
        &self,
        test: &F,
        ran: Ran,
        guide: impl Into<Guide>,
        how: How,
    ) -> Result<Played, Early>
    where
        F: Fn(Lab) -> Fut,
        Fut: Future<Output = ()>,
    {
        let runtime = self.runtime()?;
        let guide = guide.into();
        let absent = guide.absent.clone();
        let stage = Stage::new(guide, how, Rc::clone(&self.ground));
        let (played, runtime) = run(runtime, test, ran, &stage);
        self.unused.set(runtime);
        if let Err(Early::NoSockets(cursor)) = played {
            self.unused.set(None);
            self.ground.io.set(true);
            return self.make(test, ran, Guide { cursor, absent }, how);
        }
        played
    }

    fn runtime(&self) -> Result<Runtime, Early> {
        if let Some(runtime) = self.unused.take() {
            return Ok(runtime);
        }
        let mut builder = Builder::new_current_thread();
        if self.ground.io.get() {
            builder.enable_io();
        }
        builder
            .enable_time()
            .start_paused(true)
            .on_thread_park(quiet::parking)
            .build()
            .map_err(|error| Early::Runtime(error.to_string()))
    }

    /// Learns from two runs of one schedule which columns of the database differ from run to run.
    pub fn learn(&self, one: &mut Played, other: &mut Played) {
        let mut mask = self.ground.mask.borrow_mut();
        for (table, other) in one.tables.iter().zip(&other.tables) {
            mask.extend(table.differing(other));
        }
        for played in [one, other] {
            played.outcome.tables = played
                .tables
                .iter()
                .map(|table| (table.name.clone(), table.shown(&mask)))
                .collect();
        }
    }
}

/// Makes the run; gives the runtime back if it is as good as new.
fn run<F, Fut>(
    runtime: Runtime,
    test: &F,
    ran: Ran,
    stage: &Rc<Stage>,
) -> (Result<Played, Early>, Option<Runtime>)
where
    F: Fn(Lab) -> Fut,
    Fut: Future<Output = ()>,
{
    quiet::forget();
    let noting = panics::note();
    let gate_before = attach(Some(Rc::clone(stage) as Rc<dyn deadheat_point::Gate>));
    let caught = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(body(test, ran, stage))
    }));
    let said = panics::first();
    {
        let _inside = runtime.enter();
        // A destructor that panics has been noted; there is nobody left to tell.
        let _ = catch_unwind(AssertUnwindSafe(|| stage.clear()));
    }
    let unused = matches!(caught, Ok(Ok(true)) if runtime.metrics().num_alive_tasks() == 0);
    let runtime = if unused {
        Some(runtime)
    } else {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(runtime)));
        None
    };
    attach(gate_before);
    drop(noting);
    let played = stage.played.take();
    let played = match (caught, played) {
        (Ok(Ok(_)), Some(played)) => Ok(played),
        (Ok(Ok(_)), None) => Err(Early::Returned),
        (Ok(Err(early)), None) => Err(early),
        (Ok(Err(_)), Some(mut played)) => {
            let line = "the test itself waits, after its actors have run".to_owned();
            played.wrong.get_or_insert(Wrong::Stuck(vec![line]));
            Ok(played)
        }
        (Err(payload), None) if payload.is::<NoSockets>() => match stage.cursor.take() {
            Some(cursor) => Err(Early::NoSockets(cursor)),
            None => Err(Early::Returned),
        },
        (Err(_), None) => Err(Early::Panicked(said.unwrap_or_default())),
        (Err(_), Some(mut played)) => {
            let message = said.unwrap_or_default();
            let wrong = Wrong::Panicked { who: None, message };
            played.wrong.get_or_insert(wrong);
            Ok(played)
        }
    };
    (played, runtime)
}

/// Runs the test and its actors; whether time has stood still all along.
async fn body<F, Fut>(test: &F, ran: Ran, stage: &Rc<Stage>) -> Result<bool, Early>
where
    F: Fn(Lab) -> Fut,
    Fut: Future<Output = ()>,
{
    let start = Instant::now();
    let mut work = pin!(async {
        let stage = Rc::clone(stage);
        test(Lab { stage }).await;
    });
    // Made when the runtime first has nothing to do but to wait for time to pass: most runs need none.
    let mut never = None;
    let mut tending = Tending::new(stage);
    poll_fn(|context| {
        loop {
            if work.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            match tending.poll(context) {
                Tended::Moved => {}
                Tended::Nothing => break,
                Tended::Waits => return Poll::Pending,
                Tended::Failed(why) => return Poll::Ready(Err(Early::Panicked(why))),
            }
        }
        if !quiet::has_slept(context.waker()) {
            return Poll::Pending;
        }
        let never = never.get_or_insert_with(|| Box::pin(sleep(NEVER)));
        while never.as_mut().poll(context).is_ready() {
            if !stage.is_running() {
                return Poll::Ready(Err(Early::Waits));
            }
            never.as_mut().reset(Instant::now() + NEVER);
        }
        Poll::Pending
    })
    .await?;
    if ran == Ran::Afterwards {
        drive(stage, &Checks::default()).await;
    }
    stage.clear();
    // Tasks that served the actors end now, if they end when nobody needs them any longer.
    quiet::quiet().await;
    if stage.base().is_some() {
        settle().await;
    }
    Ok(Instant::now() == start)
}
