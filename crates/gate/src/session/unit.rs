//! The unit of what a client sends: messages up to Sync, Flush, a simple Query or a FunctionCall.

use bytes::BytesMut;

use crate::event::Statement;
use crate::frame::{Frame, Malformed};
use crate::frontend::{self, Target};
use crate::session::script::Await;
use crate::session::statements::Statements;

/// How a unit ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Not yet.
    Open,
    Query,
    Function,
    Sync,
    Flush,
    /// Copy data outside a batch; nothing answers it.
    Data,
    /// The client leaves: Terminate, or its stream has ended.
    Leave,
}

/// Messages of a client, with what the server will answer to them.
#[derive(Debug)]
pub(crate) struct Unit {
    /// The messages as they came.
    pub bytes: BytesMut,
    /// Invariant: one entry for every message in `bytes` that has an answer, in order.
    pub awaits: Vec<Await>,
    /// What the messages execute.
    pub statements: Vec<Statement>,
    pub end: End,
    /// Contains CopyDone or CopyFail.
    pub copy_ends: bool,
    /// A Sync that commits what earlier units did.
    pub implied: bool,
}

impl Default for Unit {
    fn default() -> Self {
        Unit {
            bytes: BytesMut::new(),
            awaits: Vec::new(),
            statements: Vec::new(),
            end: End::Open,
            copy_ends: false,
            implied: false,
        }
    }
}

impl Unit {
    /// Adds a message; `end` tells whether the unit is complete with it.
    pub fn add(&mut self, frame: &Frame, names: &mut Statements) -> Result<(), Malformed> {
        self.note(frame, names)?;
        self.bytes.extend_from_slice(&frame.bytes);
        Ok(())
    }

    /// As [`Unit::add`], without keeping the message itself.
    pub fn note(&mut self, frame: &Frame, names: &mut Statements) -> Result<(), Malformed> {
        let due = match frame.tag {
            b'P' => Some(Await::Parse(Some(names.parse(frontend::parse(frame)?)))),
            b'B' => {
                names.bind(frontend::bind(frame)?);
                Some(Await::Bind)
            }
            b'D' => Some(match frontend::target(frame)? {
                Target::Statement(name) => Await::DescribeStatement(names.prepared(&name)),
                Target::Portal(name) => Await::DescribePortal(names.portal(&name)),
            }),
            b'C' => Some(Await::Close(names.close(frontend::target(frame)?))),
            b'E' => {
                let portal = names.portal(&frontend::execute(frame)?);
                self.statements.push(portal.statement());
                Some(Await::Execute(Some(portal)))
            }
            b'H' => self.ends(End::Flush, Await::Flush),
            b'S' => self.ends(End::Sync, Await::Sync),
            b'Q' => {
                let sql = frontend::query(frame)?.into();
                self.statements.push(Statement::of(sql));
                self.ends(End::Query, Await::Query)
            }
            b'F' => {
                let sql = format!("function call {}", frontend::function(frame)?).into();
                self.statements.push(Statement::of(sql));
                self.ends(End::Function, Await::Function)
            }
            b'd' => None,
            b'c' | b'f' => {
                self.copy_ends = true;
                Some(Await::CopyEnd)
            }
            _ => return Err(Malformed::order(frame.tag, "a query")),
        };
        self.awaits.extend(due);
        Ok(())
    }

    #[allow(clippy::unnecessary_wraps, reason = "reads as one more arm of `add`")]
    fn ends(&mut self, end: End, due: Await) -> Option<Await> {
        self.end = end;
        Some(due)
    }

    /// Whether the gate may put messages of its own behind it (and a BEGIN before it) in the same write: it ends with
    /// ReadyForQuery whatever happens, and does not read what follows as copy data.
    pub fn can_be_followed(&self) -> bool {
        let resyncs = match self.end {
            End::Sync => true,
            // Behind unsynced messages of the extended protocol a Query is skipped after an error.
            End::Query | End::Function => self.awaits.len() == 1,
            _ => false,
        };
        resyncs
            && !self
                .statements
                .iter()
                .any(|statement| reads_stdin(&statement.sql))
    }

    /// Names of the statements that it prepares.
    pub fn prepares(&self) -> impl Iterator<Item = &str> {
        self.awaits.iter().filter_map(|due| match due {
            Await::Parse(Some(undo)) if !undo.name.is_empty() => Some(undo.name.as_str()),
            _ => None,
        })
    }
}

/// Whether a text can be a COPY FROM STDIN: both are keywords and can be written in no other way.
fn reads_stdin(sql: &str) -> bool {
    let has = |word: &[u8]| {
        sql.as_bytes()
            .windows(word.len())
            .any(|part| part.eq_ignore_ascii_case(word))
    };
    has(b"stdin") && has(b"copy")
}

#[cfg(test)]
mod tests {
    use super::reads_stdin;

    #[test]
    fn copy_is_known_by_its_keywords() {
        assert!(reads_stdin("Copy t (a, b) from\nStdIn with csv"));
        assert!(!reads_stdin("copy t to stdout"));
        assert!(!reads_stdin("select 'stdin'"));
    }
}
