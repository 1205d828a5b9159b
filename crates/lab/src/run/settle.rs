//! Waiting for the actor that runs to come to its next stop: parked, finished, or stalled.

use std::time::{Duration, Instant};

use deadheat_explore::Actor;
use deadheat_gate::{Gate, TxStatus};
use deadheat_sandbox::Look;

use super::{Place, Run, STEP_LIMIT};
use crate::conn::{Conn, Phase};
use crate::error::Trouble;
use crate::stage::Signal;

/// Time between two looks at processes that are expected to be done.
const SHORT_GAP: Duration = Duration::from_micros(300);
/// Time between two looks at processes that may be stalled.
const LONG_GAP: Duration = Duration::from_millis(1);
/// Looks in a row that found all threads asleep since the look before, after which an actor that has its reply counts
/// as finished.
const LOOKS_WHEN_DONE: u32 = 1;
/// Still looks in a row after which an actor that neither parked nor finished counts as stalled, when another actor is
/// on its way that may hold what it waits for.
const LOOKS_WHEN_STALLED: u32 = 12;
/// The same when no other actor is: then it probably waits for the clock, or for a process that is none of ours.
const LOOKS_WHEN_ALONE: u32 = 500;
/// Looks in a row, nearly all of which found every thread asleep, after which such an actor counts as stalled although
/// something wakes up now and then: most servers have a thread that does, twice a second or more often.
const LOOKS_WHEN_DOZING: u32 = 2000;
/// Still looks in a row after which no stalled actor is expected to have been set free: nobody waits for its statement,
/// which may be under way to a gate that has no CPU.
const LOOKS_WHEN_FREED: u32 = 12;
/// Still looks in a row after which a service is at rest that has something ready, or is.
const LOOKS_AT_REST: u32 = 3;
/// How long stalled actors are waited for when no other can move, and services until they rest.
const LAST_CHANCE: Duration = Duration::from_secs(2);

/// Where the actor stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Parked,
    Finished,
    Stalled,
}

/// Counts equal looks.
#[derive(Default)]
struct Stillness {
    last: Option<Vec<Look>>,
    equal: u32,
    looks: u32,
    awake: u32,
}

impl Stillness {
    /// Something was heard: what was seen before says nothing.
    fn disturb(&mut self) {
        *self = Self::default();
    }

    /// Takes a look into account; returns how many in a row were equal, with every thread asleep.
    fn seen(&mut self, look: Vec<Look>) -> u32 {
        let asleep = look.iter().all(|look| look.asleep);
        self.equal = match &self.last {
            Some(last) if asleep && *last == look => self.equal + 1,
            _ => u32::from(asleep),
        };
        self.last = Some(look);
        self.looks += 1;
        self.awake += u32::from(!asleep);
        self.equal
    }

    /// Whether nothing but short awakenings were seen for long.
    fn is_dozing(&self) -> bool {
        self.looks >= LOOKS_WHEN_DOZING && self.awake * 10 <= self.looks
    }
}

