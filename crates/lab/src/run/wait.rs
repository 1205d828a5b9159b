//! Telling an answer from a lock wait, by the server's own word.
//!
//! A statement that waits is stopped there ([`deadheat_sandbox::Frozen`]) and goes on when its lock was granted. A deadlock is
//! found by the actor that closes the cycle: the others are stopped and do not look for one.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use deadheat_explore::Actor;

use super::{Place, Run, STEP_LIMIT};
use crate::conn::Phase;
use crate::error::Trouble;
use crate::locks::chain;

/// A statement that has not answered after this time is asked about.
const FIRST_QUESTION: Duration = Duration::from_micros(250);
/// After this time its process is looked at, where it is one of ours: only while it sleeps is there something to ask.
const FIRST_LOOK: Duration = Duration::from_micros(150);
/// Longest time between two questions about one statement.
const LAST_QUESTION: Duration = Duration::from_millis(5);
/// Where waiters cannot be stopped, a wait counts only when it has lasted this long: the server's deadlock check
/// (deadlock_timeout is 1 ms) is then behind it, and the victim of a deadlock is the actor that closes the cycle.
const DEADLOCK_CHECK: Duration = Duration::from_millis(2);
/// A cycle that the server has not broken after this time is none of its own: it will stay.
const DEADLOCK_LIMIT: Duration = Duration::from_secs(5);

/// What became of a statement.
pub(crate) enum Waited {
    /// The server has answered; the answer is held.
    Answered,
    /// It waits.
    Blocked {
        /// For these sessions.
        by: Vec<u32>,
        /// For these in the end: those, and whom they wait for in turn.
        chain: Vec<u32>,
    },
}

impl Run<'_> {
    /// Waits until the statement of `actor` on `session` is answered, or certain to wait for another actor's lock.
    pub async fn await_answer(&mut self, actor: Actor, session: u32) -> Result<Waited, Trouble> {
        let started = Instant::now();
        let mut since: Option<Instant> = None;
        let mut gap = self.first_gap(session);
        let mut asked: Vec<u32> = self.blocked().map(|(_, _, session)| session).collect();
        asked.push(session);
        loop {
            if self.answered(session) {
                return Ok(Waited::Answered);
            }
            if let Some(signal) = self.stage.next(gap).await? {
                self.handle(signal)?;
                continue;
            }
            if self.stage.is_at_work(session) {
                gap = (gap * 2).min(LAST_QUESTION);
                self.within_limit(actor, started)?;
                continue;
            }
            // It may sleep because it has answered: what it said is then on its way through the gate.
            tokio::task::yield_now().await;
            self.hear()?;
            if self.answered(session) {
                return Ok(Waited::Answered);
            }
            let waits = self.stage.blockers_of(session, &asked).await?;
            self.hear()?;
            if self.answered(session) {
                return Ok(Waited::Answered);
            }
            let waits = waits.unwrap_or_default();
            if let Some(by) = waits.get(&session) {
                let lasted = since.get_or_insert_with(Instant::now).elapsed();
                let chain = chain(&waits, session);
                let enough = if chain.contains(&session) {
                    DEADLOCK_LIMIT
                } else if self.stage.can_freeze(session) {
                    Duration::ZERO
                } else {
                    DEADLOCK_CHECK
                };
                if lasted >= enough {
                    let by = by.clone();
                    return Ok(Waited::Blocked { by, chain });
                }
                gap = FIRST_QUESTION;
            } else {
                since = None;
                gap = (gap * 2).min(LAST_QUESTION);
            }
            self.within_limit(actor, started)?;
        }
    }

    /// The blocked actors whose statement has now been answered. Those whose lock was granted go on in the server one
    /// after the other, in the order in which they began to wait.
    pub async fn freed(&mut self) -> Result<Vec<(Actor, u32)>, Trouble> {
        let mut blocked: Vec<(usize, Actor, u32)> = self.blocked().collect();
        blocked.sort_unstable();
        loop {
            self.hear()?;
            let open: Vec<u32> = blocked
                .iter()
                .map(|(_, _, session)| *session)
                .filter(|session| !self.answered(*session))
                .collect();
            if open.is_empty() {
                break;
            }
            let waits = self.stage.blockers(&open).await?;
            self.hear()?;
            let granted = blocked
                .iter()
                .find(|(_, _, session)| !waits.contains_key(session) && !self.answered(*session));
            let Some((_, actor, session)) = granted.copied() else {
                break;
            };
            self.let_go_on(actor, session).await?;
        }
        Ok(blocked
            .into_iter()
            .map(|(_, actor, session)| (actor, session))
            .filter(|(_, session)| self.answered(*session))
            .collect())
    }

    /// Lets a statement go on whose lock was granted, until it is answered or has come to wait for another.
    async fn let_go_on(&mut self, actor: Actor, session: u32) -> Result<(), Trouble> {
        let started = Instant::now();
        self.stage.thaw(session);
        let mut gap = self.first_gap(session);
        while !self.answered(session) {
            if let Some(signal) = self.stage.next(gap).await? {
                self.handle(signal)?;
                continue;
            }
            if !self.stage.is_at_work(session) {
                let waits = self.stage.blockers_of(session, &[session]).await?;
                self.hear()?;
                if waits.is_some_and(|waits| !waits.is_empty()) && !self.answered(session) {
                    break;
                }
            }
            gap = (gap * 2).min(LAST_QUESTION);
            self.within_limit(actor, started)?;
        }
        Ok(())
    }

    /// When to look after a statement that has just been sent on `session`.
    fn first_gap(&self, session: u32) -> Duration {
        if self.stage.can_freeze(session) {
            FIRST_LOOK
        } else {
            FIRST_QUESTION
        }
    }

    /// The actors that wait in the database: the step that waits, who, and on which session.
    fn blocked(&self) -> impl Iterator<Item = (usize, Actor, u32)> {
        self.actors()
            .filter_map(|actor| match self.seat(actor).place {
                Place::Blocked { step, session } => Some((step, actor, session)),
                _ => None,
            })
    }

    fn within_limit(&self, actor: Actor, started: Instant) -> Result<(), Trouble> {
        if started.elapsed() <= STEP_LIMIT {
            return Ok(());
        }
        Err(Trouble::NeverAnswers {
            actor: self.name(actor).to_owned(),
            seconds: STEP_LIMIT.as_secs(),
        })
    }

    /// Whether the server has answered the step on `session`, or the session is gone.
    fn answered(&self, session: u32) -> bool {
        self.stage
            .conns
            .get(&session)
            .is_none_or(|conn| matches!(conn.phase, Phase::Answered(..) | Phase::Committed(..)))
    }

    /// Takes in everything that has been said already, without waiting.
    pub fn hear(&mut self) -> Result<(), Trouble> {
        while let Some(signal) = self.stage.heard() {
            self.handle(signal)?;
        }
        Ok(())
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
