//! What a run left: its steps, its outcome, and what is wrong with it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use deadheat_explore::{Actor, Run};

use crate::base::Table;
use crate::seat::Place;
use crate::touch::Touch;

/// One run.
pub(crate) struct Played {
    pub explored: Run<Touch>,
    /// Names of all that could be chosen, by [`Actor`].
    pub names: Vec<Cow<'static, str>>,
    /// Those of them that are actors and no tasks.
    pub actors: Vec<Actor>,
    /// Noted only when asked for.
    pub steps: Vec<Step>,
    /// The actors in the order in which they came to their ends.
    pub finished: Vec<Actor>,
    /// Those who have crashed.
    pub crashed: Vec<Actor>,
    /// Those who came twice.
    pub twice: Vec<Actor>,
    pub outcome: Outcome,
    /// What the run left in the database.
    pub tables: Vec<Table>,
    /// Whether a thread has waited where the lab does not see it.
    pub stalled: bool,
    pub wrong: Option<Wrong>,
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub actor: Actor,
    pub from: Place,
    pub to: Place,
    /// What ran at the database, and what came of it.
    pub ran: Option<(String, String)>,
    pub returned: Option<String>,
    /// Who could go on because of it.
    pub woke: Vec<Actor>,
    /// Whether it could go on at once.
    pub able: bool,
    /// Whether time had to pass behind it.
    pub time_passed: bool,
}

/// What the oracle compares: the values that actors returned, the state, as `Debug` shows them, and the tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Outcome {
    pub returned: BTreeMap<Actor, String>,
    pub state: Vec<String>,
    /// The rows of each, in order.
    pub tables: BTreeMap<String, Vec<String>>,
}

impl Outcome {
    /// Without what these have returned.
    pub fn unheard(&self, actors: &[Actor]) -> Self {
        let mut outcome = self.clone();
        outcome.returned.retain(|actor, _| !actors.contains(actor));
        outcome
    }
}

/// What is wrong with a run, whatever other runs do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// What must always be true was not, after so many steps.
    Broken { check: String, steps: usize },
    /// Somebody panicked; who, where it is known.
    Panicked {
        who: Option<String>,
        message: String,
    },
    /// Nobody can move; one line for each that has not finished.
    Stuck(Vec<String>),
    /// A run that does not come to its end.
    Endless { steps: usize },
    /// The database could not be asked.
    Database(String),
    /// An actor came to a point that blocks, in async code.
    Blocks { who: String, point: &'static str },
}

impl Wrong {
    /// Whether both are the same thing going wrong, in whatever schedule.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Broken { check, .. }, Self::Broken { check: other, .. }) => check == other,
            (Self::Panicked { message, .. }, Self::Panicked { message: other, .. }) => {
                message == other
            }
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { check, steps } => {
                write!(f, "`always` at {check} does not hold after step {steps}")
            }
            Self::Panicked { who, message } => {
                let who = who.as_deref().unwrap_or("a task or the test itself");
                write!(f, "{who} panicked: {message}")
            }
            Self::Stuck(waiting) => {
                write!(f, "stuck: nobody can move")?;
                for line in waiting {
                    write!(f, "\n  {line}")?;
                }
                Ok(())
            }
            Self::Endless { steps } => write!(
                f,
                "after {steps} steps the run has not come to its end: somebody goes on for ever"
            ),
            Self::Database(why) => write!(f, "{why}"),
            Self::Blocks { who, point } => write!(
                f,
                "{who} came to `point!(\"{point}\")`, which blocks, in async code: await it"
            ),
        }
    }
}
