//! The client's side of a session: its bytes become units, its units run one after the other.

use bytes::BytesMut;

use super::standing::Unsynced;
use super::unit::{End, Unit};
use super::{Copy, Flight, Kind, Machine, Phase, State, sasl};
use crate::event::{Batch, Event, Gap, Statement};
use crate::frame::{Frame, Malformed};
use crate::frontend;
use crate::session::reply::Reply;
use crate::session::script::{Await, Part, Script};

/// A unit is cut here, as if the client had sent a Flush.
const LONGEST_UNIT: usize = 16 * 1024 * 1024;
/// And here: a client that sends so much without a Sync expects to hear how it goes meanwhile.
const MOST_STATEMENTS: usize = 10_000;

impl Machine {
    /// Takes what the client has sent.
    pub fn client_bytes(&mut self, input: &mut BytesMut) -> Result<(), Malformed> {
        if self.raw {
            self.to_server.extend_from_slice(input);
            input.clear();
            return Ok(());
        }
        if self.watched.is_some() && self.phase != Phase::Startup {
            self.pass_client(input);
            return Ok(());
        }
        while matches!(self.phase, Phase::Startup | Phase::Ready) {
            let Some(frame) = self.from_client.next(input)? else {
                break;
            };
            self.client_frame(&frame)?;
        }
        Ok(())
    }

    /// The client has closed its sending side.
    pub fn client_ended(&mut self) {
        if self.raw || self.watched.is_some() {
            if matches!(self.phase, Phase::Startup | Phase::Ready) {
                self.phase = Phase::Leaving("the client left".to_owned());
            }
            return;
        }
        self.leaves();
    }

    fn client_frame(&mut self, frame: &Frame) -> Result<(), Malformed> {
        match frame.tag {
            b'p' if self.phase == Phase::Startup => {
                if std::mem::take(&mut self.unbound) && sasl::binds(frame) {
                    self.end_with("28000", sasl::UNBOUND);
                    return Ok(());
                }
                self.to_server.extend_from_slice(&frame.bytes);
                return Ok(());
            }
            _ if self.watched.is_some() => {
                self.pass_early(frame);
                return Ok(());
            }
            b'X' => {
                self.took_leave = true;
                self.leaves();
                return Ok(());
            }
            _ => {}
        }
        if self.copying(frame)? || self.stray_copy(frame) {
            return Ok(());
        }
        let reworded = self.reworded(frame);
        let frame = reworded.as_ref().unwrap_or(frame);
        self.partial.add(frame, &mut self.names)?;
        let long = self.partial.bytes.len() > LONGEST_UNIT
            || self.partial.statements.len() >= MOST_STATEMENTS;
        if self.partial.end == End::Open && long {
            self.partial.end = End::Flush;
            frontend::flush(&mut self.partial.bytes);
        }
        if self.partial.end != End::Open {
            let unit = std::mem::take(&mut self.partial);
            self.enqueue(unit);
        }
        Ok(())
    }

    /// While a COPY FROM STDIN runs, what the client sends belongs to it.
    fn copying(&mut self, frame: &Frame) -> Result<bool, Malformed> {
        let State::Flying(flight) = &mut self.state else {
            return Ok(false);
        };
        match (flight.copy, frame.tag) {
            (Copy::None, _) => return Ok(false),
            (Copy::Data { extended }, b'c' | b'f') => {
                flight.copy = if extended { Copy::Sync } else { Copy::None }
            }
            // Ignored by the server.
            (Copy::Data { .. }, b'd' | b'H' | b'S') => {}
            // Anything else makes the server break the copy off; it says how.
            (Copy::Data { .. }, _) => {
                tracing::debug!(tag = %char::from(frame.tag), "message inside COPY");
            }
            (Copy::Sync, _) => {
                let mut more = Unit::default();
                more.add(frame, &mut self.names)?;
                for due in more.awaits {
                    flight.script.push(Part::Client, due);
                }
                if more.end == End::Sync {
                    flight.copy = Copy::None;
                }
            }
        }
        self.to_server.extend_from_slice(&frame.bytes);
        Ok(true)
    }

