//! Runs one permutation, and writes what isolationtester writes.
//!
//! A step is launched, and reported when its first result is there or when it waits for a lock. Then the steps that
//! waited are looked at again, in the order in which they began to wait. Markers delay only reports.
//!
//! The original gives a step 10 ms before it asks the server whether the step waits. Here the server is asked sooner,
//! and believed only if it is sure that the wait lasts: all those waited for do nothing (see [`waits_on`]). Where a spec
//! sets time limits of its own, a wait may end by itself, and the original's pace is kept.

use std::time::Duration;

use crate::connections::{Connections, waits_on};
use crate::model::{Entry, Marker, Spec};
use crate::reply::{Message, Reply};
use crate::table;
use crate::wire::WireError;

/// After how long the server's word is taken that a step waits, whoever holds the lock.
const PACE: Duration = Duration::from_millis(10);
/// How long to wait before the first looks.
const LOOKS: [Duration; 4] = [
    Duration::from_micros(700),
    Duration::from_micros(1300),
    Duration::from_millis(3),
    Duration::from_millis(5),
];

/// Where a piece of the output belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Takes the output, piece by piece.
pub type Sink<'a> = dyn FnMut(Stream, &[u8]) + 'a;

/// Why a spec ends early.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// As the original would: the reason, which is written to standard error.
    #[error("{0}")]
    Died(String),
    /// A connection failed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The user has enough.
    #[error("interrupted")]
    Interrupted,
}

/// How patient a run is.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// After so long a step is cancelled; after twice as long the spec ends.
    pub step: Duration,
    /// Keep the original's pace.
    pub steady: bool,
}

/// What a look at a step may do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Looking {
    /// It was launched just now.
    First,
    /// It waited; see whether it still does.
    Again,
    /// It waited; wait until it is complete.
    Out,
}

/// Runs a permutation with its setup and teardown.
///
/// # Errors
/// When the spec cannot go on.
pub fn permutation<C: Connections>(
    spec: &Spec,
    entries: &[Entry],
    connections: &mut C,
    patience: Patience,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    let mut run = Run {
        spec,
        entries,
        connections,
        patience,
        sink,
        active: vec![None; spec.sessions.len()],
        heard: vec![0; spec.sessions.len()],
        targets: vec![Vec::new(); entries.len()],
        new_notice: false,
    };
    let mut title = String::from("\nstarting permutation:");
    for entry in entries {
        title.push(' ');
        title.push_str(&spec.step(entry.step).name);
    }
    run.print(format!("{title}\n").as_bytes());
    run.setup()?;
    run.steps()?;
    run.teardown()
}

struct Run<'a, 'b, C> {
    spec: &'a Spec,
    entries: &'a [Entry],
    connections: &'a mut C,
    patience: Patience,
    sink: &'a mut Sink<'b>,
    /// The entry under way in each session.
    active: Vec<Option<usize>>,
    /// Notices that came from each session.
    heard: Vec<u64>,
    /// For each launched entry, marker by marker, how many notices it waits for.
    targets: Vec<Vec<u64>>,
    /// A notice came since this was last unset.
    new_notice: bool,
}

impl<C: Connections> Run<'_, '_, C> {
    fn print(&mut self, bytes: &[u8]) {
        (self.sink)(Stream::Out, bytes);
    }

    fn setup(&mut self) -> Result<(), Stop> {
        for sql in &self.spec.setups {
            let reply = self.connections.control(sql)?;
            if let Some(complaint) = self.aside(reply) {
                return Err(Stop::Died(format!("setup failed: {complaint}")));
            }
        }
        for (session, one) in self.spec.sessions.iter().enumerate() {
            let Some(sql) = &one.setup else { continue };
            let reply = self.on_session(session, sql)?;
            if let Some(complaint) = self.aside(reply) {
                return Err(Stop::Died(format!(
                    "setup of session {} failed: {complaint}",
                    one.name
                )));
            }
        }
        Ok(())
    }

    fn teardown(&mut self) -> Result<(), Stop> {
        for (session, one) in self.spec.sessions.iter().enumerate() {
            let Some(sql) = &one.teardown else { continue };
            let reply = self.on_session(session, sql)?;
            if let Some(complaint) = self.aside(reply) {
                self.complain(&format!(
                    "teardown of session {} failed: {complaint}",
                    one.name
                ));
            }
        }
        if let Some(sql) = &self.spec.teardown {
            let reply = self.connections.control(sql)?;
            if let Some(complaint) = self.aside(reply) {
                self.complain(&format!("teardown failed: {complaint}"));
            }
        }
        Ok(())
    }

    fn complain(&mut self, text: &str) {
        (self.sink)(Stream::Err, text.as_bytes());
    }

