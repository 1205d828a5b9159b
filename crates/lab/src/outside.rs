//! Actors that somebody outside plays: functions of a test, say.

use std::fmt::Debug;
use std::sync::Arc;

use deadheat_sandbox::Look;
use tokio::sync::oneshot;

use crate::record::Reply;

/// How an attached actor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Whether it failed.
    pub failed: bool,
    /// What it came to, as it is to be compared between runs.
    pub output: String,
}

/// Whoever plays the actors that are attached.
pub trait Outside: Debug + Send + Sync {
    /// The actor of this name is to begin, with this in its environment. What it ends with is waited for until the run
    /// is over; then nobody listens any more.
    fn begin(&self, name: &str, environment: &[(String, String)]) -> oneshot::Receiver<Ended>;

    /// A look at where the actors run: all asleep only if nothing of them is under way. `None` if nothing can be seen;
    /// then an actor that neither sends a statement nor ends is waited for until the step takes too long.
    fn look(&self) -> Option<Look>;
}

/// Who plays the attached actors of a lab, if anybody does.
pub(crate) type Players = Option<Arc<dyn Outside>>;

/// What an attached actor is told to have been told.
pub(crate) fn reply(name: &str, ended: Option<Ended>) -> Reply {
    let ended = ended.unwrap_or_else(|| Ended {
        failed: true,
        output: "whoever played it has gone".to_owned(),
    });
    Reply::Command {
        run: name.to_owned(),
        status: i32::from(ended.failed),
        output: ended.output,
    }
}