    /// Copy data outside of a COPY: sent before the server has asked for it, or after it has broken the copy off
    /// (then the server ignores it).
    fn stray_copy(&mut self, frame: &Frame) -> bool {
        if !matches!(frame.tag, b'd' | b'c' | b'f') || !self.partial.bytes.is_empty() {
            return false;
        }
        if self.queue.is_empty() && matches!(self.state, State::Rest | State::Done(_)) {
            self.to_server.extend_from_slice(&frame.bytes);
            return true;
        }
        self.queued += frame.bytes.len();
        let copy_ends = frame.tag != b'd';
        match self.queue.back_mut() {
            Some(unit) if unit.end == End::Data => {
                unit.bytes.extend_from_slice(&frame.bytes);
                unit.copy_ends |= copy_ends;
            }
            _ => {
                let bytes = BytesMut::from(&frame.bytes[..]);
                self.queue.push_back(Unit {
                    bytes,
                    copy_ends,
                    end: End::Data,
                    ..Unit::default()
                });
            }
        }
        true
    }

    fn leaves(&mut self) {
        let to_be_committed = self.took_leave && self.is_enclosed();
        if matches!(self.state, State::Waiting(_)) && !to_be_committed {
            self.leave("the client left");
        } else if matches!(&self.state, State::Flying(flight) if matches!(flight.copy, Copy::Data { .. }))
        {
            // The server waits for data: it has to see the end now.
            self.leave("the client left during COPY");
        } else {
            self.enqueue(Unit {
                end: End::Leave,
                ..Unit::default()
            });
        }
    }

    fn enqueue(&mut self, unit: Unit) {
        self.queued += unit.bytes.len();
        self.queue.push_back(unit);
        self.next();
    }

    /// Begins with what is queued, if nothing is under way.
    pub(super) fn next(&mut self) {
        while self.phase == Phase::Ready && self.cancels == 0 && matches!(self.state, State::Rest) {
            let Some(unit) = self.queue.pop_front() else {
                if std::mem::take(&mut self.complete_wanted) && self.is_enclosed() {
                    return self.ask_to_complete();
                }
                if std::mem::take(&mut self.reset_wanted) {
                    self.send_reset();
                }
                return;
            };
            self.queued -= unit.bytes.len();
            self.begin(unit);
        }
    }

    fn begin(&mut self, mut unit: Unit) {
        match unit.end {
            End::Leave if self.is_enclosed() && self.took_leave => {
                self.queue.push_front(unit);
                return self.ask_to_complete();
            }
            End::Leave => return self.leave("the client left"),
            End::Data => {
                self.to_server.extend_from_slice(&unit.bytes);
                return;
            }
            _ => {}
        }
        if self.standing.unsynced == Unsynced::Failed {
            // The server drops all of it but the Sync.
            let synced = unit.end == End::Sync;
            for due in unit.awaits.drain(..).rev() {
                self.undo(due);
            }
            unit.statements.clear();
            if synced {
                unit.awaits.push(Await::Sync);
            }
        } else if self.standing.unsynced == Unsynced::Work
            && unit.end == End::Sync
            && unit.statements.is_empty()
        {
            unit.implied = true;
        }
        if unit.statements.is_empty() && !unit.implied {
            self.pass(unit);
        } else {
            self.emit(Event::Arrived {
                session: self.session.id(),
                batch: self.batch(&unit),
            });
            self.state = State::Waiting(unit);
        }
    }

    pub(super) fn batch(&self, unit: &Unit) -> Batch {
        let statements = if unit.implied {
            vec![Statement::of("COMMIT".into())]
        } else {
            unit.statements.clone()
        };
        Batch {
            statements,
            status: self.standing.seen(),
            simple: matches!(unit.end, End::Query | End::Function),
            flush: unit.end == End::Flush,
            implied: unit.implied,
        }
    }

    /// Sends a unit that executes nothing; its answers pass at once.
    fn pass(&mut self, unit: Unit) {
        self.to_server.extend_from_slice(&unit.bytes);
        let mut script = Script::default();
        let mut flight = Flight::new(unit, Kind::Pass);
        for due in flight.unit.awaits.drain(..) {
            script.push(Part::Client, due);
        }
        flight.script = script;
        if !flight.script.is_empty() {
            self.state = State::Flying(Box::new(flight));
        }
    }
}

impl Flight {
    pub(super) fn new(unit: Unit, kind: Kind) -> Flight {
        Flight {
            unit,
            kind,
            script: Script::default(),
            reply: Reply::default(),
            gap: Gap::None,
            again: false,
            assigned: false,
            keep: false,
            ahead: None,
            refused: false,
            ask: None,
            probe: None,
            copy: Copy::None,
        }
    }
}
