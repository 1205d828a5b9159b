//! Faults as choices: what may go wrong with an actor is an actor of its own, whose first step is the fault.
//!
//! It can be moved at any time, so that whoever chooses the schedule chooses when. Before the actor has begun, behind
//! its end, and when the run has had as many faults as it may, nothing happens: that is how a run goes well. A crash
//! comes in two steps: that of the fault, which only says so, and the actor's own next one, which is its end instead of
//! what it was about to do. So every actor ends by a step of its own, and who can move depends on nothing else.

use std::time::{Duration, Instant};

use deadheat_explore::{Actor, Event};
use deadheat_gate::TxStatus;
use deadheat_scenario::FaultKind;
use deadheat_sql::{Fate, Footprint};

use super::settle::Settled;
use super::step::{Turn, blank_step};
use super::{Doom, Place, Run, STEP_LIMIT};
use crate::conn::{Conn, Phase};
use crate::error::Trouble;
use crate::record::StepKind;
use crate::stage::Through;

/// Time between two looks whether a session has ended.
const GAP: Duration = Duration::from_millis(1);

/// A fault that a run may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub kind: FaultKind,
    /// Whom it happens to; `None`: who is not there, or a service.
    pub of: Option<Actor>,
    /// Index of the service that it happens to.
    pub service: Option<usize>,
}