    /// Runs a setup or teardown on a session; its last result.
    fn on_session(&mut self, session: usize, sql: &str) -> Result<Option<Reply>, Stop> {
        let sent = self.connections.send(session, sql);
        if let Err(WireError::Closed) = sent {
            return Ok(Some(Reply::Failed(Message::own(
                "no connection to the server\n",
            ))));
        }
        sent?;
        let mut last = None;
        loop {
            let reply = self.connections.result(session)?;
            self.hear(session);
            match reply {
                Some(reply) => last = Some(reply),
                None => return Ok(last),
            }
        }
    }

    /// Prints the result of a setup or teardown, or says why there is none.
    fn aside(&mut self, reply: Option<Reply>) -> Option<String> {
        match reply {
            Some(Reply::Rows(rows)) => {
                let mut out = Vec::new();
                table::print(&rows, &mut out);
                self.print(&out);
                None
            }
            Some(Reply::Done(_)) => None,
            Some(Reply::Failed(message)) => {
                Some(String::from_utf8_lossy(&table::in_full(&message, true)).into_owned())
            }
            Some(Reply::Empty | Reply::Odd(_)) | None => Some(String::new()),
        }
    }

    /// Prints the notices that came from a session.
    fn hear(&mut self, session: usize) {
        for notice in self.connections.notices(session) {
            let mut line = format!("{}: ", self.spec.sessions[session].name).into_bytes();
            line.extend(table::in_full(&notice, false));
            self.print(&line);
            self.heard[session] += 1;
            self.new_notice = true;
        }
    }

    fn steps(&mut self) -> Result<(), Stop> {
        let mut waiting: Vec<usize> = Vec::new();
        for at in 0..self.entries.len() {
            self.free(self.entries[at].step.session, &mut waiting)?;
            self.launch(at)?;
            let done = self.complete(at, Looking::First)?;
            self.complete_all(&mut waiting, Looking::Again)?;
            if !done {
                waiting.push(at);
            }
        }
        self.complete_all(&mut waiting, Looking::Out)?;
        if waiting.is_empty() {
            Ok(())
        } else {
            let reason = "failed to complete permutation due to mutually-blocking steps\n";
            Err(Stop::Died(reason.to_owned()))
        }
    }

    /// Waits until a session has no step under way.
    fn free(&mut self, session: usize, waiting: &mut Vec<usize>) -> Result<(), Stop> {
        let start = self.connections.now();
        while let Some(at) = self.active[session] {
            if self.complete(at, Looking::Out)? {
                waiting.retain(|one| *one != at);
            }
            self.complete_all(waiting, Looking::Again)?;
            let passed = self.connections.now().saturating_sub(start);
            if let Some(at) = self.active[session].filter(|_| passed > 2 * self.patience.step) {
                let mut reason = timed_out(self.name(at), passed);
                reason.push_str("active steps are:");
                for at in self.active.iter().flatten() {
                    reason.push(' ');
                    reason.push_str(self.name(*at));
                }
                reason.push('\n');
                return Err(Stop::Died(reason));
            }
        }
        Ok(())
    }

    fn name(&self, at: usize) -> &str {
        &self.spec.step(self.entries[at].step).name
    }

    fn launch(&mut self, at: usize) -> Result<(), Stop> {
        let entry = &self.entries[at];
        let step = self.spec.step(entry.step);
        if let Err(error) = self.connections.send(entry.step.session, &step.sql) {
            let reason = format!("failed to send query for step {}: {error}\n", step.name);
            self.print(reason.as_bytes());
            return Err(Stop::Died(String::new()));
        }
        self.active[entry.step.session] = Some(at);
        let target = |marker: &Marker| match marker {
            Marker::Notices(other, count) => self.heard[other.session] + count,
            Marker::Waits | Marker::After(_) => 0,
        };
        self.targets[at] = entry.markers.iter().map(target).collect();
        Ok(())
    }

    /// Looks at all that wait, in their order; those that are complete are no longer in the list. Whether one is may
    /// depend on those behind it, where markers say so.
    fn complete_all(&mut self, waiting: &mut Vec<usize>, looking: Looking) -> Result<(), Stop> {
        loop {
            self.new_notice = false;
            let before = waiting.len();
            let mut left = Vec::with_capacity(before);
            let mut marked = false;
            for at in std::mem::take(waiting) {
                if !self.complete(at, looking)? {
                    marked |= !self.entries[at].markers.is_empty();
                    left.push(at);
                }
            }
            *waiting = left;
            if !(marked && (waiting.len() < before || self.new_notice)) {
                return Ok(());
            }
        }
    }

    /// Reports a step if it is complete, or that it waits if that is new. Whether it is complete.
    fn complete(&mut self, at: usize, looking: Looking) -> Result<bool, Stop> {
        let entry = &self.entries[at];
        if looking == Looking::First && entry.markers.contains(&Marker::Waits) {
            self.waits(at);
            return Ok(false);
        }
        let session = entry.step.session;
        let ready = self.await_result(at, looking)?;
        self.hear(session);
        if !ready || self.is_held(at) {
            if looking == Looking::First {
                self.waits(at);
            }
            return Ok(false);
        }
        let step = self.spec.step(entry.step);
        let line = match looking {
            Looking::First => format!("step {}: {}\n", step.name, step.sql),
            Looking::Again | Looking::Out => format!("step {}: <... completed>\n", step.name),
        };
        self.print(line.as_bytes());
        while let Some(reply) = self.connections.result(session)? {
            self.hear(session);
            self.reply(&reply);
        }
        self.hear(session);
        self.notified(session)?;
        self.active[session] = None;
        Ok(true)
    }

