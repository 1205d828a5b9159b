//! A service that is killed between two steps, with all that is under way in it, and started again.
//!
//! ```text
//!   step of the fault      SIGKILL → its sessions end, the server undoes what was open → started again → ready, at rest
//!   whose request was in it            no answer: the next step is its crash
//!   who had its answer already         what the service still had to do for it is gone: the next step goes on from there
//!   who got there through others       their call has broken off: they go on by themselves, like those that stall
//! ```
//!
//! Nobody ends by this step, so every actor has a next one that the explorer can put in front of it. What the service kept
//! in memory no gate sees, so the step conflicts with everything, also where nothing happens. Statements of the start
//! belong to nobody: they pass, and are over before anybody moves.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::pin::pin;

use deadheat_explore::{Actor, Event};
use deadheat_gate::Event as Heard;
use deadheat_scenario::Reset;
use deadheat_sql::Footprint;

use super::fault::Fault;
use super::step::Turn;
use super::{Doom, Place, Run};
use crate::error::Trouble;
use crate::record::{Reply, StepKind};
use crate::stage::Signal;

/// What the death of a service is to an actor.
enum Loss {
    /// Its request is in the service, and has no answer.
    Request,
    /// It has its answer; the service was still at work for it.
    AfterWork,
    /// What it asked of others has led them into the service.
    Call,
}

