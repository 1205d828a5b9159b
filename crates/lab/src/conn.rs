//! The lab's view of one database session: whose it is, what is held on it, what it said.

use std::collections::BTreeSet;
use std::sync::Arc;

use deadheat_explore::Actor;
use deadheat_gate::{Batch, Ran, Release, Session, TxStatus};
use deadheat_sql::Parsed;

use crate::record::Statement;

/// A session that some client holds open through a gate.
pub(crate) struct Conn {
    /// The gate's handle.
    pub handle: Session,
    /// Which gate it came through.
    pub tag: u32,
    /// Process id of its server process, for questions about locks.
    pub pid: i32,
    /// Which of the lab's databases it is connected to.
    pub database: usize,
    /// Whether it is connected to a database that is none of the lab's: everything on it passes.
    pub foreign: bool,
    /// The actor that its open transaction, or what is held on it, belongs to.
    pub owner: Option<Actor>,
    /// Who has had a step in that transaction.
    pub acted: Acted,
    /// What is going on.
    pub phase: Phase,
    /// The session's transaction state as the client sees it.
    pub status: TxStatus,
    /// Statements that touch nothing shared and ran since the last step: they are shown with the next one.
    pub passed: Vec<Statement>,
    /// Whether something ran on it that outlives a transaction (SET, PREPARE, LISTEN, an advisory lock, …).
    pub stained: bool,
    /// The locks of the cure that is tried which its transaction has, each as the call that takes it.
    pub locked: BTreeSet<String>,
    /// Whether the cure that is tried has begun a transaction on it, and has asked to commit it.
    pub enclosed: Enclosed,
    /// Number of the session in this run, counted from 1; 0 when it had no step yet.
    pub number: u32,
}

impl Conn {
    /// Lets a batch go to the server. A point that the server would refuse, because the transaction has failed, is answered
    /// at the gate.
    pub fn release(&self, work: &Work, how: Release) {
        if work.is_point() && self.status == TxStatus::Failed {
            self.handle.stand_in();
        } else {
            self.handle.release(how);
        }
    }

    /// Takes note of whose the next batch on it is.
    pub fn belongs_to(&mut self, actor: Actor) {
        if self.acted != Acted::Nobody && self.owner != Some(actor) {
            self.acted = Acted::Several;
        }
        self.owner = Some(actor);
    }

    /// Takes note of a step of this actor that the session was in, and of whose it is now.
    pub fn was_moved_by(&mut self, actor: Actor) {
        let open = self.status != TxStatus::Idle;
        if open && self.acted == Acted::Nobody {
            self.acted = Acted::Owner;
        }
        self.owner = open.then_some(actor);
    }

    /// Takes note of the session's transaction state.
    pub fn is_now(&mut self, status: TxStatus) {
        self.status = status;
        if status == TxStatus::Idle {
            self.acted = Acted::Nobody;
            self.locked.clear();
        }
    }
}

/// Who has had a step in a session's open transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Acted {
    /// It has begun, which says nothing: all begin alike.
    #[default]
    Nobody,
    /// Whose it is.
    Owner,
    /// More than one actor: it was left open, and its connection handed on.
    Several,
}

/// Whether a cure has put a transaction around what a session commits statement by statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Enclosed {
    #[default]
    No,
    Open,
    /// Its COMMIT was asked for.
    Ending,
}

/// What is going on in a session.
pub(crate) enum Phase {
    /// The client has not sent anything.
    Idle,
    /// A batch is held until it is chosen.
    Held(Work),
    /// A batch that is no step has been let through; its reply will be too.
    Passing { work: Work },
    /// A step's batch is with the server.
    Executing(Work),
    /// The server has answered a step's batch; the client has not seen the answer.
    Answered(Work, Box<Ran>),
    /// The statement has run inside a gap; its commit is the next step.
    GapOpen(Work),
    /// The gap's commit is with the server.
    Committing(Work),
    /// The server has answered the gap's commit; the client has not seen the answer.
    Committed(Work, Box<Ran>),
}

/// A batch with what its text means.
pub(crate) struct Work {
    /// As the client sent it.
    pub batch: Batch,
    /// The statements parsed, with their parameters as text.
    pub parsed: Vec<(Arc<Parsed>, Vec<Option<String>>)>,
    /// Hash of the fingerprints of the statements that touch anything shared.
    pub fingerprint: u64,
    /// Hash of all statements' fingerprints.
    pub shape: u64,
    /// Hash of the statements with their parameters.
    pub exact: u64,
    /// Index of the step that sent it, once it was sent.
    pub step: usize,
}

impl Work {
    /// Whether it touches anything that others can see.
    pub fn shared(&self) -> bool {
        self.parsed.iter().any(|(parsed, _)| parsed.shared())
    }

    /// Whether it is something else than a query, a change, or the begin or end of a transaction: a LOCK, DDL, a cursor.
    pub fn is_utility(&self) -> bool {
        self.parsed.iter().any(|(parsed, _)| {
            let control = parsed.begins() || parsed.ends().is_some() || is_rollback(parsed.sql());
            parsed.shared() && !parsed.gap() && !control
        })
    }

    /// Whether it ends a transaction.
    pub fn ends(&self) -> bool {
        self.parsed
            .iter()
            .any(|(parsed, _)| parsed.ends().is_some())
    }

    /// Whether it may leave something on the session that outlives its transaction: a setting, a prepared statement, a
    /// lock of the session.
    pub fn outlives(&self) -> bool {
        self.parsed.iter().any(|(parsed, _)| {
            let plain = parsed.gap() && parsed.explained();
            let control = parsed.ends().is_some() || parsed.begins();
            !(plain || control) || parsed.sql().contains("advisory")
        })
    }

    /// The statements as a person reads them.
    pub fn statements(&self) -> Vec<Statement> {
        self.batch
            .statements
            .iter()
            .zip(&self.parsed)
            .map(|(statement, (_, params))| Statement {
                sql: statement.sql.to_string(),
                params: params.clone(),
            })
            .collect()
    }
}

/// ROLLBACK TO SAVEPOINT undoes what was done; it does nothing new.
fn is_rollback(sql: &str) -> bool {
    sql.trim_start()
        .get(..8)
        .is_some_and(|verb| verb.eq_ignore_ascii_case("rollback"))
}
