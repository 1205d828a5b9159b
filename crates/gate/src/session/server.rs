//! The server's side of a session: every message answers what is due next in the script.

use bytes::BytesMut;

use super::script::{Await, CopyBegins, Part};
use super::unit::End;
use super::{Copy, Flight, Kind, Machine, Phase, State};
use crate::backend;
use crate::event::{Event, TxStatus};
use crate::frame::{Frame, Malformed, Piece};

impl Machine {
    /// Takes what the server has sent.
    pub fn server_bytes(&mut self, input: &mut BytesMut) -> Result<(), Malformed> {
        if self.raw && self.phase != Phase::Startup {
            self.to_client.extend_from_slice(input);
            input.clear();
            return Ok(());
        }
        while let Some(frame) = self.from_server.next(input)? {
            self.server_frame(&frame)?;
            if self.raw && self.phase != Phase::Startup {
                return self.server_bytes(input);
            }
        }
        Ok(())
    }

    /// The server has closed the connection: nothing can be held any longer.
    pub fn server_ended(&mut self) {
        match std::mem::replace(&mut self.state, State::Rest) {
            State::Flying(mut flight) | State::GapOpen(mut flight) => {
                self.show(&flight.reply.take())
            }
            State::Done(mut reply) => self.show(&reply.take()),
            State::Waiting(_) => self.emit(Event::Withdrawn {
                session: self.session.id,
            }),
            State::Rest => {}
        }
        let reason = match (&self.phase, self.last_words.take()) {
            (Phase::Leaving(reason) | Phase::Closed(reason), _) => reason.clone(),
            (_, Some(words)) => format!("the server ended the session: {words}"),
            (_, None) => "the server closed the connection".to_owned(),
        };
        self.phase = Phase::Closed(reason);
    }

    pub(super) fn show(&mut self, bytes: &[u8]) {
        if !self.client_gone {
            self.to_client.extend_from_slice(bytes);
        }
    }

    fn server_frame(&mut self, frame: &Frame) -> Result<(), Malformed> {
        if frame.tag == b'E' {
            let error = backend::error(frame)?;
            if error.is_fatal() {
                self.last_words = Some(format!(
                    "{} {}: {}",
                    error.severity, error.code, error.message
                ));
            }
        }
        if self.phase == Phase::Startup {
            return self.startup_frame(frame);
        }
        if matches!(frame.tag, b'A' | b'N' | b'S') || self.last_words.is_some() {
            self.asynchronous(frame);
            return Ok(());
        }
        match std::mem::replace(&mut self.state, State::Rest) {
            State::Flying(mut flight) => {
                let end = self.answer(&mut flight, frame)?;
                if end && flight.script.is_empty() && flight.copy == Copy::None {
                    self.landed(flight);
                } else {
                    self.state = State::Flying(flight);
                }
            }
            other => {
                // Not due to anything: ReadyForQuery behind a COPY that broke off early.
                self.state = other;
                if frame.tag == b'Z' {
                    self.ready(backend::ready(frame)?);
                }
                self.asynchronous(frame);
            }
        }
        self.next();
        Ok(())
    }

    fn startup_frame(&mut self, frame: &Frame) -> Result<(), Malformed> {
        self.show(&frame.bytes);
        match frame.tag {
            b'K' => {
                let (pid, key) = backend::key(frame)?;
                self.pid = pid;
                self.shared.remember(pid, key, self.session.clone());
            }
            b'Z' => {
                self.phase = Phase::Ready;
                self.opened = true;
                let startup = std::mem::take(&mut self.startup);
                self.emit(Event::Opened {
                    session: self.session.clone(),
                    tag: self.tag,
                    pid: self.pid,
                    startup,
                });
                self.next();
            }
            _ => {}
        }
        Ok(())
    }

    /// Messages that answer nothing keep their place in what the client sees; what the gate's own statements raise
    /// is theirs.
    fn asynchronous(&mut self, frame: &Frame) {
        match &mut self.state {
            State::Flying(flight) => match flight.script.part() {
                Some(
                    Part::Assigned | Part::Probe | Part::Reset | Part::Refuse | Part::Rollback,
                ) if frame.tag == b'N' => {}
                Some(Part::Commit) if frame.tag == b'N' => flight.reply.hold_before_complete(frame),
                Some(_) if flight.kind == Kind::Batch && !flight.again => {
                    flight.reply.hold(frame, false)
                }
                _ => self.show(&frame.bytes),
            },
            State::GapOpen(flight) => flight.reply.hold(frame, false),
            State::Done(reply) => reply.hold(frame, false),
            State::Rest | State::Waiting(_) => self.show(&frame.bytes),
        }
    }

