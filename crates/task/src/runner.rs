//! Makes one run: a runtime of its own, the test's body, its actors.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use deadheat_explore::Cursor;
use deadheat_point::attach;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

use crate::drive::{Checks, NEVER, drive};
use crate::lab::Lab;
use crate::panics;
use crate::quiet;
use crate::record::{Played, Wrong};
use crate::stage::{How, Stage};
use crate::touch::Touch;

/// Why a run did not take place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Early {
    /// The test panicked before any actor moved.
    Panicked(String),
    /// The test waits for something that does not come, before its actors move.
    Waits,
    /// The test returned before its end, where its actors would have run.
    Returned,
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

/// Makes one run of the test.
pub(crate) fn make<F, Fut>(
    test: &F,
    ran: Ran,
    cursor: Cursor<Touch>,
    how: How,
) -> Result<Played, Early>
where
    F: Fn(Lab) -> Fut,
    Fut: Future<Output = ()>,
{
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .on_thread_park(quiet::parking)
        .build()
        .map_err(|error| Early::Runtime(error.to_string()))?;
    let stage = Stage::new(cursor, how);
    quiet::forget();
    let noting = panics::note();
    let gate_before = attach(Some(Rc::clone(&stage) as Rc<dyn deadheat_point::Gate>));
    let caught = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(body(test, ran, &stage))
    }));
    let said = panics::first();
    {
        let _inside = runtime.enter();
        // A destructor that panics has been noted; there is nobody left to tell.
        let _ = catch_unwind(AssertUnwindSafe(|| stage.clear()));
    }
    let _ = catch_unwind(AssertUnwindSafe(|| drop(runtime)));
    attach(gate_before);
    drop(noting);
    let played = stage.played.take();
    match (caught, played) {
        (Ok(Ok(())), Some(played)) => Ok(played),
        (Ok(Ok(())), None) => Err(Early::Returned),
        (Ok(Err(early)), None) => Err(early),
        (Ok(Err(_)), Some(mut played)) => {
            let line = "the test itself waits, after its actors have run".to_owned();
            played.wrong.get_or_insert(Wrong::Stuck(vec![line]));
            Ok(played)
        }
        (Err(_), None) => Err(Early::Panicked(said.unwrap_or_default())),
        (Err(_), Some(mut played)) => {
            let message = said.unwrap_or_default();
            let wrong = Wrong::Panicked { who: None, message };
            played.wrong.get_or_insert(wrong);
            Ok(played)
        }
    }
}

async fn body<F, Fut>(test: &F, ran: Ran, stage: &Rc<Stage>) -> Result<(), Early>
where
    F: Fn(Lab) -> Fut,
    Fut: Future<Output = ()>,
{
    let mut work = pin!(async {
        let stage = Rc::clone(stage);
        test(Lab { stage }).await;
    });
    let mut never = pin!(sleep(NEVER));
    poll_fn(|context| {
        if work.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
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
    Ok(())
}
