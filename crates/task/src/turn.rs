//! A step of a run that has a database: what is held at the gate runs, its reply is delivered, and the actor's code goes
//! on to where it has to wait for something else.
//!
//! What the database says flows in rounds. Between two of them the runtime comes to rest, so that it is known what woke
//! an actor: if it was the database, the step goes on; if it was the actor itself or a task, the step ends there, and
//! who goes on is a choice.

use deadheat_explore::Actor;

use crate::base::{Answer, Base, Said};
use crate::drive::Driver;
use crate::record::Wrong;
use crate::seat::{Held, Place, Seat};
use crate::stage::Moved;
use crate::tend::settle;

/// Rounds of a step at most.
const ROUNDS: usize = 10_000;

/// What a step began with.
pub(crate) struct Begun {
    pub from: Place,
    /// What ran at the database, and what came of it.
    pub ran: Option<(String, String)>,
}

/// Where the statement of a step has led to.
enum Gone {
    /// The actor has its reply.
    On,
    /// It waits, or its commit is still to come.
    Nowhere,
}

impl Driver<'_> {
    /// Moves the actor by a step, and everything that its step sets going.
    pub(crate) async fn turn(&mut self, actor: Actor, base: &Base) -> Begun {
        let index = usize::from(actor.0);
        self.stage.turn.set(Some(index));
        let mut begun = Begun {
            from: Place::Gate,
            ran: None,
        };
        let moved = self.take_turn(actor, base, &mut begun).await;
        self.stage.turn.set(None);
        if let Err(why) = moved {
            self.fails(why);
        }
        let seat = &mut self.stage.seats.borrow_mut()[index];
        if seat.place == Place::Await && !(seat.held.is_empty() && seat.blocked.is_empty()) {
            seat.place = Place::Gate;
        }
        begun
    }

    pub(crate) fn fails(&self, why: String) {
        let mut wrong = self.stage.wrong.borrow_mut();
        wrong.get_or_insert(Wrong::Database(why));
    }

    async fn take_turn(
        &mut self,
        actor: Actor,
        base: &Base,
        begun: &mut Begun,
    ) -> Result<(), String> {
        let index = usize::from(actor.0);
        let held = self.with(index, |seat| seat.held.pop_front());
        let mut polled = held.is_none();
        if let Some(held) = held {
            begun.from = self.with(index, |seat| {
                seat.last_step = Some(self.made);
                seat.place.clone()
            });
            if let Gone::Nowhere = self.let_go(index, base, held, begun)? {
                return self.free(base);
            }
        } else {
            begun.from = self.poll(actor);
        }
        // Whether the actor has stopped by itself: what wakes it then is a choice.
        let mut stopped = false;
        for _ in 0..ROUNDS {
            self.rest().await;
            let rung = polled && self.with(index, |seat| seat.has_rung());
            polled = false;
            match self.stage.flow()? {
                Moved::Nothing => return self.free(base),
                // A socket that connects wakes whoever waits for it: connecting is no step.
                Moved::Clients => {}
                Moved::Bytes => stopped |= rung,
            }
            settle().await;
            if !stopped && self.with(index, Self::goes_on) {
                self.poll(actor);
                polled = true;
            }
        }
        Err(Self::endless())
    }

    /// Lets the database and whoever hears from it come to rest.
    pub(crate) async fn flow_until_rest(&self) -> Result<(), String> {
        for _ in 0..ROUNDS {
            self.rest().await;
            if self.stage.flow()? == Moved::Nothing {
                return Ok(());
            }
            settle().await;
        }
        Err(Self::endless())
    }

    fn endless() -> String {
        format!("a step does not come to its end: the database was asked {ROUNDS} times")
    }

    /// Whether the database has given it what it needs to go on.
    fn goes_on(seat: &mut Seat) -> bool {
        let asks = std::mem::take(&mut seat.asks) && seat.held.is_empty() && !seat.has_ended();
        asks || seat.has_rung()
    }

    /// Lets go what was held.
    fn let_go(
        &self,
        index: usize,
        base: &Base,
        held: Held,
        begun: &mut Begun,
    ) -> Result<Gone, String> {
        let session = held.session();
        let (text, answer) = match held {
            Held::Reply { text, .. } => {
                begun.ran = Some(("has the answer".to_owned(), text));
                base.deliver(session);
                return Ok(Gone::On);
            }
            Held::Statement { text, .. } => (text, base.run(session)?),
            Held::Commit { .. } => ("commits".to_owned(), base.run(session)?.of_commit()),
        };
        match answer {
            Answer::Answered(said) => {
                let commits = said.commits;
                self.own(index, session, &said);
                begun.ran = Some((text, said.text));
                if commits {
                    let held = Held::Commit { session };
                    self.with(index, |seat| seat.held.push_front(held));
                    return Ok(Gone::Nowhere);
                }
                base.deliver(session);
                Ok(Gone::On)
            }
            Answer::Blocked(by) => {
                let by = self.names_of(&by);
                begun.ran = Some((text, format!("waits for {by}")));
                self.with(index, |seat| seat.blocked.push(session));
                Ok(Gone::Nowhere)
            }
            Answer::Gone => {
                begun.ran = Some((text, "the session is over".to_owned()));
                Ok(Gone::On)
            }
        }
    }

    /// Books the statements that have waited and are answered now.
    pub(crate) fn free(&self, base: &Base) -> Result<(), String> {
        let seats = self.stage.seats.borrow();
        if seats.iter().all(|seat| seat.blocked.is_empty()) {
            return Ok(());
        }
        drop(seats);
        for (session, said) in base.freed()? {
            let waits = |seat: &Seat| seat.blocked.contains(&session);
            let waiter = self.stage.seats.borrow().iter().position(waits);
            let Some(index) = waiter else { continue };
            self.own(index, session, &said);
            self.with(index, |seat| {
                seat.blocked.retain(|blocked| *blocked != session);
                if said.commits {
                    seat.held.push_front(Held::Commit { session });
                } else {
                    let text = said.text;
                    seat.held.push_back(Held::Reply { session, text });
                }
            });
        }
        Ok(())
    }

    /// Notes whose transaction is open on the session.
    fn own(&self, index: usize, session: u32, said: &Said) {
        let mut owners = self.stage.owners.borrow_mut();
        if said.open || said.commits {
            owners.insert(session, index);
        } else {
            owners.remove(&session);
        }
    }

    /// The names of those who own these sessions.
    fn names_of(&self, sessions: &[u32]) -> String {
        let owners = self.stage.owners.borrow();
        let seats = self.stage.seats.borrow();
        let owner = |session: &u32| owners.get(session).map(|owner| seats[*owner].name.as_ref());
        let names: Vec<&str> = sessions.iter().filter_map(owner).collect();
        if names.is_empty() {
            return "somebody who is no actor".to_owned();
        }
        names.join(", ")
    }

    fn with<T>(&self, index: usize, change: impl FnOnce(&mut Seat) -> T) -> T {
        change(&mut self.stage.seats.borrow_mut()[index])
    }
}