    /// Takes an answer; returns whether it may have been the last one due.
    fn answer(&mut self, flight: &mut Flight, frame: &Frame) -> Result<bool, Malformed> {
        let Some((part, due)) = flight.script.front().cloned() else {
            return Err(Malformed::order(frame.tag, "nothing"));
        };
        if part == Part::Client {
            self.client_answer(flight, frame, &due)?;
        } else {
            self.own_answer(flight, frame, part)?;
        }
        if frame.piece == Piece::Rest {
            return Ok(false);
        }
        match frame.tag {
            b'E' => {
                for due in flight.script.failed() {
                    // A second attempt will do it after all.
                    if !flight.again {
                        self.undo(due);
                    }
                }
                if flight.script.is_empty() {
                    self.skipping = true;
                }
            }
            b'G' => {
                flight.script.answered(frame.tag)?;
                flight.copy = match flight.script.copy_begins() {
                    CopyBegins::Simple => Copy::Data { extended: false },
                    CopyBegins::Extended => Copy::Data { extended: true },
                    CopyBegins::SentAlready => Copy::None,
                };
                self.queued_copy_data(flight);
            }
            tag => flight.script.answered(tag)?,
        }
        if matches!(frame.tag, b'E' | b'Z') {
            flight.copy = Copy::None;
        }
        Ok(true)
    }

    fn client_answer(
        &mut self,
        flight: &mut Flight,
        frame: &Frame,
        due: &Await,
    ) -> Result<(), Malformed> {
        if frame.tag != b'Z' {
            flight.reply.hear(frame, due)?;
        }
        if flight.kind == Kind::Pass {
            self.show(&frame.bytes);
        } else if frame.tag == b'Z' && flight.gap {
            // The gap's end brings another one, with the status that the client is to see; unless the batch has ended
            // the transaction by itself.
            if backend::ready(frame)? == TxStatus::Idle {
                flight.gap = false;
                flight.reply.hold(frame, false);
            }
        } else if flight.gap && frame.tag == b'E' && self.refuses_a_block(flight, frame, due)? {
            flight.again = true;
        } else {
            let simple = flight.unit.end == End::Query && matches!(due, Await::Query);
            flight.reply.hold(frame, simple);
            if let Some(bytes) = flight.reply.overflow(frame) {
                self.show(&bytes);
            }
        }
        if frame.tag == b'Z' && !flight.had_gap {
            self.ready(backend::ready(frame)?);
        }
        Ok(())
    }

    /// A ReadyForQuery for the client.
    pub(super) fn ready(&mut self, status: TxStatus) {
        self.status = status;
        self.implicit = false;
        self.skipping = false;
        if status == TxStatus::Idle && self.queue.is_empty() && self.partial.bytes.is_empty() {
            self.names.transaction_over();
        }
    }

    /// COPY FROM STDIN has begun: data that the client has sent along follows at once.
    fn queued_copy_data(&mut self, flight: &mut Flight) {
        let Copy::Data { extended } = flight.copy else {
            return;
        };
        while let Some(unit) = self.queue.pop_front_if(|unit| unit.end == End::Data) {
            self.queued -= unit.bytes.len();
            self.to_server.extend_from_slice(&unit.bytes);
            if unit.copy_ends {
                flight.copy = if extended { Copy::Sync } else { Copy::None };
                break;
            }
        }
        if flight.copy == Copy::Sync
            && let Some(unit) = self.queue.pop_front_if(|unit| unit.end == End::Sync)
        {
            self.queued -= unit.bytes.len();
            self.to_server.extend_from_slice(&unit.bytes);
            for due in unit.awaits {
                flight.script.push(Part::Client, due);
            }
            flight.copy = Copy::None;
        }
    }

    /// Takes back what the server did not do.
    pub(super) fn undo(&mut self, due: Await) {
        if let Await::Parse(Some(undo)) | Await::Close(Some(undo)) = due {
            self.names.undo(undo);
        }
    }
}
