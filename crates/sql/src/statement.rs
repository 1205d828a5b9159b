//! One text as parsed: its statements, what kind each is, and what the gate may do with it.

use std::sync::Arc;

use crate::effect::Effect;
use crate::footprint::SequenceUse;
use crate::normal::{fingerprint, shorten};
use crate::point::point;
use crate::rows::Column;

/// How a text ends the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxEnd {
    /// COMMIT or END.
    Commit {
        /// AND CHAIN: a new transaction begins at once.
        chain: bool,
    },
    /// ROLLBACK or ABORT.
    Rollback {
        /// AND CHAIN: a new transaction begins at once.
        chain: bool,
    },
    /// PREPARE TRANSACTION: goes on without the session.
    Prepare,
}

/// Isolation levels that differ in PostgreSQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isolation {
    /// Every statement has its own snapshot (READ UNCOMMITTED is the same).
    #[default]
    ReadCommitted,
    /// One snapshot for the transaction.
    RepeatableRead,
    /// One snapshot, and conflicts with other serializable transactions are noticed.
    Serializable,
}

impl Isolation {
    /// From the value of `transaction_isolation`.
    pub fn read(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "read committed" | "read uncommitted" => Some(Self::ReadCommitted),
            "repeatable read" => Some(Self::RepeatableRead),
            "serializable" => Some(Self::Serializable),
            _ => None,
        }
    }

    /// As PostgreSQL writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read committed",
            Self::RepeatableRead => "repeatable read",
            Self::Serializable => "serializable",
        }
    }
}

/// For how long a level is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Transaction,
    Session,
}

/// What kind of statement it is, as far as anything depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// SELECT, VALUES, TABLE; `EXPLAIN` too, but without a gap.
    Query,
    /// INSERT, UPDATE, DELETE, MERGE.
    Change,
    /// COPY.
    Copy,
    Begin(Option<Isolation>),
    End(TxEnd),
    /// SAVEPOINT: an error after it does not end the whole transaction.
    Savepoint,
    /// ROLLBACK TO: frees what was locked since the savepoint.
    RollbackTo,
    /// Sets the isolation level; `None`: to what is not known.
    Level(Scope, Option<Isolation>),
    /// The isolation level is the default again.
    Reset,
    /// SET CONSTRAINTS.
    Constraints,
    /// SET, SHOW, RESET, DEALLOCATE, DISCARD, PREPARE, CLOSE …: the session alone.
    Session,
    /// A place in the code, and no statement at all.
    Point,
    /// Anything else.
    Other,
}

/// How far the parse and the catalogue together explain a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Doubt {
    /// All it can touch is known.
    #[default]
    None,
    /// It may read tables that only the server's counters know.
    Reads,
    /// It may do anything to tables, but only the server's counters know to which.
    Acts,
    /// Not even the counters tell; the reason in words.
    Beyond(Arc<str>),
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent facts about one statement
pub struct One {
    pub(crate) kind: Kind,
    pub(crate) effects: Vec<Effect>,
    pub(crate) doubt: Doubt,
    /// Reads at most: no locks, no sequences, no calls with effects.
    pub(crate) reads_only: bool,
    /// Changes the schema, or data in a way that only a fresh copy of the database undoes.
    pub(crate) schema: bool,
    /// After it, the session's statements mean something else than the catalogue says.
    pub(crate) strange: bool,
    /// May be run as two steps, work and commit.
    pub(crate) gap: bool,
    /// No other statement is nested in it that may find rows of its own, or never run.
    pub(crate) direct: bool,
    /// Columns that it changes.
    pub(crate) changed: Vec<(u32, Column)>,
}

impl One {
    pub(crate) fn of(kind: Kind) -> Self {
        Self {
            kind,
            effects: Vec::new(),
            doubt: Doubt::None,
            reads_only: false,
            schema: false,
            strange: false,
            gap: false,
            direct: false,
            changed: Vec::new(),
        }
    }

    pub(crate) fn beyond(kind: Kind, reason: &str) -> Self {
        Self {
            doubt: Doubt::Beyond(reason.into()),
            ..Self::of(kind)
        }
    }

    /// A change of the schema.
    pub(crate) fn definition(reason: &str) -> Self {
        Self {
            schema: true,
            ..Self::beyond(Kind::Other, reason)
        }
    }

