//! Follows a session that nobody holds: which answer belongs to what the client has sent.
//!
//! ```text
//!   client frames ──▶ units (what is sent together) ──▶ the answers due, each with the number of its unit
//!   server frames ──▶ what is due next ──▶ the unit that is complete with it
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::reply::Reply;
use super::script::{Await, Script};
use super::standing::{Standing, Unsynced};
use super::statements::Statements;
use super::unit::{End, Unit};
use crate::backend;
use crate::event::{Batch, Gap, Ran, Statement, TxStatus};
use crate::frame::{Frame, Malformed, Piece};
use crate::frontend;

/// A unit ends here, though no Sync, Flush or Query has ended it: it must not grow for ever.
const MOST_STATEMENTS: usize = 10_000;

/// What was sent together, on its way to its answer.
#[derive(Debug)]
struct Pending {
    number: u64,
    unit: Unit,
    reply: Reply,
    /// When it was complete.
    at: Instant,
    /// How the session stood when the first answer came. None comes for what the server skips.
    before: Option<Standing>,
    /// The last text that it prepares.
    prepares: Option<Arc<str>>,
}

/// A batch with its answer.
#[derive(Debug)]
pub(super) struct Told {
    pub batch: Batch,
    pub reply: Ran,
    pub at: Instant,
    pub took: Duration,
}

/// Follows both sides of a session.
#[derive(Debug, Default)]
pub(super) struct Follower {
    names: Statements,
    /// The answers due, each with the number of its unit.
    script: Script<u64>,
    /// Invariant: in the order of their numbers; only the last one may be open, the first one is what is being answered.
    units: VecDeque<Pending>,
    next: u64,
    standing: Standing,
    /// After an error: the server ignores all that comes before the next Sync.
    skipping: bool,
    /// The server reads copy data, and ignores Sync and Flush.
    copying: bool,
    /// What ended the session, as the server put it.
    last_words: Option<String>,
    answered: Vec<Told>,
}

impl Follower {
    /// How many answers are due.
    pub fn due(&self) -> usize {
        self.script.count()
    }

