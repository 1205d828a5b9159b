//! The task lab: async code in one test, one actor moves at a time.
//!
//! A test's body is run anew for every schedule, on a runtime of its own whose clock stands still. It brings actors,
//! which are polled only when the explorer chooses them; tasks that the code spawns run until they wait, between the
//! choices. What actors return, and the state that is asked for, must be what some order of the actors gives.
//!
//! `thread` is blocking code as an actor; `fault` lets actors crash, come twice, or be given up.
//!
//! `search` is the loop over the runs; `runner` makes one of them, with `drive` as its turn of one actor after the
//! other; `quiet` knows when the runtime has nothing left to do; `bell` who was woken. `serial` is the oracle,
//! `failure` puts into words what is wrong.

mod base;
mod bell;
mod drive;
mod failure;
mod fault;
mod lab;
mod options;
mod panics;
mod quiet;
mod record;
mod runner;
mod schedule;
mod search;
mod seat;
mod serial;
mod stage;
mod tend;
mod thread;
mod touch;
mod turn;

pub use failure::Failure;
pub use lab::{Lab, Spawned};
pub use options::Options;
pub use search::Report;

/// Searches a test: its body is run for one schedule after the other, and its actors move when the future it returns is
/// ready (or at [`Lab::run`]).
///
/// # Errors
/// What is wrong, with a schedule that shows it every time.
pub fn check<F, Fut>(options: &Options, test: F) -> Result<Report, Failure>
where
    F: Fn(Lab) -> Fut,
    Fut: Future<Output = ()>,
{
    search::search(options, runner::Ran::Afterwards, &test, None)
}

/// As [`check`], for one schedule that [`Failure::schedule`] gave.
///
/// # Errors
/// What is wrong in this schedule; or that it cannot be read, is another test's, or does not fit the code any more.
pub fn replay<F, Fut>(options: &Options, schedule: &str, test: F) -> Result<Report, Failure>
where
    F: Fn(Lab) -> Fut,
    Fut: Future<Output = ()>,
{
    search::search(options, runner::Ran::Afterwards, &test, Some(schedule))
}

/// What `#[deadheat::test]` is made of.
#[doc(hidden)]
pub mod made {
    pub use crate::drive::Checks;
    use crate::lab::Lab;
    use crate::options::Options;
    use crate::runner::Ran;
    use crate::search::search;

    /// The test itself: fails by a panic, with the failure as its message.
    ///
    /// # Panics
    /// When something is wrong.
    #[track_caller]
    pub fn test<F, Fut>(options: &Options, test: F)
    where
        F: Fn(Lab) -> Fut,
        Fut: Future<Output = ()>,
    {
        let replay = std::env::var(crate::schedule::VARIABLE).ok();
        match search(options, Ran::AtItsEnd, &test, replay.as_deref()) {
            Ok(report) => println!("{}: {report}", options.name),
            Err(failure) => panic!("{failure}"),
        }
    }

    /// The end of a test's body, where its actors run unless they have.
    pub async fn end(lab: &Lab, checks: Checks<'_>) {
        crate::drive::drive(&lab.stage, &checks).await;
    }

    /// As `Debug` shows it.
    pub fn shown(value: &impl std::fmt::Debug) -> String {
        format!("{value:?}")
    }
}
