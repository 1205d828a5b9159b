//! What a run left: plain data that oracles judge and reports print. Nothing here does I/O.

use std::collections::BTreeMap;

use deadheat_explore::Actor;
pub use deadheat_scenario::FaultKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One finished (or stuck) run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// The actors' names, by [`Actor`] index.
    pub actors: Vec<String>,
    /// The steps in the order they happened; the schedule is their actors.
    pub steps: Vec<Step>,
    /// What each actor was told, by [`Actor`] index, in the order it was told.
    pub replies: Vec<Vec<Reply>>,
    /// Final rows of every table that this run has changed; tables not named are as they were at the start.
    pub tables: BTreeMap<String, Table>,
    /// Invariants of the scenario, by name, as evaluated at the end (and, where asked, after commits).
    pub invariants: Vec<Invariant>,
    /// How the run ended.
    pub end: End,
    /// Transactions that were still open when all actors had finished, each by the number of its session.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_open: Vec<LeftOpen>,
    /// What of the written tables was committed, before the first step and after each, where the run was asked to look;
    /// a table that could not be read without waiting, or has too many rows, is missing.
    #[serde(skip)]
    pub looks: Vec<BTreeMap<String, Table>>,
    /// The faults that the run may have had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

/// A fault that a run may have had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// The actor that stands for it.
    pub actor: Actor,
    /// What it is.
    pub kind: FaultKind,
    /// Whom it may happen to; `None`: not to one actor, but to a service.
    pub of: Option<Actor>,
    /// Whether it happened.
    pub struck: bool,
}

/// A transaction that its actor left open.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct LeftOpen {
    /// Whose it is.
    pub actor: Actor,
    /// Number of the session, as in [`Step::session`].
    pub session: u32,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Every actor finished.
    Finished,
    /// No actor can move; what each waits for, in words.
    Stuck(Vec<(Actor, String)>),
    /// The explorer had no use for the rest (a redundant run).
    Cut,
}

/// One step of one actor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Who moved.
    pub actor: Actor,
    /// The statements of the step, in order (one for most clients). Empty for a step that sent none.
    pub statements: Vec<Statement>,
    /// The gate the step was parked at: `fault` for what goes wrong, `postgres`, or `start` for an actor that sent no statement at all.
    pub gate: String,
    /// What kind of step it is.
    pub kind: StepKind,
    /// Number of the database session (connection) inside this run, counted from 1; 0 where there is none.
    pub session: u32,
    /// Whether the session was inside an explicit transaction of the client when the step began.
    pub in_transaction: bool,
    /// Isolation level the statement ran at (`read committed`, …), where known.
    pub isolation: String,
    /// The actors whose locks it had to wait for; empty if it did not wait.
    pub blocked_by: Vec<Actor>,
    /// The actors that waited and went on because of this step.
    pub wakes: Vec<Actor>,
    /// The error the database answered, if it did (the reply to a waiting step is noted on the waiting step).
    pub error: Option<SqlError>,
    /// Command tags of the reply (`UPDATE 1`, `SELECT 3`, …).
    pub tags: Vec<String>,
    /// First rows that were read (at most 20, cells cut at 200 characters), as text, with column names first.
    pub rows: Vec<Vec<Option<String>>>,
    /// Names of the columns of `rows`.
    pub columns: Vec<String>,
    /// Tables read and written as far as known, for explanations.
    pub accesses: Vec<Access>,
    /// Hash of the statements' fingerprints, for matching steps across runs.
    pub fingerprint: u64,
}

/// What kind of step it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// Statements were run (and, outside a transaction, committed if they wrote nothing).
    Work,
    /// The commit of a statement that ran outside a transaction: the end of its commit gap.
    GapCommit,
    /// The client's own COMMIT.
    Commit,
    /// The client's own ROLLBACK.
    Rollback,
    /// An actor moved without any statement; or a fault did not happen.
    Silent,
    /// A fault happened: the actor that it happens to crashes at its next step.
    Fault,
    /// The actor crashed: what was open on the session was undone.
    Crash,
    /// A service was killed, with what was under way in it, and started again.
    Kill,
}

