//! One transaction for all statements of a request, as a cure: it begins ahead of the first, and is committed when the
//! service has answered, which counts only then.

use deadheat_explore::Actor;
use deadheat_gate::{Ran, TxStatus};

use super::Run;
use crate::conn::{Conn, Enclosed, Phase, Work};
use crate::cure::{RETRYABLE, is_retryable};
use crate::record::{Reply, SqlError, Statement};

impl Run<'_> {
    /// Whether the statements of the actor are to be in one transaction.
    fn is_to_be_enclosed(&self, actor: Actor) -> bool {
        let known = self.cast.original(actor);
        self.stage.cure.enclosed.contains(&known)
    }

    /// Whether a transaction is to begin ahead of the batch that the session is about to run; it is asked for.
    pub(super) fn encloses(&mut self, actor: Actor, session: u32) -> bool {
        if !self.is_to_be_enclosed(actor) {
            return false;
        }
        let elsewhere = self.enclosed(actor).is_some_and(|open| open != session);
        let Some(conn) = self.stage.conns.get_mut(&session) else {
            return false;
        };
        let Phase::Executing(work) = &conn.phase else {
            return false;
        };
        if conn.status != TxStatus::Idle || work.is_point() {
            return false;
        }
        let sql = &work.batch.statements[0].sql;
        if elsewhere {
            let why = "comes on another connection than what the actor did before";
            self.stage.notes.not_enclosed(sql, why);
        } else if work.batch.flush {
            let why = "comes in a pipeline, before which no transaction can begin";
            self.stage.notes.not_enclosed(sql, why);
        } else {
            conn.enclosed = Enclosed::Open;
            conn.handle.enclose(RETRYABLE);
            return true;
        }
        false
    }

    /// The session with the transaction that was put around the actor's statements.
    fn enclosed(&self, actor: Actor) -> Option<u32> {
        let own =
            |(_, conn): &(&u32, &Conn)| conn.enclosed != Enclosed::No && conn.owner == Some(actor);
        self.stage
            .conns
            .iter()
            .find(own)
            .map(|(session, _)| *session)
    }

    /// Notes what shows that the transaction would be another than the code could have.
    pub(super) fn check_enclosing(&mut self, session: u32, work: &Work, owner: Actor) {
        if !self.is_to_be_enclosed(owner) || work.batch.implied {
            return;
        }
        let sql = &work.batch.statements[0].sql;
        let control = |(parsed, _): &(std::sync::Arc<deadheat_sql::Parsed>, _)| {
            parsed.begins() || parsed.ends().is_some()
        };
        if work.parsed.iter().any(control) {
            let why = "begins or ends a transaction of the actor's own";
            return self.stage.notes.not_enclosed(sql, why);
        }
        let open = self.stage.conns.get(&session);
        let open = open.is_some_and(|conn| conn.enclosed != Enclosed::No);
        if open && self.current.is_some_and(|current| current != owner) {
            let why =
                "comes on a connection that another request has given back before it was done";
            self.stage.notes.not_enclosed(sql, why);
        }
    }

    /// Whether what the actor was answered is still to be committed; the commit is asked for.
    pub(super) fn is_to_be_committed(&mut self, actor: Actor) -> bool {
        let conn = self
            .enclosed(actor)
            .and_then(|session| self.stage.conns.get_mut(&session));
        let Some(conn) = conn else {
            return false;
        };
        if conn.enclosed == Enclosed::Open {
            conn.enclosed = Enclosed::Ending;
            conn.handle.complete();
        }
        true
    }

    /// Takes note of what a batch of an enclosed session came to.
    pub(super) fn enclosed_ran(&mut self, actor: Actor, session: u32, work: &Work, ran: &Ran) {
        let Some(conn) = self.stage.conns.get_mut(&session) else {
            return;
        };
        if conn.enclosed == Enclosed::No {
            return;
        }
        if ran.status == TxStatus::Idle {
            conn.enclosed = Enclosed::No;
        }
        if let (true, Some(error)) = (work.batch.implied, &ran.error) {
            let error = SqlError {
                code: error.code.clone(),
                message: error.message.clone(),
            };
            let seat = self.seat_mut(actor);
            seat.not_committed = Some(error);
            if seat.done || seat.at_pause {
                self.take_back(actor);
            }
        }
    }

    /// What the service has answered does not hold when its commit was refused: the request is sent again if that is
    /// part of the cure, else it counts as failed.
    pub(super) fn take_back(&mut self, actor: Actor) {
        let seat = self.seat_mut(actor);
        let Some(error) = seat.not_committed.take() else {
            return;
        };
        let Some(Reply::Http { request, .. } | Reply::NoAnswer { request, .. }) =
            seat.replies.pop()
        else {
            return;
        };
        let again = seat
            .driver
            .as_ref()
            .filter(|driver| is_retryable(&error.code) && driver.again.is_due(true));
        if let Some(driver) = again {
            driver.go_again();
            (seat.done, seat.at_pause) = (false, false);
            self.retries += 1;
            self.stage.notes.retried(self.retries);
            return;
        }
        seat.replies.push(Reply::Http {
            request,
            status: 500,
            headers: Vec::new(),
            body: format!("commit: {} {}", error.code, error.message),
        });
    }
}

/// How the transaction shows among the statements of the step that begins it.
pub(super) fn begin() -> Statement {
    Statement {
        sql: "begin".to_owned(),
        params: Vec::new(),
    }
}
