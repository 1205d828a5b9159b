//! Faults as choices: an actor crashes between two of its steps, comes twice, or is given up by its client and sent again.
//!
//! What may go wrong with an actor is a seat of its own, which can be chosen at any time; its first step is the fault, or
//! nothing when it comes too early, too late or once too often. So it is in every run, and the search tries every place for
//! it. A crash is then the victim's own next step: it is dropped there, and its sessions at the database end. An actor whose
//! client has hung up is dropped by the fault, and has an empty step of its own left. Nobody ends by another's step, because
//! whoever has no step any more could not be put in front of what took it away.
//!
//! Time does not wait for faults: it passes when nobody else can move.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use deadheat_explore::Actor;

use crate::base::Base;
use crate::drive::Driver;
use crate::lab::Lab;
use crate::panics;
use crate::record::Wrong;
use crate::seat::{Held, Kind, Place, Seat};
use crate::turn::Begun;

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The actor is dropped between two of its steps.
    Crash,
    /// It comes a second time.
    Repeat,
    /// Its client gives up and comes again.
    Timeout,
}

/// A seat that stands for a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Of {
    pub fault: Fault,
    /// Index of the seat that it happens to.
    pub victim: usize,
    /// Whether it happened.
    pub struck: bool,
}

/// What is about to happen to an actor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing.
    #[default]
    Well,
    /// Its next step is its crash.
    Doomed,
    /// It was dropped; its next step is its end, once the database has done what it was asked.
    Left,
}

impl Lab {
    /// Lets the actor of that name crash, or the task: between two of its steps, in any run of the search or in none, it is
    /// dropped with all that it holds, and its sessions at the database end. What is right then is an outcome of some order
    /// in which it is there with all that it does, or not at all.
    ///
    /// # Panics
    /// When nobody of that name was brought before, or it is a thread: threads cannot be dropped.
    #[track_caller]
    pub fn crash(&self, name: &str) {
        let seats = self.stage.seats.borrow();
        let found = seats
            .iter()
            .position(|seat| seat.name == name && seat.of.is_none());
        let Some(victim) = found else {
            let known: Vec<&str> = seats.iter().map(|seat| seat.name.as_ref()).collect();
            panic!(
                "`lab.crash(\"{name}\")`: nobody of that name was brought before ({})",
                known.join(", ")
            );
        };
        assert!(
            !seats[victim].is_thread,
            "`lab.crash(\"{name}\")`: a thread cannot be dropped; bring an actor or a task"
        );
        drop(seats);
        let work = Box::pin(async { String::new() });
        self.bring_fault(format!("crash of {name}"), Fault::Crash, victim, work);
    }