    /// What has been answered since it was last asked for.
    pub fn answered(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.answered)
    }

    /// What the server has ended the session with, once.
    pub fn last_words(&mut self) -> Option<String> {
        self.last_words.take()
    }

    /// Takes a message of the client.
    pub fn client(&mut self, frame: &Frame) -> Result<(), Malformed> {
        if frame.piece == Piece::Rest || frame.tag == b'X' {
            return Ok(());
        }
        if self.copying {
            // Anything else is data, is ignored, or makes the server break the copy off: it says how.
            self.copying = !matches!(frame.tag, b'c' | b'f');
            return Ok(());
        }
        if self.skipping && frame.tag != b'S' {
            return Ok(());
        }
        self.skipping = false;
        if frame.tag == b'd' {
            return Ok(());
        }
        if self
            .units
            .back()
            .is_none_or(|last| last.unit.end != End::Open)
        {
            self.units.push_back(Pending::new(self.next));
            self.next += 1;
        }
        // There is one: it was just made if need be.
        if let Some(open) = self.units.back_mut() {
            open.add(frame, &mut self.names, &mut self.script)?;
        }
        self.complete();
        Ok(())
    }

    /// Takes a message of the server.
    pub fn server(&mut self, frame: &Frame) -> Result<(), Malformed> {
        if matches!(frame.tag, b'A' | b'N' | b'S') {
            return Ok(());
        }
        let due = self.script.front().map(|(_, due)| due.clone());
        if let (Some(due), Some(unit)) = (&due, self.units.front_mut()) {
            unit.before.get_or_insert(self.standing);
            if frame.tag != b'Z' {
                unit.reply.hear(frame, due)?;
            }
        }
        if frame.piece == Piece::Rest {
            return Ok(());
        }
        match (frame.tag, due) {
            (b'E', due) => self.error(frame, due.as_ref())?,
            (b'Z', due) => {
                // One that is not due comes behind a COPY that broke off early.
                if due.is_some() {
                    self.script.answered(b'Z')?;
                }
                self.ready(backend::ready(frame)?);
            }
            (_, None) => return Err(Malformed::order(frame.tag, "nothing")),
            (b'G', Some(due)) => {
                self.script.answered(b'G')?;
                self.copy_begins(matches!(due, Await::Execute(_)));
            }
            (tag, Some(_)) => self.script.answered(tag)?,
        }
        self.complete();
        Ok(())
    }

    fn error(&mut self, frame: &Frame, due: Option<&Await>) -> Result<(), Malformed> {
        let error = backend::error(frame)?;
        self.copying = false;
        if error.is_fatal() {
            let words = format!("{} {}: {}", error.severity, error.code, error.message);
            self.last_words = Some(words);
            if let (Some(_), Some(last)) = (due, self.units.pop_front()) {
                self.tell(last);
            }
            self.units.clear();
            self.script = Script::default();
            return Ok(());
        }
        match due {
            Some(Await::Query | Await::Function | Await::Sync) => Ok(()),
            Some(_) => {
                self.skip();
                Ok(())
            }
            None => Err(Malformed::order(frame.tag, "nothing")),
        }
    }

    /// After an error in the extended protocol the server skips all up to the next Sync.
    fn skip(&mut self) {
        self.standing.unsynced = Unsynced::Failed;
        for undone in self.script.failed() {
            if let Await::Parse(Some(undo)) | Await::Close(Some(undo)) = undone {
                self.names.undo(undo);
            }
        }
        let sync = self.script.front().map(|(of, _)| *of);
        for unit in self.units.iter_mut().skip(1) {
            if sync.is_none_or(|of| unit.number <= of) {
                unit.unit.statements.clear();
                unit.prepares = None;
            }
        }
        self.skipping = sync.is_none();
        if let (true, Some(last)) = (self.skipping, self.units.back_mut())
            && last.unit.end == End::Open
        {
            // Its Sync will come by itself.
            last.end(End::Flush);
        }
    }

    fn ready(&mut self, status: TxStatus) {
        self.copying = false;
        self.standing.ready(status);
        if status == TxStatus::Idle && self.script.is_empty() {
            self.names.transaction_over();
        }
    }

    /// COPY FROM STDIN has begun. In the extended protocol the Sync that ends it is the one behind the data.
    fn copy_begins(&mut self, extended: bool) {
        self.copying = self.script.behind_copy().is_none();
        if !extended {
            return;
        }
        if let Some(last) = self.script.join_to_sync() {
            // What was between them is part of it now.
            let mut first = true;
            self.units
                .retain(|unit| std::mem::take(&mut first) || unit.number > last);
        } else if let Some(first) = self.units.front_mut() {
            first.unit.end = End::Open;
            self.units.truncate(1);
        }
    }

    /// Lets go of every unit that has all its answers.
    fn complete(&mut self) {
        loop {
            let due = self.script.front().map(|(of, _)| *of);
            let done = |unit: &mut Pending| unit.unit.end != End::Open && due != Some(unit.number);
            let Some(unit) = self.units.pop_front_if(done) else {
                return;
            };
            self.tell(unit);
        }
    }

    /// Tells of a unit, if there is anything to tell.
    fn tell(&mut self, mut pending: Pending) {
        let Some(before) = pending.before else {
            return;
        };
        let end = pending.unit.end;
        let failed = pending.reply.error.is_some();
        if end == End::Flush && !failed {
            self.standing.flushed(pending.reply.tags());
        }
        let implied = end == End::Sync
            && pending.unit.statements.is_empty()
            && before.unsynced == Unsynced::Work;
        let mut statements = std::mem::take(&mut pending.unit.statements);
        if implied {
            statements.push(Statement::of("COMMIT".into()));
        } else if let (true, true, Some(text)) =
            (statements.is_empty(), failed, pending.prepares.take())
        {
            statements.push(Statement::of(text));
        }
        if statements.is_empty() {
            return;
        }
        self.answered.push(Told {
            batch: Batch {
                statements,
                status: before.seen(),
                simple: matches!(end, End::Query | End::Function),
                flush: end == End::Flush,
                implied,
            },
            reply: pending.reply.ran(self.standing.seen(), Gap::None, None),
            at: pending.at,
            took: pending.at.elapsed(),
        });
    }
}

impl Pending {
    fn new(number: u64) -> Self {
        Pending {
            number,
            unit: Unit::default(),
            reply: Reply::default(),
            at: Instant::now(),
            before: None,
            prepares: None,
        }
    }

    fn add(
        &mut self,
        frame: &Frame,
        names: &mut Statements,
        script: &mut Script<u64>,
    ) -> Result<(), Malformed> {
        let short = (frame.piece == Piece::First).then(|| frontend::shortened(frame));
        self.unit.note(short.as_ref().unwrap_or(frame), names)?;
        for due in self.unit.awaits.drain(..) {
            if let Await::Parse(Some(undo)) = &due {
                self.prepares = Some(Arc::clone(&names.prepared(&undo.name).sql));
            }
            script.push(self.number, due);
        }
        if self.unit.end != End::Open {
            self.end(self.unit.end);
        } else if self.unit.statements.len() >= MOST_STATEMENTS {
            self.end(End::Flush);
        }
        Ok(())
    }

    fn end(&mut self, end: End) {
        self.unit.end = end;
        self.at = Instant::now();
    }
}
