//! How a held batch is run: bare or with a commit gap, with or without a probe; and how it ends.

use bytes::BytesMut;

use super::script::{Await, Part};
use super::unit::{End, Unit};
use super::{Flight, Kind, Machine, State};
use crate::backend::{self, put_error, put_ready};
use crate::event::{Event, Gap, Ran, Release, TxStatus};
use crate::frame::{Frame, Malformed};
use crate::frontend::{self, own_statement};

impl Machine {
    pub(super) fn release(&mut self, how: Release) {
        let Some(unit) = self.take_waiting("release") else {
            return;
        };
        if unit.implied && self.is_enclosed() {
            return self.send_completion(unit);
        }
        let followed = unit.can_be_followed();
        let mut flight = Box::new(Flight::new(unit, Kind::Batch));
        flight.ask = how.probe.filter(|_| followed);
        flight.ahead = self.ahead.take().filter(|_| followed);
        let idle = self.standing.seen() == TxStatus::Idle;
        if how.gap && followed && idle && !self.must_run_bare(&flight.unit) {
            flight.gap = Gap::Open;
            flight.keep = how.keep;
        }
        self.launch(flight);
    }

    pub(super) fn take_waiting(&mut self, what: &str) -> Option<Unit> {
        match std::mem::replace(&mut self.state, State::Rest) {
            State::Waiting(unit) => Some(unit),
            other => {
                tracing::debug!(session = self.session.id(), what, "no batch is held");
                self.state = other;
                None
            }
        }
    }

    /// Sends everything in one write: BEGIN, the batch, the question whether it wrote, the probe.
    fn launch(&mut self, mut flight: Box<Flight>) {
        if flight.gap == Gap::Open {
            self.to_server.extend_from_slice(&frontend::BEGIN);
            flight.script.push_own(Part::Begin);
        }
        self.begin_enclosing(&mut flight);
        if let Some(sql) = flight.ahead.take() {
            self.send_ahead(&mut flight, &sql);
        }
        if flight.again {
            flight.again = false;
            for name in flight.unit.prepares() {
                frontend::close_statement(&mut self.to_server, name);
                flight.script.push(Part::Tidy, Await::Close(None));
            }
        }
        self.to_server.extend_from_slice(&flight.unit.bytes);
        for due in &flight.unit.awaits {
            flight.script.push(Part::Client, due.clone());
        }
        if flight.gap == Gap::Open {
            self.to_server.extend_from_slice(&frontend::ASSIGNED);
            flight.script.push_own(Part::Assigned);
            flight.script.push(Part::Assigned, Await::Sync);
        } else {
            // No second attempt: the messages are not needed any more.
            flight.unit.bytes.clear();
        }
        if let Some(probe) = &flight.ask {
            own_statement(&mut self.to_server, probe);
            frontend::sync(&mut self.to_server);
            flight.script.push_own(Part::Probe);
            flight.script.push(Part::Probe, Await::Sync);
        }
        self.state = State::Flying(flight);
    }