impl Run<'_> {
    /// The step of a fault that kills a service, if it happens.
    pub(super) async fn kill(
        &mut self,
        actor: Actor,
        fault: Fault,
    ) -> Result<Event<Footprint>, Trouble> {
        self.seat_mut(actor).place = Place::Finished;
        let service = fault.service.filter(|_| self.can_kill());
        let kind = match service {
            Some(_) => StepKind::Kill,
            None => StepKind::Silent,
        };
        let mut turn = self.begin_fault(actor, kind, 0);
        turn.footprint = Footprint::everything();
        if let Some(service) = service {
            self.faults += 1;
            self.struck.insert(actor);
            self.let_finish(turn.step).await?;
            let dying = &self.stage.services[service];
            dying.kill();
            let (address, tags) = (dying.address, dying.surroundings.tags.clone());
            self.stage.cold |= dying.plan.reset != Reset::Restart;
            let ended = self.sessions_through(&tags);
            self.bereave(address, &ended, &mut turn);
            self.cut_off(actor, &ended).await?;
            self.start_again(service, &tags).await?;
            self.wake_others(actor, &mut turn).await?;
        }
        Ok(self.event(actor, turn, Vec::new()))
    }

    /// Whether somebody may have been at a service, and somebody is still to move.
    fn can_kill(&self) -> bool {
        let been_there = self.steps.iter().any(|step| self.cast.may_ask(step.actor));
        let goes_on = self.actors().any(|actor| match self.seat(actor).place {
            Place::Finished => false,
            Place::NotStarted => self.cast.fault(actor).is_none(),
            _ => true,
        });
        been_there && goes_on && self.faults < self.cast.most_faults
    }

    /// Whoever moved before this step may still have an answer on its way, besides the statement that it is parked with: it
    /// has got there before the service dies.
    async fn let_finish(&mut self, step: usize) -> Result<(), Trouble> {
        let mover = self.current.take();
        self.current = self.steps[..step].last().map(|step| step.actor);
        let rested = self.rest(&[]).await;
        self.current = mover;
        rested
    }

    fn sessions_through(&self, tags: &[u32]) -> Vec<u32> {
        let conns = self.stage.conns.iter();
        let through = conns.filter(|(_, conn)| tags.contains(&conn.tag));
        through.map(|(session, _)| *session).collect()
    }

    /// Tells the actors that the service at that address is gone, and these sessions with it.
    fn bereave(&mut self, address: SocketAddr, ended: &[u32], turn: &mut Turn) {
        for actor in self.actors() {
            let Some(loss) = self.loss(actor, address, ended) else {
                continue;
            };
            let own: Vec<u32> = ended
                .iter()
                .copied()
                .filter(|session| self.stage.conns[session].owner == Some(actor))
                .collect();
            let undone = self.undone(&own);
            let seat = self.seat_mut(actor);
            seat.parked.retain(|session| !ended.contains(session));
            if matches!(seat.place, Place::Blocked { .. } | Place::Stalled { .. }) {
                seat.place = Place::Ready;
                turn.wakes.push(actor);
            }
            match loss {
                Loss::Request => {
                    if let Some(driver) = seat.driver.take() {
                        driver.end();
                    }
                    seat.doomed = Some(Doom::Killed(undone));
                }
                Loss::AfterWork => seat.cut_off = true,
                Loss::Call => {
                    seat.place = Place::Stalled { step: turn.step };
                    let name = self.name(actor).to_owned();
                    self.stage.notes.has_stalled(&name);
                }
            }
        }
    }

    /// What the actor loses with the service at that address, and with these sessions of it.
    fn loss(&self, actor: Actor, address: SocketAddr, ended: &[u32]) -> Option<Loss> {
        let seat = self.seat(actor);
        let inside = match seat.place {
            Place::NotStarted | Place::Finished => return None,
            Place::Blocked { session, .. } => ended.contains(&session),
            Place::Ready | Place::Stalled { .. } => {
                seat.parked.iter().any(|session| ended.contains(session))
            }
        };
        // A client that has hung up has no driver, and never had an answer.
        let answered = seat.driver.is_some() && (seat.done || seat.at_pause);
        let asked = self.asked(actor);
        if !answered && asked.is_some_and(|(_, asked)| asked == address) {
            Some(Loss::Request)
        } else if !inside {
            None
        } else if answered {
            Some(Loss::AfterWork)
        } else {
            Some(Loss::Call)
        }
    }

    /// The request that the actor waits for, as it is shown, and where it went.
    fn asked(&self, actor: Actor) -> Option<(String, SocketAddr)> {
        let part = self.part.as_ref();
        let without: BTreeSet<usize> = part.map(|part| part.without(actor)).unwrap_or_default();
        let answers = self.seat(actor).replies.len();
        let (request, address) = self.cast.request(actor, answers, &without)?;
        Some((request.line(), *address))
    }

    /// Starts the service again and waits until it is ready and at rest.
    async fn start_again(&mut self, service: usize, tags: &[u32]) -> Result<(), Trouble> {
        let dead = self.stage.services.remove(service);
        let mut start = pin!(dead.restart());
        let started = loop {
            tokio::select! {
                biased;
                event = self.stage.events.recv() => {
                    if let Some(event) = event {
                        self.pass_start(event, tags)?;
                    }
                }
                started = &mut start => break started,
            }
        };
        match started {
            Ok(alive) => self.stage.services.insert(service, alive),
            Err(trouble) => return Err(self.not_again(trouble, tags).await?),
        }
        self.rest(tags).await
    }

    /// Books what was heard while a service starts: what comes through its own gates passes.
    pub(super) fn pass_start(&mut self, event: Heard, tags: &[u32]) -> Result<(), Trouble> {
        let session = match &event {
            Heard::Arrived { session, .. }
            | Heard::Ran { session, .. }
            | Heard::Closed { session, .. } => self.stage.conns.get(session),
            _ => None,
        };
        if session.is_some_and(|conn| tags.contains(&conn.tag)) {
            self.stage.let_pass(event, false)
        } else {
            self.handle(Signal::Gate(event))
        }
    }

    /// Says why a service did not come up again: an actor may hold a lock that its start waits for.
    async fn not_again(&mut self, trouble: Trouble, tags: &[u32]) -> Result<Trouble, Trouble> {
        let Trouble::Command { what, how, log } = trouble else {
            return Ok(trouble);
        };
        let sessions = self.sessions_through(tags);
        let waits = self.stage.blockers(&sessions).await?;
        let by: Vec<u32> = waits.into_values().flatten().collect();
        let names: Vec<&str> = self
            .owners(&by)
            .into_iter()
            .map(|owner| self.name(owner))
            .collect();
        let lock = match names.as_slice() {
            [] => String::new(),
            names => format!(
                "; its start waits for a lock that {} holds",
                names.join(" and ")
            ),
        };
        Ok(Trouble::Command {
            what,
            how: format!("{how}, when it was started again after a crash{lock}"),
            log,
        })
    }

    /// The step of an actor whose request was in a service that was killed: it gets no answer, and that is its end.
    pub(super) fn die(&mut self, actor: Actor, session: u32) -> Event<Footprint> {
        let request = self.asked(actor).map(|(request, _)| request);
        let seat = self.seat_mut(actor);
        seat.replies.push(Reply::NoAnswer {
            request: request.unwrap_or_default(),
            error: "the service was killed".to_owned(),
        });
        seat.done = true;
        seat.place = Place::Finished;
        let turn = self.begin_fault(actor, StepKind::Crash, session);
        self.event(actor, turn, Vec::new())
    }
}