/// A statement as the client sent it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Statement {
    /// The text.
    pub sql: String,
    /// Its parameters in text form; `None` is NULL. Binary values of unknown type are shown as `\x…`.
    pub params: Vec<Option<String>>,
}

impl Step {
    /// Whether it is that of a fault that did not happen.
    pub fn is_idle_fault(&self) -> bool {
        self.kind == StepKind::Silent && self.gate == "fault"
    }

    /// What must be the same when the step is replayed: who, what, and how it went.
    pub fn identity(&self) -> impl PartialEq + '_ {
        (
            (self.actor, self.kind, self.fingerprint),
            (&self.tags, self.error.as_ref().map(|error| &error.code)),
            (&self.blocked_by, &self.wakes),
        )
    }
}

impl Statement {
    /// The name and the values of the point, if it is one and no statement.
    pub fn point(&self) -> Option<String> {
        let (name, values) = deadheat_sql::point(&self.sql)?;
        Some(format!("point {name} {values}").trim_end().to_owned())
    }

    /// Text and parameters in one line.
    pub fn in_one_line(&self) -> String {
        if let Some(point) = self.point() {
            return point;
        }
        let text = self.sql.split_whitespace().collect::<Vec<_>>().join(" ");
        if self.params.is_empty() {
            return text;
        }
        let params: Vec<&str> = self
            .params
            .iter()
            .map(|param| param.as_deref().unwrap_or("NULL"))
            .collect();
        format!("{text} [{}]", params.join(", "))
    }
}

/// One table that a step touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Access {
    /// Name as in [`Record::tables`].
    pub table: String,
    /// Row, written `id=1`, when the step is known to touch only that row; otherwise `None` (a scan).
    pub row: Option<String>,
    /// Whether it was written (or locked for writing).
    pub write: bool,
}

/// Rows of a table in text form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    /// Column names.
    pub columns: Vec<String>,
    /// Rows in the order the server returned them; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// Whether both have the same columns and the same rows, in whatever order.
    pub fn same_rows(&self, other: &Self) -> bool {
        let sorted = |table: &Self| {
            let mut order: Vec<usize> = (0..table.rows.len()).collect();
            order.sort_by(|x, y| table.rows[*x].cmp(&table.rows[*y]));
            order
        };
        self.columns == other.columns
            && self.rows.len() == other.rows.len()
            && sorted(self)
                .into_iter()
                .zip(sorted(other))
                .all(|(x, y)| self.rows[x] == other.rows[y])
    }
}

/// An error of the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SqlError {
    /// SQLSTATE.
    pub code: String,
    /// Primary message.
    pub message: String,
}

/// What an actor was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Answer to an HTTP request.
    Http {
        /// `POST /games/1/players`.
        request: String,
        /// Status code.
        status: u16,
        /// Headers that can matter (content-type, location, set-cookie), lower-case names.
        headers: Vec<(String, String)>,
        /// The body as text (lossy).
        body: String,
    },
    /// The connection broke before an answer came.
    NoAnswer {
        /// `POST /games/1/players`.
        request: String,
        /// What happened.
        error: String,
    },
    /// Exit of a command.
    Command {
        /// The command.
        run: String,
        /// Exit status; -signal when killed.
        status: i32,
        /// What it printed, standard output and standard error as they came.
        output: String,
    },
    /// Result of one statement of a SQL actor.
    Sql {
        /// The statement as sent.
        sql: String,
        /// Column names and rows in text form.
        table: Table,
        /// Command tag.
        tag: String,
        /// The error, if it failed.
        error: Option<SqlError>,
    },
}

impl Reply {
    /// Whether it is an error: one of the database, of the service (5xx), or none at all.
    pub fn has_failed(&self) -> bool {
        match self {
            Self::Http { status, .. } => *status >= 500,
            Self::NoAnswer { .. } => true,
            Self::Command { status, .. } => *status != 0,
            Self::Sql { error, .. } => error.is_some(),
        }
    }
}

/// An invariant as evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Invariant {
    /// Its name in the scenario.
    pub name: String,
    /// Whether it held.
    pub holds: bool,
    /// The step after which it was broken, counted from 0; the number of steps when it was evaluated at the end.
    pub at: usize,
    /// What the query said when it did not return true (`false`, an error, …).
    pub said: String,
}
