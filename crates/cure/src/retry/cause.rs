//! Why a transaction failed, as far as the server said.

/// What ended a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// It does not fit into a serial order with the others (40001); or, with SQLite, the database was busy
    /// (SQLITE_BUSY), or has changed since the transaction read (SQLITE_BUSY_SNAPSHOT).
    Serialization,
    /// It and others waited for each other (40P01).
    Deadlock,
    /// A constraint was violated (class 23).
    Integrity {
        /// Which sort of constraint.
        violation: Violation,
        /// Its name, where the server said it; SQLite names the columns (`seats.nick`).
        constraint: Option<String>,
    },
    /// Another error of a statement, by its SQLSTATE (SQLite: its result code).
    Statement(String),
    /// A statement was given up half-way (its future was dropped), and what became of it is not known.
    Abandoned,
}

/// Which sort of constraint was violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// 23505: the value is there already.
    Unique,
    /// 23503: the row that is referred to is not there, or is still referred to.
    ForeignKey,
    /// 23514
    Check,
    /// 23502
    NotNull,
    /// 23P01
    Exclusion,
    /// Another of class 23.
    Other,
}

impl Cause {
    /// The cause that an SQLSTATE stands for.
    pub(crate) fn of_state(state: &str, constraint: Option<&str>) -> Self {
        let violation = match state {
            "40001" => return Self::Serialization,
            "40P01" => return Self::Deadlock,
            "23505" => Violation::Unique,
            "23503" => Violation::ForeignKey,
            "23514" => Violation::Check,
            "23502" => Violation::NotNull,
            "23P01" => Violation::Exclusion,
            _ if state.starts_with("23") => Violation::Other,
            _ => return Self::Statement(state.to_owned()),
        };
        Self::Integrity {
            violation,
            constraint: constraint.map(str::to_owned),
        }
    }
}