impl Run<'_> {
    /// Whether the fault happens that the actor stands for, now that it is moved for the first time. A second delivery
    /// then begins like any actor; of a crash, and of what does not happen, this is the only step.
    pub(super) fn strike(&mut self, actor: Actor, fault: Fault) -> Option<Event<Footprint>> {
        let struck = fault.of.filter(|of| self.can_strike(fault.kind, *of));
        let kind = match (struck, fault.kind) {
            // A service is killed by the step of the fault itself, which does not come here.
            (None, _) | (Some(_), FaultKind::ServiceCrash) => StepKind::Silent,
            (Some(victim), FaultKind::Crash) => {
                self.faults += 1;
                self.seat_mut(victim).doomed = Some(Doom::Fault(actor));
                StepKind::Fault
            }
            (Some(victim), FaultKind::Repeat | FaultKind::Timeout) => {
                self.faults += 1;
                self.struck.insert(actor);
                if fault.kind == FaultKind::Timeout {
                    self.hang_up(victim);
                }
                return None;
            }
        };
        self.seat_mut(actor).place = Place::Finished;
        let turn = self.begin_fault(actor, kind, 0);
        Some(self.event(actor, turn, Vec::new()))
    }

    /// Notes a step at which something goes wrong (or a fault that does not happen); so far it touches nothing.
    pub(super) fn begin_fault(&mut self, actor: Actor, kind: StepKind, session: u32) -> Turn {
        let mut step = blank_step(actor, kind);
        "fault".clone_into(&mut step.gate);
        step.session = session;
        self.steps.push(step);
        Turn {
            footprint: Footprint::nothing(),
            wakes: Vec::new(),
            step: self.steps.len() - 1,
        }
    }

    fn can_strike(&self, kind: FaultKind, victim: Actor) -> bool {
        let seat = self.seat(victim);
        let under_way = seat.place != Place::Finished && seat.doomed.is_none();
        let can = match kind {
            FaultKind::Repeat => true,
            FaultKind::ServiceCrash => false,
            FaultKind::Crash => under_way,
            // Who has the answer waits no longer.
            FaultKind::Timeout => under_way && !seat.done,
        };
        let began = self.steps.iter().any(|step| step.actor == victim);
        can && began && self.faults < self.cast.most_faults
    }

    /// The client is gone; the service goes on with what it had begun.
    fn hang_up(&mut self, actor: Actor) {
        let seat = self.seat_mut(actor);
        if let Some(driver) = seat.driver.take() {
            driver.end();
        }
        seat.cut_off = true;
        seat.done = true;
        seat.at_pause = false;
    }

    /// The actor's step when it is to crash: its command or session ends, or the service loses the connections that work
    /// for its request, and goes on without them.
    pub(super) async fn crash(
        &mut self,
        actor: Actor,
        fault: Actor,
    ) -> Result<Event<Footprint>, Trouble> {
        self.struck.insert(fault);
        let sessions = self.sessions_of(actor);
        let undone = self.undone(&sessions);
        let mut turn = self.begin_fault(actor, StepKind::Crash, undone);
        let ends = !self.cast.is_request(actor);
        if ends {
            self.stage.clients.remove(&actor);
            if let Some(driver) = self.seat_mut(actor).driver.take() {
                driver.kill();
            }
        }
        self.cut_off(actor, &sessions).await?;
        if ends {
            let seat = self.seat_mut(actor);
            seat.parked.clear();
            seat.done = true;
            seat.place = Place::Finished;
        } else if self.settle(actor).await? == Settled::Stalled {
            turn.footprint = Footprint::everything();
            self.seat_mut(actor).place = Place::Stalled { step: turn.step };
        }
        self.wake_others(actor, &mut turn).await?;
        Ok(self.event(actor, turn, Vec::new()))
    }

    /// Sessions that end with the actor: all that came through a gate of its own, and those of its service that work
    /// for it.
    fn sessions_of(&self, actor: Actor) -> Vec<u32> {
        let conns = self.stage.conns.iter();
        let own = conns.filter(|(_, conn)| match self.stage.through(conn.tag) {
            Through::Actor(through) => through == actor,
            Through::Service => conn.owner == Some(actor),
        });
        own.map(|(session, _)| *session).collect()
    }

    /// Number of the session whose transaction is undone, rather one on which a statement's own commit was still to come;
    /// 0 where none is open.
    pub(super) fn undone(&self, sessions: &[u32]) -> u32 {
        let conns = sessions
            .iter()
            .filter_map(|session| self.stage.conns.get(session));
        let in_gap = |conn: &Conn| matches!(conn.phase, Phase::GapOpen(_));
        let open = conns.filter(|conn| conn.status != TxStatus::Idle || in_gap(conn));
        let undone = open.max_by_key(|conn| in_gap(conn));
        undone.map_or(0, |conn| conn.number)
    }

    /// Ends the sessions and waits until the server has undone what was open on them.
    pub(super) async fn cut_off(&mut self, actor: Actor, sessions: &[u32]) -> Result<(), Trouble> {
        let started = Instant::now();
        let mut pids = Vec::new();
        for session in sessions {
            let Some(conn) = self.stage.conns.get(session) else {
                continue;
            };
            conn.handle.close();
            let (database, pid) = (conn.database, conn.pid);
            pids.push((database, pid));
            if !matches!(conn.phase, Phase::Idle | Phase::Held(_) | Phase::GapOpen(_)) {
                // It would notice only behind the lock that it waits for.
                self.stage.thaw(*session);
                self.stage.bases[database].terminate(pid).await?;
            }
        }
        let mut pids = pids.into_iter();
        let mut next = pids.next();
        while let Some((database, pid)) = next {
            let closed = || {
                let mut open = sessions.iter();
                !open.any(|session| self.stage.conns.contains_key(session))
            };
            if closed() && !self.stage.bases[database].is_alive(pid).await? {
                next = pids.next();
                continue;
            }
            if let Some(signal) = self.stage.next(GAP).await? {
                self.handle(signal)?;
            }
            if started.elapsed() > STEP_LIMIT {
                return Err(Trouble::NeverSettles {
                    actor: self.name(actor).to_owned(),
                    seconds: STEP_LIMIT.as_secs(),
                });
            }
        }
        Ok(())
    }

    /// What the latest step of the actor has to do with faults: a second delivery only with the beginning, a crash and a
    /// client that hangs up with every step.
    pub(super) fn fates(&self, actor: Actor, wakes: &[Actor]) -> Footprint {
        let mut footprint = Footprint::nothing();
        let mut add = |fate: Fate| footprint.merge(&Footprint::of_fate(fate));
        let first = self
            .steps
            .iter()
            .filter(|step| step.actor == actor)
            .nth(1)
            .is_none();
        if let Some(fault) = self.cast.fault(actor).filter(|_| first) {
            add(Fate::Number);
            fault.of.into_iter().map(Fate::Of).for_each(&mut add);
        }
        for moved in wakes.iter().chain([&actor]) {
            let begins = *moved == actor && first;
            if self
                .cast
                .faults_of(*moved)
                .any(|kind| begins || kind != FaultKind::Repeat)
            {
                add(Fate::Of(*moved));
            }
        }
        footprint
    }
}