    fn waits(&mut self, at: usize) {
        let step = self.spec.step(self.entries[at].step);
        self.print(format!("step {}: {} <waiting ...>\n", step.name, step.sql).as_bytes());
    }

    fn reply(&mut self, reply: &Reply) {
        let mut out = Vec::new();
        match reply {
            Reply::Done(_) | Reply::Empty => {}
            Reply::Rows(rows) => table::print(rows, &mut out),
            Reply::Failed(message) => table::error(message, &mut out),
            Reply::Odd(status) => {
                out.extend(format!("unexpected result status: {status}\n").into_bytes());
            }
        }
        self.print(&out);
    }

    fn notified(&mut self, session: usize) -> Result<(), Stop> {
        let notifications = self.connections.notifications(session)?;
        self.hear(session);
        for one in notifications {
            let from = match self.connections.of_process(one.from) {
                Some(from) => self.spec.sessions[from].name.clone(),
                None => format!("PID {}", one.from),
            };
            let mut line = format!("{}: NOTIFY \"", self.spec.sessions[session].name).into_bytes();
            line.extend(one.channel);
            line.extend(b"\" with payload \"");
            line.extend(one.payload);
            line.extend(format!("\" from {from}\n").into_bytes());
            self.print(&line);
        }
        Ok(())
    }

    /// Whether a marker keeps the step from being reported as complete.
    fn is_held(&self, at: usize) -> bool {
        let entry = &self.entries[at];
        entry
            .markers
            .iter()
            .zip(&self.targets[at])
            .any(|(marker, target)| match marker {
                Marker::Waits => false,
                Marker::After(other) => {
                    self.active[other.session].is_some_and(|at| self.entries[at].step == *other)
                }
                Marker::Notices(other, _) => self.heard[other.session] < *target,
            })
    }

    /// Waits until the step's first result is there (`true`), or the step waits for a lock and may (`false`).
    fn await_result(&mut self, at: usize, looking: Looking) -> Result<bool, Stop> {
        let session = self.entries[at].step.session;
        let start = self.connections.now();
        let quick: &[Duration] = if self.patience.steady || looking == Looking::Out {
            &[]
        } else {
            &LOOKS
        };
        let mut looks = quick.iter().copied();
        let mut cancelled = false;
        // One that waited before need not be given time to begin waiting.
        let mut first = looking == Looking::Again && !quick.is_empty();
        while self.connections.is_busy(session)? {
            self.hear(session);
            let (patience, sure) = match looks.next() {
                _ if std::mem::take(&mut first) => (Duration::ZERO, true),
                Some(patience) => (patience, true),
                None => (PACE, false),
            };
            if self.connections.wait(session, patience)? {
                continue;
            }
            if looking != Looking::Out && self.is_blocked(session, sure)? {
                // Notices may have come meanwhile, even the result.
                self.connections.wait(session, Duration::ZERO)?;
                return Ok(!self.connections.is_busy(session)?);
            }
            let passed = self.connections.now().saturating_sub(start);
            self.lose_patience(at, passed, &mut cancelled)?;
        }
        Ok(true)
    }

    fn is_blocked(&mut self, session: usize, sure: bool) -> Result<bool, Stop> {
        let active = |one: &usize| self.active[*one].is_some();
        let asked: Vec<usize> = (0..self.active.len()).filter(active).collect();
        let looks = self.connections.look(&asked)?;
        if sure {
            return Ok(waits_on(&looks, session, &|one| self.active[one].is_none()));
        }
        Ok(looks
            .iter()
            .any(|look| look.session == session && look.blocked))
    }

    fn lose_patience(
        &mut self,
        at: usize,
        passed: Duration,
        cancelled: &mut bool,
    ) -> Result<(), Stop> {
        if passed > self.patience.step && !*cancelled {
            let cancel = self.connections.cancel(self.entries[at].step.session);
            match cancel {
                Ok(()) => {
                    *cancelled = true;
                    let seconds = passed.as_secs();
                    let line = format!(
                        "isolationtester: canceling step {} after {seconds} seconds\n",
                        self.name(at)
                    );
                    self.print(line.as_bytes());
                }
                Err(error) => self.complain(&format!("PQcancel failed: {error}\n")),
            }
        }
        if passed > 2 * self.patience.step {
            return Err(Stop::Died(timed_out(self.name(at), passed)));
        }
        Ok(())
    }
}

fn timed_out(step: &str, after: Duration) -> String {
    format!("step {step} timed out after {} seconds\n", after.as_secs())
}