    /// Brings an actor that may be delivered twice: `work` makes what it does, and makes it a second time at any moment
    /// after its start, whether or not it is at its end, in any run of the search or in none. What is right is an outcome in
    /// which it came once; what the two return is not compared.
    pub fn repeat<F>(&self, name: impl Into<String>, work: impl Fn() -> F + 'static)
    where
        F: Future + 'static,
        F::Output: Debug,
    {
        self.twice(name.into(), Fault::Repeat, work);
    }

    /// Brings an actor whose client may lose patience: what `work` has made is dropped between two of its steps, in any run
    /// of the search or in none, and made anew. Tasks that it has spawned, messages that it has sent and statements that it
    /// has under way go on. What is right is an outcome in which it came once; what it returns is not compared then.
    pub fn timeout<F>(&self, name: impl Into<String>, work: impl Fn() -> F + 'static)
    where
        F: Future + 'static,
        F::Output: Debug,
    {
        self.twice(name.into(), Fault::Timeout, work);
    }

    fn twice<F>(&self, name: String, fault: Fault, work: impl Fn() -> F + 'static)
    where
        F: Future + 'static,
        F::Output: Debug,
    {
        let shown = self.stage.how.shown;
        let work = Rc::new(work);
        let make = || {
            let work = Rc::clone(&work);
            Box::pin(async move {
                let returned = work().await;
                if shown {
                    format!("{returned:?}")
                } else {
                    String::new()
                }
            })
        };
        let again = match fault {
            Fault::Timeout => format!("retry of {name}"),
            _ => format!("repeat of {name}"),
        };
        let victim = self.stage.seats.borrow().len();
        self.stage.seat(name.into(), Kind::Actor, make());
        self.bring_fault(again, fault, victim, make());
    }

    fn bring_fault(&self, name: String, fault: Fault, victim: usize, work: crate::seat::Work) {
        self.stage.seat(name.into(), Kind::Fault, work);
        let of = Of {
            fault,
            victim,
            struck: false,
        };
        if let Some(seat) = self.stage.seats.borrow_mut().last_mut() {
            seat.of = Some(of);
        }
    }
}

impl Driver<'_> {
    /// Makes the step if it is one of a fault, or of an actor that a fault has happened to.
    pub(crate) async fn fault(&mut self, actor: Actor) -> Option<Begun> {
        let index = usize::from(actor.0);
        let (fate, of, from) = {
            let seat = &self.stage.seats.borrow()[index];
            let of = seat.of.filter(|_| seat.place == Place::Start);
            (seat.fate, of, seat.place.clone())
        };
        match (fate, of) {
            (Fate::Doomed, _) => self.crash(actor).await,
            (Fate::Left, _) if self.stage.seats.borrow()[index].held.is_empty() => {
                self.end(actor, Place::Left);
            }
            (_, Some(of)) => return self.strike(index, of).await,
            _ => return None,
        }
        Some(Begun { from, ran: None })
    }

    /// The first step of a fault. `None`: the actor comes again now.
    async fn strike(&mut self, index: usize, of: Of) -> Option<Begun> {
        let strikes = self.can_strike(of);
        let begun = |from| Some(Begun { from, ran: None });
        {
            let seat = &mut self.stage.seats.borrow_mut()[index];
            seat.last_step = Some(self.made);
            if let Some(of) = &mut seat.of {
                of.struck = strikes;
            }
            if !strikes || of.fault == Fault::Crash {
                seat.place = if strikes { Place::Struck } else { Place::Idle };
                seat.work = None;
            }
        }
        match of.fault {
            _ if !strikes => return begun(Place::Start),
            Fault::Crash => {
                self.stage.seats.borrow_mut()[of.victim].fate = Fate::Doomed;
                return begun(Place::Start);
            }
            Fault::Timeout => {
                self.stage.seats.borrow_mut()[of.victim].fate = Fate::Left;
                self.drop_work(of.victim);
                self.rest().await;
            }
            Fault::Repeat => {}
        }
        None
    }

    fn can_strike(&self, of: Of) -> bool {
        let seats = self.stage.seats.borrow();
        let victim = &seats[of.victim];
        let struck = seats.iter().filter(|seat| seat.has_struck()).count();
        let under_way = !victim.has_ended() && victim.fate == Fate::Well;
        let can = under_way || of.fault == Fault::Repeat;
        can && victim.last_step.is_some() && struck < self.stage.ground.faults.get() as usize
    }

    /// The step of an actor that is to crash.
    async fn crash(&mut self, actor: Actor) {
        let index = usize::from(actor.0);
        if let Some(base) = self.stage.base()
            && let Err(why) = self.end_sessions(index, base)
        {
            self.fails(why);
        }
        self.drop_work(index);
        self.end(actor, Place::Crashed);
        self.rest().await;
        if let Some(base) = self.stage.base()
            && let Err(why) = self.after_crash(index, base).await
        {
            self.fails(why);
        }
    }

    /// Ends the sessions with which the actor has something under way, before its code can say anything on them.
    fn end_sessions(&self, index: usize, base: &Base) -> Result<(), String> {
        let mut owners = self.stage.owners.borrow_mut();
        let held = std::mem::take(&mut self.stage.seats.borrow_mut()[index].held);
        let mut sessions: Vec<u32> = held.iter().map(Held::session).collect();
        owners.retain(|session, owner| {
            let own = *owner == index;
            sessions.extend(Some(*session).filter(|_| own));
            !own
        });
        drop(owners);
        if sessions.is_empty() {
            return Ok(());
        }
        base.close(sessions)
    }

    /// What the crash has set going at the database comes to rest, and who waited for its locks goes on.
    async fn after_crash(&mut self, index: usize, base: &Base) -> Result<(), String> {
        self.stage.turn.set(Some(index));
        let flown = self.flow_until_rest().await;
        self.stage.turn.set(None);
        flown?;
        self.free(base)
    }

    fn end(&mut self, actor: Actor, place: Place) {
        let seat = &mut self.stage.seats.borrow_mut()[usize::from(actor.0)];
        seat.place = place;
        seat.last_step = Some(self.made);
        seat.fate = Fate::Well;
        self.finished.push(actor);
    }

    /// Drops what an actor was doing.
    fn drop_work(&self, index: usize) {
        let work = self.stage.seats.borrow_mut()[index].work.take();
        // Nothing is borrowed: its destructors may use the lab.
        if catch_unwind(AssertUnwindSafe(|| drop(work))).is_err() {
            let wrong = Wrong::Panicked {
                who: Some(self.stage.seats.borrow()[index].name.to_string()),
                message: panics::first().unwrap_or_default(),
            };
            self.stage.wrong.borrow_mut().get_or_insert(wrong);
        }
    }
}

impl Seat {
    /// Whether it stands for a fault that has happened.
    pub fn has_struck(&self) -> bool {
        self.of.is_some_and(|of| of.struck)
    }

    /// Whether it stands for a fault that has not been chosen.
    pub fn is_open_fault(&self) -> bool {
        self.of.is_some() && self.place == Place::Start
    }
}
