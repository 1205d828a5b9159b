//! A transaction around what a client commits statement by statement: how a lab tries out what it would change if the
//! code wrote one.
//!
//! It begins ahead of a batch ([`Session::enclose`](super::Session::enclose)) and stays open while the client believes
//! that it is outside of any. Its COMMIT arrives as if the client had sent it: when the lab says that the client is done
//! ([`Session::complete`](super::Session::complete)), or when the client takes its leave. A client that vanishes leaves
//! nothing behind.

use bytes::BytesMut;

use super::unit::{End, Unit};
use super::{Flight, Kind, Machine, State};
use crate::backend::put_ready;
use crate::event::{Event, TxStatus};
use crate::frame::{Frame, Malformed};
use crate::frontend;
use crate::session::script::{Await, Part};

/// Whether there is a transaction around the client's batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Enclosing {
    #[default]
    None,
    /// It begins with the batch that is released next; after these SQLSTATEs it is rolled back at once.
    Wanted(&'static [&'static str]),
    Open(&'static [&'static str]),
}

impl Machine {
    /// Has a transaction begin ahead of the batch that is released next.
    pub(super) fn enclose(&mut self, given_up_after: &'static [&'static str]) {
        self.enclosing = Enclosing::Wanted(given_up_after);
    }

    pub(super) fn is_enclosed(&self) -> bool {
        matches!(self.enclosing, Enclosing::Open(_))
    }

    /// Sends BEGIN, if that is due.
    pub(super) fn begin_enclosing(&mut self, flight: &mut Flight) {
        if let Enclosing::Wanted(given_up_after) = self.enclosing {
            self.to_server.extend_from_slice(&frontend::BEGIN);
            flight.script.push_own(Part::Begin);
            self.enclosing = Enclosing::Open(given_up_after);
        }
    }

    /// The COMMIT arrives, to be held like any batch.
    pub(super) fn ask_to_complete(&mut self) {
        let unit = Unit {
            end: End::Sync,
            implied: true,
            ..Unit::default()
        };
        self.emit(Event::Arrived {
            session: self.session.id(),
            batch: self.batch(&unit),
        });
        self.state = State::Waiting(unit);
    }

    /// Sends the COMMIT that was held. Nothing of its answer is shown.
    pub(super) fn send_completion(&mut self, unit: Unit) {
        let mut flight = Box::new(Flight::new(unit, Kind::Batch));
        self.to_server.extend_from_slice(&frontend::COMMIT);
        flight.script.push_own(Part::Complete);
        flight.script.push(Part::Complete, Await::Sync);
        self.state = State::Flying(flight);
    }

    /// Rolls the transaction back before the client hears of an error after which nothing else helps; returns the flight
    /// if that is not due.
    pub(super) fn give_up(&mut self, mut flight: Box<Flight>) -> Option<Box<Flight>> {
        let Enclosing::Open(given_up_after) = self.enclosing else {
            return Some(flight);
        };
        let code = flight.reply.error.as_ref().map(|error| error.code.as_str());
        if !code.is_some_and(|code| given_up_after.contains(&code)) {
            return Some(flight);
        }
        self.to_server.extend_from_slice(&frontend::ROLLBACK);
        flight.script.push_own(Part::GiveUp);
        flight.script.push(Part::GiveUp, Await::Sync);
        self.state = State::Flying(flight);
        None
    }

    /// The server's message as the client is to see it: outside of any transaction.
    pub(super) fn as_outside(&self, frame: &Frame) -> Option<Frame> {
        if frame.tag != b'Z' || !self.is_enclosed() {
            return None;
        }
        let mut bytes = BytesMut::new();
        put_ready(&mut bytes, TxStatus::Idle);
        Some(Frame {
            tag: frame.tag,
            piece: frame.piece,
            bytes: bytes.freeze(),
        })
    }
}

impl Flight {
    /// The server's answer to the COMMIT.
    pub(super) fn completed(&mut self, frame: &Frame) -> Result<(), Malformed> {
        self.reply.hear(frame, &Await::Execute(None))
    }
}
