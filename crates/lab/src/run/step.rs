//! One turn: the chosen actor's statement is run, its reply delivered, and its code runs on to its next stop.

use std::hash::{DefaultHasher, Hash, Hasher};

use deadheat_explore::{Actor, After, Event};
use deadheat_gate::{Gap, Ran, Release, TxStatus};
use deadheat_sql::{Facts, Footprint, TxEnd};

use super::enclose;
use super::settle::Settled;
use super::wait::Waited;
use super::{Doom, Place, Run};
use crate::conn::{Acted, Phase, Work};
use crate::cure::is_retryable;
use crate::error::Trouble;
use crate::record::{Access, SqlError, Step, StepKind};

/// What a turn has come to so far.
pub(super) struct Turn {
    pub footprint: Footprint,
    pub wakes: Vec<Actor>,
    /// Index of its step.
    pub step: usize,
}

impl Run<'_> {
    /// Moves `actor` by one step.
    pub async fn step(&mut self, actor: Actor) -> Result<Event<Footprint>, Trouble> {
        self.current = Some(actor);
        let event = self.turn(actor).await;
        self.current = None;
        event
    }

    async fn turn(&mut self, actor: Actor) -> Result<Event<Footprint>, Trouble> {
        match self.seat_mut(actor).doomed.take() {
            Some(Doom::Fault(fault)) => return self.crash(actor, fault).await,
            Some(Doom::Killed(session)) => return Ok(self.die(actor, session)),
            None => {}
        }
        if self.seat(actor).is_adrift() {
            let settled = self.settle(actor).await?;
            return self.without_statement(actor, settled).await;
        }
        if self.seat(actor).place == Place::NotStarted {
            let fault = self.cast.fault(actor);
            if let Some(fault) = fault.filter(|fault| fault.kind.is_of_service()) {
                return self.kill(actor, fault).await;
            }
            if let Some(fault) = fault
                && let Some(event) = self.strike(actor, fault)
            {
                return Ok(event);
            }
            self.seat_mut(actor).place = Place::Ready;
            let without = self.part.as_ref().map(|part| part.without(actor));
            let driver = self
                .cast
                .start(actor, self.stage, &without.unwrap_or_default())?;
            self.seat_mut(actor).driver = Some(driver);
            self.seat_mut(actor).at_pause = true;
            match self.settle(actor).await? {
                // What it did up to a point is a step of its own: points are there to be between.
                Settled::Parked if !self.is_at_point(actor) => {}
                settled => return self.without_statement(actor, settled).await,
            }
        }
        let session = self
            .seat_mut(actor)
            .parked
            .pop_front()
            .ok_or_else(|| Trouble::bug("an actor without a parked statement was moved"))?;
        let step = self.send(actor, session)?;
        let mut turn = Turn {
            footprint: Footprint::nothing(),
            wakes: Vec::new(),
            step,
        };
        match self.await_answer(actor, session).await? {
            Waited::Blocked { by, chain } => {
                return Ok(self.wait_there(actor, session, step, (&by, &chain)));
            }
            Waited::Answered => {}
        }
        self.conclude(actor, session, &mut turn).await?;
        self.wake_others(actor, &mut turn).await?;
        Ok(self.event(actor, turn, Vec::new()))
    }

    /// An actor that came to its end, or stalled, before its first statement.
    async fn without_statement(
        &mut self,
        actor: Actor,
        settled: Settled,
    ) -> Result<Event<Footprint>, Trouble> {
        let step = self.steps.len();
        self.steps.push(blank_step(actor, StepKind::Silent));
        let mut turn = Turn {
            footprint: Footprint::nothing(),
            wakes: Vec::new(),
            step,
        };
        let mut waits_for = Vec::new();
        if settled == Settled::Stalled {
            turn.footprint = Footprint::everything();
            self.seat_mut(actor).place = Place::Stalled { step };
            waits_for = self.unfinished_others(actor);
            self.steps[step].blocked_by.clone_from(&waits_for);
        }
        self.wake_others(actor, &mut turn).await?;
        Ok(self.event(actor, turn, waits_for))
    }

    /// Sends what is parked on `session` to the server and notes the step.
    fn send(&mut self, actor: Actor, session: u32) -> Result<usize, Trouble> {
        let index = self.steps.len();
        let number = {
            let conn = self.stage.conn(session)?;
            if conn.number == 0 {
                self.numbered += 1;
                conn.number = self.numbered;
            }
            conn.number
        };
        let isolation = self.stage.isolation(session);
        let conn = self.stage.conn(session)?;
        let mut step = blank_step(actor, StepKind::Work);
        step.session = number;
        step.isolation = isolation;
        "postgres".clone_into(&mut step.gate);
        match std::mem::replace(&mut conn.phase, Phase::Idle) {
            Phase::Held(mut work) => {
                step.in_transaction = conn.status != TxStatus::Idle;
                step.statements = std::mem::take(&mut conn.passed);
                step.statements.extend(work.statements());
                step.fingerprint = work.fingerprint;
                step.kind = work.kind();
                if work.is_point() {
                    "point".clone_into(&mut step.gate);
                }
                work.step = index;
                conn.phase = Phase::Executing(work);
                let begins = self.encloses(actor, session);
                if begins {
                    step.statements.insert(0, enclose::begin());
                }
                let how = self.stage.how(session, begins)?;
                self.stage.lock_first(actor, session, &how, begins);
                let conn = self.stage.conn(session)?;
                if let Phase::Executing(work) = &conn.phase {
                    conn.release(work, how);
                }
            }
            Phase::GapOpen(mut work) => {
                step.kind = StepKind::GapCommit;
                step.fingerprint = work.fingerprint ^ 1;
                work.step = index;
                conn.phase = Phase::Committing(work);
                conn.handle.commit_gap();
            }
            other => {
                conn.phase = other;
                return Err(Trouble::bug("a session was moved that holds nothing"));
            }
        }
        self.steps.push(step);
        Ok(index)
    }

    /// Notes that the step waits in the database.
    fn wait_there(
        &mut self,
        actor: Actor,
        session: u32,
        step: usize,
        (by, chain): (&[u32], &[u32]),
    ) -> Event<Footprint> {
        let footprint = self.stage.waiting_footprint(actor, session, chain);
        let waits_for = self.owners(by);
        self.steps[step].blocked_by.clone_from(&waits_for);
        self.seat_mut(actor).place = Place::Blocked { step, session };
        let turn = Turn {
            footprint,
            wakes: Vec::new(),
            step,
        };
        self.event(actor, turn, waits_for)
    }

    /// Turns the server's answer into a footprint, lets the client see it (unless its commit is still to come), and
    /// waits until the actor's code has come to its next stop.
    async fn conclude(
        &mut self,
        actor: Actor,
        session: u32,
        turn: &mut Turn,
    ) -> Result<(), Trouble> {
        let footprint = self.absorb(actor, session)?;
        turn.footprint.merge(&footprint);
        if !self.seat(actor).parked.contains(&session)
            && let Settled::Stalled = self.settle(actor).await?
        {
            turn.footprint = Footprint::everything();
            self.seat_mut(actor).place = Place::Stalled { step: turn.step };
        }
        Ok(())
    }

    /// Books the answer on `session`; returns what the step touched.
    fn absorb(&mut self, actor: Actor, session: u32) -> Result<Footprint, Trouble> {
        let Some(conn) = self.stage.conns.get_mut(&session) else {
            // The session broke while its statement ran: its transaction is gone with it.
            return Ok(Footprint::everything());
        };
        let known = self.cast.original(actor);
        match std::mem::replace(&mut conn.phase, Phase::Idle) {
            Phase::Answered(work, ran) => {
                let step = work.step;
                note(&mut self.steps[step], &ran);
                self.note_refusal(actor, &ran);
                self.enclosed_ran(actor, session, &work, &ran);
                let mut footprint = self.stage.work_footprint(session, &work, &ran, known);
                self.steps[step].accesses = accesses(&footprint);
                let conn = self.stage.conn(session)?;
                if conn.acted == Acted::Several {
                    // What two have done in one transaction is seen by no one else, and by each other at once.
                    footprint = Footprint::everything();
                }
                conn.is_now(ran.status);
                if ran.gap == Gap::Open {
                    conn.phase = Phase::GapOpen(work);
                    conn.owner = Some(actor);
                    self.seat_mut(actor).parked.push_front(session);
                } else {
                    conn.was_moved_by(actor);
                    conn.handle.deliver();
                }
                Ok(footprint)
            }
            Phase::Committed(work, ran) => {
                let step = work.step;
                note(&mut self.steps[step], &ran);
                self.note_refusal(actor, &ran);
                // A commit that failed has undone everything instead.
                let footprint = self
                    .stage
                    .gap_commit_footprint(session, ran.error.is_none());
                self.steps[step].accesses = accesses(&footprint);
                let conn = self.stage.conn(session)?;
                conn.is_now(ran.status);
                conn.owner = None;
                conn.handle.deliver();
                Ok(footprint)
            }
            _ => Err(Trouble::bug("an answer was booked that had not come")),
        }
    }

    /// Tells the actor's driver that trying again may help.
    fn note_refusal(&self, actor: Actor, ran: &Ran) {
        let code = ran.error.as_ref().map(|error| error.code.as_str());
        if let (true, Some(driver)) = (code.is_some_and(is_retryable), &self.seat(actor).driver) {
            driver.again.refused();
        }
    }

    /// Lets the actors go on that waited for what `actor` has just done, one after the other.
    pub(super) async fn wake_others(
        &mut self,
        actor: Actor,
        turn: &mut Turn,
    ) -> Result<(), Trouble> {
        loop {
            let freed = self.freed().await?;
            let mut moved = !freed.is_empty();
            for (waiter, session) in freed {
                self.current = Some(waiter);
                self.seat_mut(waiter).place = Place::Ready;
                turn.footprint.merge(&Footprint::woken(waiter));
                turn.wakes.push(waiter);
                self.conclude(waiter, session, turn).await?;
            }
            for waiter in self.unstalled(actor).await? {
                moved = true;
                turn.footprint = Footprint::everything();
                turn.wakes.push(waiter);
            }
            self.current = Some(actor);
            if !moved {
                return Ok(());
            }
        }
    }

    pub(super) fn event(
        &mut self,
        actor: Actor,
        turn: Turn,
        waits_for: Vec<Actor>,
    ) -> Event<Footprint> {
        let after = match self.seat(actor).place {
            Place::Blocked { .. } | Place::Stalled { .. } => After::Waiting,
            Place::Finished => After::Finished,
            Place::NotStarted | Place::Ready => After::Ready,
        };
        let waits_for = if after == After::Waiting && waits_for.is_empty() {
            self.unfinished_others(actor)
        } else {
            waits_for
        };
        let mut footprint = turn.footprint;
        footprint.merge(&self.fates(actor, &turn.wakes));
        if turn
            .wakes
            .iter()
            .chain([&actor])
            .any(|one| self.is_at_point(*one))
        {
            // What its code shares with others before the point is seen by no gate, just as what it does behind it.
            footprint = Footprint::everything();
        }
        footprint.merge(&std::mem::replace(
            &mut self.stage.loose,
            Footprint::nothing(),
        ));
        let step = &mut self.steps[turn.step];
        step.wakes.clone_from(&turn.wakes);
        let mut hash = DefaultHasher::new();
        (step.fingerprint, step.kind as u8, after as u8, &turn.wakes).hash(&mut hash);
        (&step.tags, step.error.as_ref().map(|error| &error.code)).hash(&mut hash);
        Event {
            actor,
            footprint,
            key: hash.finish(),
            wakes: turn.wakes,
            waits_for,
            after,
        }
    }

    /// Whether the actor is parked at a point.
    fn is_at_point(&self, actor: Actor) -> bool {
        self.seat(actor).parked.iter().any(|session| {
            let conn = self.stage.conns.get(session);
            conn.is_some_and(|conn| matches!(&conn.phase, Phase::Held(work) if work.is_point()))
        })
    }

    fn unfinished_others(&self, actor: Actor) -> Vec<Actor> {
        self.actors()
            .filter(|other| {
                *other != actor
                    && !matches!(self.seat(*other).place, Place::Finished | Place::NotStarted)
            })
            .collect()
    }
}

