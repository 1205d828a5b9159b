//! Statements on their way to the server in other words, and statements put before them: how a lab tries out what a
//! change of the code would do, without touching the code.
//!
//! A text is reworded where it becomes known, at a simple Query or at Parse, so that everything after it (what the lab is
//! shown, what the server prepares, what an Execute runs) is the new text. What goes ahead of a batch is asked for by
//! [`Session::precede`]; its answers stay hidden, unless it fails: then it fails the batch.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{Flight, Machine};
use crate::backend;
use crate::frame::{Frame, Malformed, message, put_str};
use crate::frontend::{self, own_attempt};
use crate::session::script::{Await, Part};
use crate::session::unit::End;

/// Gives texts other words.
pub trait Reword: Debug + Send + Sync {
    /// The text as it is to be run, which must take the same parameters; `None`: as it is. A simple Query may hold
    /// several statements.
    fn reword(&self, sql: &str) -> Option<String>;
}

impl Machine {
    /// The client's message in the words in which it is to be run; `None`: as it is. A text that is not UTF-8 stays.
    pub(super) fn reworded(&self, frame: &Frame) -> Option<Frame> {
        let rewords = self.shared.rewords()?;
        let body = frame.body();
        let end = |from: usize| {
            body[from..]
                .iter()
                .position(|byte| *byte == 0)
                .map(|n| from + n)
        };
        let from = match frame.tag {
            b'Q' => 0,
            b'P' => end(0)? + 1,
            _ => return None,
        };
        let to = end(from)?;
        let text = rewords.reword(std::str::from_utf8(&body[from..to]).ok()?)?;
        let mut bytes = BytesMut::new();
        message(&mut bytes, frame.tag, |out| {
            out.extend_from_slice(&body[..from]);
            put_str(out, &text);
            out.extend_from_slice(&body[to + 1..]);
        });
        Some(Frame {
            tag: frame.tag,
            piece: frame.piece,
            bytes: Bytes::from(bytes),
        })
    }

    /// Remembers what is to run before the batch that is released next.
    pub(super) fn precede(&mut self, sql: Arc<str>) {
        self.ahead = Some(sql);
    }

    /// Sends what goes ahead of the batch.
    pub(super) fn send_ahead(&mut self, flight: &mut Flight, sql: &str) {
        own_attempt(&mut self.to_server, sql);
        flight.script.push_own(Part::Ahead);
        // After an error the server skips all up to Sync; a simple Query brings none.
        if matches!(flight.unit.end, End::Query | End::Function) {
            frontend::sync(&mut self.to_server);
            flight.script.push(Part::Ahead, Await::Sync);
        }
    }
}

impl Flight {
    /// What went ahead has failed: that is what the client sees of its batch.
    pub(super) fn ahead_failed(&mut self, frame: &Frame) -> Result<(), Malformed> {
        self.reply.hold(frame, false);
        self.reply.error = Some(backend::error(frame)?);
        self.refused = true;
        Ok(())
    }
}