    /// The server's answer to a message of the gate's own.
    pub(super) fn own_answer(
        &mut self,
        flight: &mut Flight,
        frame: &Frame,
        part: Part,
    ) -> Result<(), Malformed> {
        match (part, frame.tag) {
            (Part::Assigned, b'D') => {
                let row = backend::cells(frame, &[])?;
                flight.assigned = row.first().is_some_and(|cell| cell.as_deref() == Some("t"));
            }
            (Part::Probe, b'C') => {
                flight.probe.get_or_insert_default();
            }
            (Part::Probe, b'D') => flight
                .probe
                .get_or_insert_default()
                .push(backend::cells(frame, &[])?),
            (Part::Probe | Part::Assigned, b'E') => {
                flight.probe = None;
                let error = backend::error(frame)?;
                if flight.reply.error.is_none() && error.code != "25P02" {
                    tracing::warn!(
                        session = self.session.id(),
                        code = error.code,
                        error.message,
                        "the gate's own question failed"
                    );
                }
            }
            (Part::Ahead, b'E') => flight.ahead_failed(frame)?,
            (Part::Commit, b'C') => flight.reply.settle(),
            (Part::Commit, b'E') => flight.reply.commit_failed(frame)?,
            (Part::Commit | Part::Rollback, b'Z') => {
                flight.gap = Gap::Closed;
                if !flight.again {
                    flight.reply.hold(frame, false);
                }
                self.ready(backend::ready(frame)?);
            }
            (Part::Complete, b'C' | b'E') => flight.completed(frame)?,
            (Part::Begin | Part::Rollback | Part::GiveUp | Part::Tidy, b'E') => {
                return Err(Malformed::order(
                    frame.tag,
                    "the answer to a statement that cannot fail",
                ));
            }
            (Part::Reset | Part::Complete | Part::GiveUp, b'Z') => {
                self.ready(backend::ready(frame)?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Everything due has come.
    pub(super) fn landed(&mut self, flight: Box<Flight>) {
        match flight.kind {
            Kind::Pass => return,
            Kind::Reset => {
                self.names.clear();
                return self.emit(Event::Reset {
                    session: self.session.id(),
                });
            }
            Kind::Batch => {}
        }
        let Some(mut flight) = self.give_up(flight) else {
            return;
        };
        if flight.gap == Gap::Open {
            if flight.again || flight.reply.error.is_some() {
                self.end_gap(flight, Part::Rollback);
            } else if (flight.assigned || flight.keep) && !flight.reply.streamed {
                self.emit(Event::Ran {
                    session: self.session.id(),
                    reply: self.ran(&flight),
                });
                self.state = State::GapOpen(flight);
            } else {
                self.end_gap(flight, Part::Commit);
            }
        } else if flight.again {
            flight.gap = Gap::None;
            flight.reply.forget();
            self.launch(flight);
        } else {
            if flight.unit.end == End::Flush && flight.reply.error.is_none() {
                self.standing.flushed(flight.reply.tags());
            }
            self.emit(Event::Ran {
                session: self.session.id(),
                reply: self.ran(&flight),
            });
            self.state = State::Done(Box::new(flight.reply));
        }
    }

    fn ran(&self, flight: &Flight) -> Ran {
        flight
            .reply
            .ran(self.standing.seen(), flight.gap, flight.probe.clone())
    }

    fn end_gap(&mut self, mut flight: Box<Flight>, part: Part) {
        let sql = if part == Part::Commit {
            &frontend::COMMIT
        } else {
            &frontend::ROLLBACK
        };
        self.to_server.extend_from_slice(sql);
        flight.script.push_own(part);
        flight.script.push(part, Await::Sync);
        self.state = State::Flying(flight);
    }

    pub(super) fn commit_gap(&mut self) {
        match std::mem::replace(&mut self.state, State::Rest) {
            State::GapOpen(flight) => self.end_gap(flight, Part::Commit),
            other => {
                tracing::debug!(session = self.session.id(), "no gap is open");
                self.state = other;
            }
        }
    }

    pub(super) fn deliver(&mut self) {
        match std::mem::replace(&mut self.state, State::Rest) {
            State::Done(mut reply) => {
                self.show(&reply.take());
                self.next();
            }
            other => {
                tracing::debug!(session = self.session.id(), "no reply is held");
                self.state = other;
            }
        }
    }

    /// Whether this error says that the batch cannot run inside a transaction block (or a procedure of it cannot end
    /// its transaction there). The text is run bare from then on.
    pub(super) fn refuses_a_block(
        &self,
        flight: &Flight,
        frame: &Frame,
        due: &Await,
    ) -> Result<bool, Malformed> {
        if flight.reply.streamed
            || !matches!(backend::error(frame)?.code.as_str(), "25001" | "2D000")
        {
            return Ok(false);
        }
        let sql = match due {
            Await::Execute(Some(portal)) => Some(portal.prepared.sql.clone()),
            _ => flight
                .unit
                .statements
                .first()
                .map(|statement| statement.sql.clone()),
        };
        self.shared.bare().extend(sql);
        Ok(true)
    }

    fn must_run_bare(&self, unit: &Unit) -> bool {
        let bare = self.shared.bare();
        unit.statements
            .iter()
            .any(|statement| bare.contains(&statement.sql))
    }

    pub(super) fn refuse(&mut self, code: &str, text: &str) {
        let Some(mut unit) = self.take_waiting("refuse") else {
            return;
        };
        for due in unit.awaits.drain(..).rev() {
            self.undo(due);
        }
        let mut error = BytesMut::new();
        put_error(&mut error, "ERROR", code, text);
        if self.standing.seen() == TxStatus::Idle && unit.end != End::Flush {
            put_ready(&mut error, TxStatus::Idle);
            self.show(&error);
            return self.next();
        }
        // The transaction has to fail, or the server has to skip up to the Sync, as after an error of its own.
        self.show(&error);
        let mut flight = Flight::new(Unit::default(), Kind::Pass);
        frontend::fail_on_purpose(&mut self.to_server);
        flight.script.push(Part::Refuse, Await::Parse(None));
        if unit.end != End::Flush {
            frontend::sync(&mut self.to_server);
            flight.script.push(Part::Client, Await::Sync);
        }
        self.state = State::Flying(Box::new(flight));
    }

    /// ROLLBACK and DISCARD ALL. A simple Query is right here: nothing of the client's is to survive.
    pub(super) fn send_reset(&mut self) {
        let mut flight = Flight::new(Unit::default(), Kind::Reset);
        let rollback = (self.standing.seen() != TxStatus::Idle).then_some("ROLLBACK");
        frontend::sync(&mut self.to_server);
        flight.script.push(Part::Reset, Await::Sync);
        for sql in rollback.into_iter().chain(["DISCARD ALL"]) {
            frontend::simple_query(&mut self.to_server, sql);
            flight.script.push(Part::Reset, Await::Query);
        }
        self.state = State::Flying(Box::new(flight));
    }
}