impl Work {
    /// What kind of step it makes.
    fn kind(&self) -> StepKind {
        match self.parsed.last().and_then(|(parsed, _)| parsed.ends()) {
            Some(TxEnd::Commit { .. } | TxEnd::Prepare) => StepKind::Commit,
            Some(TxEnd::Rollback { .. }) => StepKind::Rollback,
            None => StepKind::Work,
        }
    }

    /// How it is sent when its session is in `status`.
    /// The server's counters are asked for when the parse leaves something open, or `always`: they run on, so that
    /// what one statement did shows only against what was counted behind the one before. `sequences`: the database has
    /// some, from which it may draw.
    pub(crate) fn release(
        &self,
        status: TxStatus,
        probe: Option<std::sync::Arc<str>>,
        always: bool,
        sequences: bool,
    ) -> Release {
        let all = |test: fn(&deadheat_sql::Parsed) -> bool| {
            self.parsed.iter().all(|(parsed, _)| test(parsed))
        };
        let gap = status == TxStatus::Idle
            && !self.batch.flush
            && all(deadheat_sql::Parsed::gap)
            && !all(deadheat_sql::Parsed::reads_only)
            && !all(deadheat_sql::Parsed::only_draws);
        let keep = gap && sequences && !all(|parsed| !parsed.may_draw());
        let askable = (gap || status == TxStatus::Open)
            && !self.batch.flush
            && !self.ends()
            && !self.parsed.iter().any(|(parsed, _)| parsed.copies());
        let probe = probe.filter(|_| askable && (always || !self.is_explained()));
        Release { gap, keep, probe }
    }

