//! Answering for the server: a `select` of nothing in a transaction that has failed.
//!
//! The server refuses every statement there, and also this one, which is a point in the code and does nothing. What it
//! would say otherwise is put in its place and goes the way of all answers.

use bytes::BytesMut;

use super::script::{Await, Part};
use super::standing::Unsynced;
use super::unit::{End, Unit};
use super::{Flight, Kind, Machine, State};
use crate::backend::put_ready;
use crate::event::{Release, TxStatus};
use crate::frame::message;

impl Machine {
    pub(super) fn stand_in(&mut self) {
        let held = match &self.state {
            State::Waiting(unit) => can_be_answered(unit),
            _ => false,
        };
        let standing = self.standing;
        if !held || standing.unsynced == Unsynced::Failed || standing.status != TxStatus::Failed {
            return self.release(Release::default());
        }
        let Some(mut unit) = self.take_waiting("stand in") else {
            return;
        };
        unit.bytes.clear();
        let mut answer = BytesMut::new();
        for due in &unit.awaits {
            put_answer(&mut answer, due);
        }
        let mut flight = Box::new(Flight::new(unit, Kind::Batch));
        for due in &flight.unit.awaits {
            flight.script.push(Part::Client, due.clone());
        }
        self.state = State::Flying(flight);
        if let Err(error) = self.server_bytes(&mut answer) {
            tracing::error!(%error, "an answer of the gate's own is not what it expects");
        }
    }
}

/// Whether nothing of it is left at the server, where a statement would have to be prepared.
fn can_be_answered(unit: &Unit) -> bool {
    let plain = |due: &Await| {
        matches!(
            due,
            Await::Query | Await::Bind | Await::DescribePortal(_) | Await::Execute(_) | Await::Sync
        )
    };
    matches!(unit.end, End::Query | End::Sync)
        && unit.statements.len() == 1
        && unit.awaits.iter().all(plain)
}

/// What the server says to one message of a batch that selects nothing.
fn put_answer(out: &mut BytesMut, due: &Await) {
    let no_columns = |out: &mut BytesMut, tag| message(out, tag, |out| out.extend([0, 0]));
    match due {
        Await::Bind => message(out, b'2', |_| {}),
        Await::DescribePortal(_) => no_columns(out, b'T'),
        Await::Execute(_) | Await::Query => {
            if matches!(due, Await::Query) {
                no_columns(out, b'T');
            }
            no_columns(out, b'D');
            message(out, b'C', |out| out.extend_from_slice(b"SELECT 1\0"));
            if matches!(due, Await::Query) {
                put_ready(out, TxStatus::Failed);
            }
        }
        Await::Sync => put_ready(out, TxStatus::Failed),
        _ => {}
    }
}
