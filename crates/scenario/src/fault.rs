//! What may go wrong with an actor or a service besides the order of things. Each fault that the file allows is an actor
//! of its own, behind those of the file: whoever chooses the schedule chooses when it happens, and whether.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// The name of the actor that it happens to, or of the service.
    pub of: String,
}

/// What goes wrong.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// It ends between two steps; its open transactions are undone.
    Crash,
    /// It is delivered a second time.
    Repeat,
    /// The client hangs up and sends its request again, while the service works on the first.
    Timeout,
    /// A service is killed between two steps, with all that is under way in it, and started again.
    ServiceCrash,
}

impl FaultKind {
    /// Whether it happens to a service, and not to one actor.
    pub fn is_of_service(self) -> bool {
        self == Self::ServiceCrash
    }

    /// What schedules and reports call the fault of that actor or service.
    pub(crate) fn name(self, of: &str) -> String {
        match self {
            Self::Crash | Self::ServiceCrash => format!("crash of {of}"),
            Self::Repeat => format!("repeat of {of}"),
            Self::Timeout => format!("retry of {of}"),
        }
    }
}