    /// Whether it is a place in the code, and no statement.
    pub(crate) fn is_point(&self) -> bool {
        self.parsed.iter().all(|(parsed, _)| parsed.is_point())
    }

    /// Whether the parse explains all it can touch.
    pub(crate) fn is_explained(&self) -> bool {
        self.parsed.iter().all(|(parsed, _)| parsed.explained())
    }

    /// The facts about a run that a footprint depends on.
    pub(crate) fn facts(before: TxStatus, ran: &Ran) -> Facts<'_> {
        Facts {
            error: ran.error.as_ref().map(|error| error.code.as_str()),
            tags: &ran.tags,
            probe: ran.probe.as_deref(),
            open_before: before != TxStatus::Idle,
            open_after: ran.status != TxStatus::Idle || ran.gap == Gap::Open,
            isolation: None,
        }
    }
}

pub(super) fn blank_step(actor: Actor, kind: StepKind) -> Step {
    Step {
        actor,
        statements: Vec::new(),
        gate: "start".to_owned(),
        kind,
        session: 0,
        in_transaction: false,
        isolation: String::new(),
        blocked_by: Vec::new(),
        wakes: Vec::new(),
        error: None,
        tags: Vec::new(),
        rows: Vec::new(),
        columns: Vec::new(),
        accesses: Vec::new(),
        fingerprint: 0,
    }
}

/// Writes the server's answer into the step.
fn note(step: &mut Step, ran: &Ran) {
    step.error = ran.error.as_ref().map(|error| SqlError {
        code: error.code.clone(),
        message: error.message.clone(),
    });
    step.tags.clone_from(&ran.tags);
    step.columns.clone_from(&ran.columns);
    step.rows.clone_from(&ran.rows);
}

fn accesses(footprint: &Footprint) -> Vec<Access> {
    footprint
        .accesses()
        .into_iter()
        .map(|(table, row, write)| Access { table, row, write })
        .collect()
}
