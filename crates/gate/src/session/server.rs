//! The server's side of a session: every message answers what is due next in the script.

use bytes::BytesMut;

use super::enclose::Enclosing;
use super::script::{Await, CopyBegins, Part};
use super::standing::Unsynced;
use super::unit::End;
use super::{Copy, Flight, Kind, Machine, Phase, State, sasl};
use crate::Upstream;
use crate::backend;
use crate::event::{Event, Gap, TxStatus};
use crate::frame::{Frame, Malformed, Piece};

impl Machine {
    /// Takes what the server has sent.
    pub fn server_bytes(&mut self, input: &mut BytesMut) -> Result<(), Malformed> {
        if self.raw && self.phase != Phase::Startup {
            self.to_client.extend_from_slice(input);
            input.clear();
            return Ok(());
        }
        if self.watched.is_some() && self.phase != Phase::Startup {
            self.pass_server(input);
            return Ok(());
        }
        while let Some(frame) = self.from_server.next(input)? {
            self.server_frame(&frame)?;
            if (self.raw || self.watched.is_some()) && self.phase != Phase::Startup {
                return self.server_bytes(input);
            }
        }
        Ok(())
    }

    /// The server has closed the connection: nothing can be held any longer.
    ///
    /// Work whose COMMIT has not been answered is shown as far as PostgreSQL shows it before it commits.
    pub fn server_ended(&mut self) {
        let held = match std::mem::replace(&mut self.state, State::Rest) {
            State::Flying(mut flight) | State::GapOpen(mut flight) if flight.gap == Gap::Open => {
                flight.reply.take_uncommitted()
            }
            State::Flying(mut flight) | State::GapOpen(mut flight) => flight.reply.take(),
            State::Done(mut reply) => reply.take(),
            State::Waiting(unit) => {
                self.state = State::Waiting(unit);
                BytesMut::new()
            }
            State::Rest => BytesMut::new(),
        };
        if matches!(self.phase, Phase::Startup | Phase::Ready) {
            self.show(&held);
        }
        let reason = match (&self.phase, self.last_words.take()) {
            (Phase::Leaving(reason) | Phase::Closed(reason), _) => reason.clone(),
            (_, Some((message, words))) => {
                self.show(&message);
                format!("the server ended the session: {words}")
            }
            (_, None) => "the server closed the connection".to_owned(),
        };
        self.tell_closed(reason);
    }

    pub(super) fn show(&mut self, bytes: &[u8]) {
        if !self.client_gone {
            self.to_client.extend_from_slice(bytes);
        }
    }

    /// As [`Machine::show`], without a copy where there is nothing to add it to.
    fn pass_on(&mut self, bytes: BytesMut) {
        if self.to_client.is_empty() && !self.client_gone {
            self.to_client = bytes;
        } else {
            self.show(&bytes);
        }
    }

    fn server_frame(&mut self, frame: &Frame) -> Result<(), Malformed> {
        if self.phase == Phase::Startup {
            return self.startup_frame(frame);
        }
        if matches!(frame.tag, b'A' | b'N' | b'S') {
            self.asynchronous(frame);
            return Ok(());
        }
        if frame.tag == b'E' {
            let error = backend::error(frame)?;
            if error.is_fatal() {
                // The end of the stream follows and shows it.
                let words = format!("{} {}: {}", error.severity, error.code, error.message);
                self.last_words = Some((frame.bytes.clone(), words));
                return Ok(());
            }
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
        if matches!(self.upstream, Upstream::Tls(..))
            && let Some(offer) = sasl::offer(frame)?
        {
            self.unbound = true;
            self.show(&offer);
            return Ok(());
        }
        self.show(&frame.bytes);
        match frame.tag {
            b'K' => {
                let (pid, key) = backend::key(frame)?;
                self.pid = pid;
                self.shared
                    .remember(pid, key, self.session.clone(), self.upstream.clone());
            }
            b'Z' => {
                self.phase = Phase::Ready;
                let startup = self.startup.take().unwrap_or_default();
                if self.watched.is_some() {
                    self.watch_begins(startup);
                } else {
                    self.emit(Event::Opened {
                        session: self.session.clone(),
                        tag: self.tag,
                        pid: self.pid,
                        startup,
                    });
                }
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
                    Part::Assigned
                    | Part::Probe
                    | Part::Reset
                    | Part::Refuse
                    | Part::Rollback
                    | Part::Complete
                    | Part::GiveUp,
                ) if frame.tag == b'N' => {}
                Some(Part::Commit) if frame.tag == b'N' => flight.reply.hold_before_complete(frame),
                Some(_) if flight.kind == Kind::Batch && !flight.again => {
                    flight.reply.hold(frame, false);
                    if let Some(bytes) = flight.reply.overflow(frame) {
                        self.pass_on(bytes);
                    }
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
                    self.standing.unsynced = Unsynced::Failed;
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
        if flight.refused && frame.tag == b'E' {
            return Ok(());
        }
        if frame.tag != b'Z' {
            flight.reply.hear(frame, due)?;
        }
        let outside = self.as_outside(frame);
        let shown = outside.as_ref().unwrap_or(frame);
        if flight.kind == Kind::Pass {
            self.show(&shown.bytes);
        } else if frame.tag == b'Z' && flight.gap == Gap::Open {
            // The gap's end brings another one, with the status that the client is to see; unless the batch has ended
            // the transaction by itself.
            if backend::ready(frame)? == TxStatus::Idle {
                flight.gap = Gap::Closed;
                flight.reply.hold(frame, false);
            }
        } else if flight.gap == Gap::Open
            && frame.tag == b'E'
            && self.refuses_a_block(flight, frame, due)?
        {
            flight.again = true;
        } else {
            let simple = flight.unit.end == End::Query && matches!(due, Await::Query);
            flight.reply.hold(shown, simple);
            if let Some(bytes) = flight.reply.overflow(frame) {
                self.pass_on(bytes);
            }
        }
        if frame.tag == b'Z' && flight.gap == Gap::None {
            self.ready(backend::ready(frame)?);
        }
        Ok(())
    }

    /// A ReadyForQuery for the client.
    pub(super) fn ready(&mut self, status: TxStatus) {
        self.standing.ready(status);
        if status == TxStatus::Idle && self.is_enclosed() {
            self.enclosing = Enclosing::None;
        }
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