    /// Whether it does something of its own, rather than steer the session.
    pub(crate) fn acts(&self) -> bool {
        matches!(
            self.kind,
            Kind::Query | Kind::Change | Kind::Copy | Kind::Other
        )
    }

    fn draws(&self) -> bool {
        let draws = |effect: &Effect| match effect {
            Effect::Sequence { how, .. } => *how != SequenceUse::Look,
            _ => false,
        };
        self.effects.iter().any(draws)
    }

    /// Whether it certainly writes and locks no row, whatever else it does.
    fn writes_no_row(&self) -> bool {
        let beside = |effect: &Effect| {
            matches!(
                effect,
                Effect::Read { .. }
                    | Effect::Sequence { .. }
                    | Effect::Advisory { .. }
                    | Effect::FreeAdvisory
                    | Effect::Number
            )
        };
        self.kind == Kind::Query && self.doubt == Doubt::None && self.effects.iter().all(beside)
    }

    fn shared(&self) -> bool {
        match self.kind {
            Kind::Begin(_)
            | Kind::Level(..)
            | Kind::Reset
            | Kind::Constraints
            | Kind::Session
            | Kind::Savepoint => self.doubt != Doubt::None,
            Kind::Query => !self.effects.is_empty() || self.doubt != Doubt::None,
            _ => true,
        }
    }
}

/// A text that a client sent, understood as far as possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Hash of the text with values, comments and lengths of lists taken out.
    pub fingerprint: u64,
    /// Its statements, in order.
    pub statements: Vec<One>,
    sql: Arc<str>,
}

impl Parsed {
    pub(crate) fn new(sql: &str, statements: Vec<One>) -> Self {
        Self {
            // Of a point, comment and all: the name is in it.
            fingerprint: point(sql).map_or_else(
                || fingerprint(sql),
                |(name, _)| fingerprint(&format!("point {name}")),
            ),
            statements,
            sql: sql.into(),
        }
    }

    /// The text.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Whether it is a [point](crate::point()).
    pub fn is_point(&self) -> bool {
        matches!(self.statements.as_slice(), [one] if one.kind == Kind::Point)
    }

    /// Whether it touches anything that others can see: if not, when it runs makes no difference.
    pub fn shared(&self) -> bool {
        self.statements.iter().any(One::shared)
    }

    /// Whether it may run in a commit gap: only queries and DML may.
    pub fn gap(&self) -> bool {
        !self.statements.is_empty() && self.statements.iter().all(|one| one.gap)
    }

    /// Whether it certainly writes nothing and locks no row.
    pub fn reads_only(&self) -> bool {
        self.statements.iter().all(|one| one.reads_only)
    }

    /// Whether it only draws from sequences, which is done for all at once and no commit makes visible, and reads.
    pub fn only_draws(&self) -> bool {
        self.statements.iter().any(One::draws) && self.statements.iter().all(One::writes_no_row)
    }

    /// Whether it has nothing that a commit makes visible: it reads, or draws from sequences.
    pub fn writes_no_row(&self) -> bool {
        self.reads_only() || self.only_draws()
    }

    /// Whether it may draw from a sequence: by itself, or in a function or trigger that is out of sight.
    pub fn may_draw(&self) -> bool {
        let may = |one: &One| one.draws() || one.doubt != Doubt::None;
        self.statements.iter().any(may)
    }

    /// Whether parse and catalogue together explain all it can touch, so that the server's counters are not needed.
    pub fn explained(&self) -> bool {
        self.statements.iter().all(|one| one.doubt == Doubt::None)
    }

    /// Whether the text ends a transaction, and does nothing else.
    pub fn ends(&self) -> Option<TxEnd> {
        match self.statements.as_slice() {
            [
                One {
                    kind: Kind::End(end),
                    ..
                },
            ] => Some(*end),
            _ => None,
        }
    }

    /// Whether it begins a transaction.
    pub fn begins(&self) -> bool {
        self.statements
            .iter()
            .any(|one| matches!(one.kind, Kind::Begin(_)))
    }

    /// Whether it copies data to or from the client (or a file).
    pub fn copies(&self) -> bool {
        self.statements.iter().any(|one| one.kind == Kind::Copy)
    }

    /// Whether it changes the schema, or empties tables.
    pub fn changes_schema(&self) -> bool {
        self.statements.iter().any(|one| one.schema)
    }

    /// The text on one line of at most 80 characters.
    pub fn label(&self) -> String {
        shorten(&self.sql, 80)
    }
}
