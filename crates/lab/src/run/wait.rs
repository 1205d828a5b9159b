//! Telling an answer from a lock wait, by the server's own word.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use deadheat_explore::Actor;

use super::{Place, Run, STEP_LIMIT};
use crate::conn::Phase;
use crate::error::Trouble;

/// A statement that has not answered after this time is asked about.
const FIRST_QUESTION: Duration = Duration::from_micros(300);
/// Longest time between two questions about one statement.
const LAST_QUESTION: Duration = Duration::from_millis(5);
/// A wait counts only when it has lasted this long: the server's deadlock check (deadlock_timeout is 1 ms) is then
/// behind it, and the victim of a deadlock is the actor that closes the cycle.
const DEADLOCK_CHECK: Duration = Duration::from_millis(2);

/// What became of a statement.
pub(crate) enum Waited {
    /// The server has answered; the answer is held.
    Answered,
    /// It waits for these sessions.
    Blocked(Vec<u32>),
}

impl Run<'_> {
    /// Waits until the statement of `actor` on `session` is answered, or certain to wait for another actor's lock.
    pub async fn await_answer(&mut self, actor: Actor, session: u32) -> Result<Waited, Trouble> {
        let started = Instant::now();
        let mut seen_waiting: Option<Instant> = None;
        let mut gap = FIRST_QUESTION;
        loop {
            if self.answered(session) {
                return Ok(Waited::Answered);
            }
            if let Some(signal) = self.stage.next(gap).await? {
                self.handle(signal)?;
                continue;
            }
            let blockers = self.stage.blockers(&[session]).await?;
            self.hear()?;
            if self.answered(session) {
                return Ok(Waited::Answered);
            }
            let known: Vec<u32> = blockers.into_iter().flat_map(|(_, by)| by).collect();
            if known.is_empty() {
                seen_waiting = None;
                gap = (gap * 2).min(LAST_QUESTION);
            } else if seen_waiting
                .get_or_insert_with(Instant::now)
                .elapsed()
                >= DEADLOCK_CHECK
            {
                return Ok(Waited::Blocked(known));
            } else {
                gap = DEADLOCK_CHECK / 4;
            }
            if started.elapsed() > STEP_LIMIT {
                return Err(Trouble::NeverAnswers {
                    actor: self.name(actor).to_owned(),
                    seconds: STEP_LIMIT.as_secs(),
                });
            }
        }
    }

    /// The blocked actors whose statement has now been answered. Those whose lock was granted go on in the server one
    /// after the other, in the order in which they began to wait.
    pub async fn freed(&mut self) -> Result<Vec<(Actor, u32)>, Trouble> {
        let mut blocked: Vec<(usize, Actor, u32)> = self
            .actors()
            .filter_map(|actor| match self.seat(actor).place {
                Place::Blocked { step, session } => Some((step, actor, session)),
                _ => None,
            })
            .collect();
        blocked.sort_unstable();
        let mut freed = Vec::new();
        for (_, actor, session) in blocked {
            if self.goes_on(actor, session).await? {
                freed.push((actor, session));
            }
        }
        Ok(freed)
    }

    /// Whether the statement of `actor` that waited on `session` has been answered; if its lock was granted, it is
    /// given the time to answer, or to come to wait for another.
    async fn goes_on(&mut self, actor: Actor, session: u32) -> Result<bool, Trouble> {
        let started = Instant::now();
        loop {
            self.hear()?;
            if self.answered(session) {
                return Ok(true);
            }
            let waits = !self.stage.blockers(&[session]).await?.is_empty();
            self.hear()?;
            if self.answered(session) {
                return Ok(true);
            }
            if waits {
                self.stage.freeze(session);
                return Ok(false);
            }
            self.stage.thaw(session);
            if let Some(signal) = self.stage.next(FIRST_QUESTION).await? {
                self.handle(signal)?;
            }
            if started.elapsed() > STEP_LIMIT {
                return Err(Trouble::NeverAnswers {
                    actor: self.name(actor).to_owned(),
                    seconds: STEP_LIMIT.as_secs(),
                });
            }
        }
    }

    /// Whether the server has answered the step on `session`, or the session is gone.
    fn answered(&self, session: u32) -> bool {
        self.stage.conns.get(&session).is_none_or(|conn| {
            matches!(conn.phase, Phase::Answered(..) | Phase::Committed(..))
        })
    }

    /// Takes in everything that has been said already, without waiting.
    pub fn hear(&mut self) -> Result<(), Trouble> {
        while let Some(signal) = self.stage.heard() {
            self.handle(signal)?;
        }
        Ok(())
    }

    /// The sessions that `blockers` wait for in turn, themselves included.
    pub fn wait_chain(&self, blockers: &[u32]) -> Vec<u32> {
        let mut chain: Vec<u32> = blockers.to_vec();
        let mut next = 0;
        while let Some(session) = chain.get(next).copied() {
            next += 1;
            let owner = self.stage.conns.get(&session).and_then(|conn| conn.owner);
            let Some(owner) = owner else { continue };
            if let Place::Blocked { step, .. } = self.seat(owner).place {
                for blocker in &self.steps[step].blocked_by {
                    for (id, conn) in &self.stage.conns {
                        if conn.owner == Some(*blocker) && !chain.contains(id) {
                            chain.push(*id);
                        }
                    }
                }
            }
        }
        chain
    }

    /// The actors that own these sessions, each once.
    pub fn owners(&self, sessions: &[u32]) -> Vec<Actor> {
        let owners: BTreeSet<Actor> = sessions
            .iter()
            .filter_map(|session| self.stage.conns.get(session))
            .filter_map(|conn| conn.owner)
            .collect();
        owners.into_iter().collect()
    }
}
