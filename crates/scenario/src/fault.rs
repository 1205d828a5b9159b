//! What may go wrong with an actor besides the order of things. Each fault that the file allows is an actor of its own,
//! behind those of the file: whoever chooses the schedule chooses when it happens, and whether.

use serde::{Deserialize, Serialize};

/// A fault of an actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// The name of the actor that it happens to.
    pub of: String,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// It ends between two steps; its open transactions are undone.
    Crash,
    /// It is delivered a second time.
    Repeat,
    /// The client hangs up and sends its request again, while the service works on the first.
    Timeout,
}

impl FaultKind {
    /// What schedules and reports call the fault of that actor.
    pub(crate) fn name(self, actor: &str) -> String {
        match self {
            Self::Crash => format!("crash of {actor}"),
            Self::Repeat => format!("repeat of {actor}"),
            Self::Timeout => format!("retry of {actor}"),
        }
    }
}