impl Run<'_> {
    /// Waits until `actor` has stopped, and notes where.
    pub async fn settle(&mut self, actor: Actor) -> Result<Settled, Trouble> {
        let started = Instant::now();
        let watched = self.cast.watched(actor);
        let mut still = Stillness::default();
        loop {
            let seat = self.seat(actor);
            // Two statements held at once: part of the actor may still be running.
            if seat.parked.len() == 1 || (!watched && !seat.parked.is_empty()) {
                return Ok(self.settled(actor, Settled::Parked));
            }
            if seat.at_pause && (!watched || seat.replies.is_empty()) {
                self.go_on(actor);
                continue;
            }
            if seat.done && !watched {
                return Ok(self.settled(actor, Settled::Finished));
            }
            let expected = seat.done || seat.at_pause || !seat.parked.is_empty();
            let others = self.others_are_on_their_way(actor);
            let (gap, needed) = if expected && !(others && self.left_a_transaction_open(actor)) {
                (SHORT_GAP, LOOKS_WHEN_DONE)
            } else if others {
                (LONG_GAP, LOOKS_WHEN_STALLED)
            } else {
                (LONG_GAP, LOOKS_WHEN_ALONE)
            };
            if let Some(signal) = self.stage.next(gap).await? {
                still.disturb();
                self.handle(signal)?;
            } else if watched && (self.still(&mut still) >= needed || still.is_dozing()) {
                let seat = self.seat(actor);
                if !seat.parked.is_empty() {
                    return Ok(self.settled(actor, Settled::Parked));
                }
                if expected && self.is_to_be_committed(actor) {
                    still.disturb();
                    continue;
                }
                let seat = self.seat(actor);
                if seat.done {
                    return Ok(self.settled(actor, Settled::Finished));
                }
                if !seat.at_pause {
                    let name = self.name(actor).to_owned();
                    self.stage.notes.has_stalled(&name);
                    return Ok(Settled::Stalled);
                }
                still.disturb();
                self.go_on(actor);
            }
            if started.elapsed() > STEP_LIMIT {
                return Err(Trouble::NeverSettles {
                    actor: self.name(actor).to_owned(),
                    seconds: STEP_LIMIT.as_secs(),
                });
            }
        }
    }

    /// Whether all replies of the actor have come, and a transaction is still open that counts as its own. That is probably of
    /// another, who waited for its connection, and what comes next in it may be under way.
    fn left_a_transaction_open(&self, actor: Actor) -> bool {
        let mut conns = self.stage.conns.values();
        let open = |conn: &Conn| conn.owner == Some(actor) && conn.status != TxStatus::Idle;
        self.seat(actor).done && conns.any(open)
    }

    fn others_are_on_their_way(&self, actor: Actor) -> bool {
        self.actors().any(|other| {
            let place = &self.seat(other).place;
            other != actor && !matches!(place, Place::NotStarted | Place::Finished)
        })
    }

    /// Waits until nothing moves in the services, of which one may have been started again, with gates of these tags. Those
    /// that never rest are taken as they are.
    pub async fn rest(&mut self, tags: &[u32]) -> Result<(), Trouble> {
        let started = Instant::now();
        let mut still = Stillness::default();
        while started.elapsed() < LAST_CHANCE {
            match self.stage.next(LONG_GAP).await? {
                Some(Signal::Gate(event)) => {
                    still.disturb();
                    self.pass_start(event, tags)?;
                }
                Some(said) => self.handle(said)?,
                None if self.still(&mut still) >= LOOKS_AT_REST => break,
                None => {}
            }
        }
        Ok(())
    }

    /// No actor can move, but some have stalled: waits whether time moves one of them.
    pub async fn last_chance(&mut self) -> Result<(), Trouble> {
        let started = Instant::now();
        while !self.stalled().is_empty() && started.elapsed() < LAST_CHANCE {
            if let Some(signal) = self.stage.next(LONG_GAP).await? {
                self.handle(signal)?;
            }
            if !self.set_free(None).await?.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// The stalled actors that something has set free; each has come to its next stop.
    pub async fn unstalled(&mut self, mover: Actor) -> Result<Vec<Actor>, Trouble> {
        if self.stalled().iter().all(|actor| *actor == mover) {
            return Ok(Vec::new());
        }
        let started = Instant::now();
        let mut still = Stillness::default();
        loop {
            if let Some(signal) = self.stage.next(SHORT_GAP).await? {
                still.disturb();
                self.handle(signal)?;
            } else if self.still(&mut still) >= LOOKS_WHEN_FREED {
                break;
            }
            if started.elapsed() > STEP_LIMIT {
                return Err(Trouble::NeverSettles {
                    actor: self.name(mover).to_owned(),
                    seconds: STEP_LIMIT.as_secs(),
                });
            }
        }
        self.set_free(Some(mover)).await
    }

    fn stalled(&self) -> Vec<Actor> {
        let stalled = |actor: &Actor| matches!(self.seat(*actor).place, Place::Stalled { .. });
        self.actors().filter(stalled).collect()
    }

    /// Takes the stalled actors up again that have something to do, but not `mover`; each comes to its next stop.
    async fn set_free(&mut self, mover: Option<Actor>) -> Result<Vec<Actor>, Trouble> {
        let mut free = Vec::new();
        for actor in self.stalled() {
            if Some(actor) == mover {
                continue;
            }
            let seat = self.seat(actor);
            if !seat.parked.is_empty() || seat.done || seat.at_pause {
                self.current = Some(actor);
                let stalled = std::mem::replace(&mut self.seat_mut(actor).place, Place::Ready);
                if self.settle(actor).await? == Settled::Stalled {
                    self.seat_mut(actor).place = stalled;
                } else {
                    free.push(actor);
                }
            }
        }
        Ok(free)
    }

    /// Takes a look; how many in a row found that nothing moves, neither a process nor the server for one.
    fn still(&self, still: &mut Stillness) -> u32 {
        let passing = |conn: &Conn| matches!(conn.phase, Phase::Passing { .. });
        if self.gates.iter().any(Gate::busy) || self.stage.conns.values().any(passing) {
            still.disturb();
            return 0;
        }
        still.seen(self.stage.look(&self.seats))
    }

    fn settled(&mut self, actor: Actor, settled: Settled) -> Settled {
        self.seat_mut(actor).place = match settled {
            Settled::Finished => Place::Finished,
            Settled::Parked | Settled::Stalled => Place::Ready,
        };
        settled
    }

    /// Tells the actor's driver to do its next thing.
    fn go_on(&mut self, actor: Actor) {
        let seat = self.seat_mut(actor);
        seat.at_pause = false;
        if let Some(driver) = &seat.driver {
            driver.go();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(asleep: bool, stamp: u64) -> Vec<Look> {
        vec![Look {
            asleep,
            stamp,
            processes: 1,
        }]
    }

    #[test]
    fn a_server_that_wakes_up_twice_a_second_is_dozing_and_never_still() {
        let mut still = Stillness::default();
        for at in 0..LOOKS_WHEN_DOZING {
            assert!(!still.is_dozing());
            let stamp = u64::from(at / 400);
            assert!(still.seen(look(at % 400 != 0, stamp)) < LOOKS_WHEN_ALONE);
        }
        assert!(still.is_dozing());
        still.disturb();
        assert!(!still.is_dozing());
    }

    #[test]
    fn a_service_that_computes_is_not_dozing() {
        let mut still = Stillness::default();
        for at in 0..2 * LOOKS_WHEN_DOZING {
            still.seen(look(at % 5 != 0, u64::from(at)));
        }
        assert!(!still.is_dozing());
    }
}
