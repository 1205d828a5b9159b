//! The reply of a batch while it comes in: what is kept back from the client, and what the lab is told of it.

use bytes::BytesMut;

use crate::backend::{self, Column};
use crate::event::{Gap, Ran, SqlError, TxStatus};
use crate::frame::{Frame, Malformed, Piece};
use crate::session::script::Await;

/// Replies above this size are passed on while they come in.
const HOLD: usize = 16 * 1024 * 1024;
/// Rows kept for explanations.
const ROWS: usize = 20;

/// A reply that is held.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// What the client will see.
    out: BytesMut,
    /// The last CommandComplete of a simple Query, and what came behind it without belonging to it. An error at the
    /// gap's COMMIT takes its place.
    tail: BytesMut,
    /// Length of the CommandComplete at the start of `tail`.
    complete: usize,
    pub streamed: bool,
    tags: Vec<String>,
    pub error: Option<SqlError>,
    columns: Vec<Column>,
    rows: Vec<Vec<Option<String>>>,
    /// The Execute being answered has begun its result.
    begun: bool,
}

/// Whether there may be any number of such messages: rows, copy data, notices, notifications.
fn streams(tag: u8) -> bool {
    matches!(tag, b'D' | b'd' | b'N' | b'A')
}

impl Reply {
    /// Takes a message for the client.
    pub fn hold(&mut self, frame: &Frame, simple: bool) {
        if !matches!(frame.tag, b'S' | b'A' | b'Z') {
            self.settle();
        }
        if simple && frame.tag == b'C' {
            self.complete = frame.bytes.len();
        }
        let to = if self.complete > 0 {
            &mut self.tail
        } else {
            &mut self.out
        };
        to.extend_from_slice(&frame.bytes);
        if streams(frame.tag) && self.out.len() > HOLD {
            self.streamed = true;
        }
    }

    /// What must not wait any longer: all of it when the client is to answer (copy), rows when there are too many.
    pub fn overflow(&mut self, frame: &Frame) -> Option<BytesMut> {
        let rows = self.streamed && streams(frame.tag);
        (rows || frame.tag == b'G').then(|| self.take())
    }

    /// Whether so much is held that no more should be read: notices and notifications come on behind the end.
    pub fn full(&self) -> bool {
        self.out.len() + self.tail.len() > 2 * HOLD
    }

    /// Everything held.
    pub fn take(&mut self) -> BytesMut {
        self.settle();
        self.out.split()
    }

    /// Everything held but the CommandComplete that waits for its COMMIT.
    pub fn take_uncommitted(&mut self) -> BytesMut {
        self.tail.clear();
        self.complete = 0;
        self.out.split()
    }

    /// The last CommandComplete stands.
    pub fn settle(&mut self) {
        if self.complete > 0 {
            self.out.extend_from_slice(&self.tail);
            self.tail.clear();
            self.complete = 0;
        }
    }

    /// Takes a message that came while the gate committed: it belongs before the CommandComplete of the statement
    /// that is being committed.
    pub fn hold_before_complete(&mut self, frame: &Frame) {
        self.out.extend_from_slice(&frame.bytes);
    }

    /// Takes the error of the gap's COMMIT.
    pub fn commit_failed(&mut self, frame: &Frame) -> Result<(), Malformed> {
        let behind = self.tail.split_off(self.complete);
        if self.complete > 0 {
            self.tags.pop();
        }
        self.tail.clear();
        self.complete = 0;
        self.out.extend_from_slice(&frame.bytes);
        self.out.extend_from_slice(&behind);
        self.error = Some(backend::error(frame)?);
        Ok(())
    }

    /// Forgets what a first attempt has answered.
    pub fn forget(&mut self) {
        *self = Reply::default();
    }

    /// Looks into a message of the server; `due` is what it answers.
    pub fn hear(&mut self, frame: &Frame, due: &Await) -> Result<(), Malformed> {
        match (frame.tag, due) {
            (b'T', Await::DescribeStatement(prepared)) => {
                let _ = prepared.columns.set(backend::columns(frame)?);
            }
            (b't', Await::DescribeStatement(prepared)) => {
                let _ = prepared.described.set(backend::parameter_types(frame)?);
            }
            (b'T', Await::DescribePortal(portal)) => {
                let _ = portal.columns.set(backend::columns(frame)?);
            }
            (b'T', _) => self.begin(backend::columns(frame)?),
            (b'D', due) if frame.piece == Piece::Whole => self.row(frame, due)?,
            (b'C' | b's', due) => {
                if frame.tag == b'C' {
                    self.tags.push(backend::command_tag(frame)?);
                }
                self.executed(due);
            }
            (b'E', _) => self.error = Some(backend::error(frame)?),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, columns: Vec<Column>) {
        self.columns = columns;
        self.rows.clear();
    }

    /// An Execute is over. One that has columns and sent no row has an empty result.
    fn executed(&mut self, due: &Await) {
        if let (false, Await::Execute(Some(portal))) = (self.begun, due) {
            let columns = portal.result();
            if !columns.is_empty() {
                self.begin(columns);
            }
        }
        self.begun = false;
    }

    fn row(&mut self, frame: &Frame, due: &Await) -> Result<(), Malformed> {
        if let (false, Await::Execute(Some(portal))) = (self.begun, due) {
            self.begin(portal.result());
            self.begun = true;
        }
        if self.rows.len() < ROWS {
            self.rows.push(backend::row(frame, &self.columns)?);
        }
        Ok(())
    }

    /// What the lab is told.
    pub fn ran(&self, status: TxStatus, gap: Gap, probe: Option<Vec<Vec<Option<String>>>>) -> Ran {
        Ran {
            status,
            tags: self.tags.clone(),
            error: self.error.clone(),
            columns: self
                .columns
                .iter()
                .map(|column| column.name.clone())
                .collect(),
            rows: self.rows.clone(),
            gap,
            probe,
            streamed: self.streamed,
        }
    }

    pub fn tags(&self) -> &[String] {
        &self.tags
    }
}
