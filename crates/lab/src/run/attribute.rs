//! Whose is it? What gates and drivers report is booked on an actor, or on nobody.
//!
//! A statement belongs to the actor that runs, because only one does. Exceptions, in this order: a gate that only one
//! actor knows says who it is; a session with an open transaction stays the actor's that has done a step in it, as long
//! as that actor is at work; a statement known to come by itself (a thread that asks the database now and then) is
//! nobody's; and when stalled actors may have woken up, what each of them sent when it ran alone decides.

use std::hash::{DefaultHasher, Hash, Hasher};

use deadheat_explore::Actor;
use deadheat_gate::{Batch, Event, Release, TxStatus};

use super::{Place, Run};
use crate::conn::{Acted, Conn, Phase, Work};
use crate::driver::{CONDITION, Said};
use crate::error::Trouble;
use crate::learned::Fit;
use crate::record::Statement;
use crate::stage::{Signal, Through};

impl Run<'_> {
    /// Books one thing that was heard.
    pub fn handle(&mut self, signal: Signal) -> Result<(), Trouble> {
        match signal {
            Signal::Said(Said::Replied { actor, reply, last }) => {
                let seat = self.seat_mut(actor);
                seat.replies.push(reply);
                seat.done = last;
                seat.at_pause = !last;
                self.take_back(actor);
            }
            Signal::Said(Said::Again { actor, replies }) => {
                let told = &mut self.seat_mut(actor).replies;
                told.truncate(told.len().saturating_sub(replies));
                self.retries += 1;
                self.stage.notes.retried(self.retries);
            }
            Signal::Said(Said::Nothing { actor }) => self.seat_mut(actor).done = true,
            Signal::Gate(Event::Arrived { session, batch }) => self.arrived(session, batch)?,
            Signal::Gate(Event::Withdrawn { session }) => {
                if let Some(conn) = self.stage.conns.get_mut(&session) {
                    conn.phase = Phase::Idle;
                }
                self.forget_parked(session);
            }
            Signal::Gate(Event::Closed { session, reason }) => {
                self.forget_parked(session);
                self.stage.closed(session, &reason);
            }
            Signal::Gate(event) => self.stage.booked(event)?,
        }
        Ok(())
    }

    fn forget_parked(&mut self, session: u32) {
        for seat in &mut self.seats {
            seat.parked.retain(|held| *held != session);
        }
    }

    fn arrived(&mut self, session: u32, batch: Batch) -> Result<(), Trouble> {
        let work = self.stage.understand(session, batch)?;
        let owner = self.owner(session, &work);
        let sql = work.parsed.first().map(|(parsed, _)| parsed.sql());
        tracing::debug!(session, ?owner, ?sql, "arrived");
        let shared = work.shared();
        if let Some(actor) = owner {
            self.check_enclosing(session, &work, actor);
        }
        let incidental = shared && owner.is_some() && self.stage.is_incidental(session, &work);
        let tracked = self.stage.conn(session)?;
        // Outside a transaction a COMMIT or ROLLBACK has nothing to end.
        let idle_end = tracked.status == TxStatus::Idle && work.ends();
        if !shared || incidental || idle_end || owner.is_none() {
            if let Some(actor) = owner.filter(|_| incidental) {
                self.seat_mut(actor).last = Some(work.shape);
            }
            return self.pass(session, work, owner);
        }
        let conn = tracked;
        let Some(actor) = owner else { return Ok(()) };
        conn.belongs_to(actor);
        let (shape, exact) = (work.shape, work.exact);
        conn.phase = Phase::Held(work);
        let seat = self.seat_mut(actor);
        let before = seat.last.replace(shape);
        seat.parked.push_back(session);
        if seat.place == Place::Finished {
            // It was not at its end after all.
            seat.place = Place::Ready;
        }
        if self.learning {
            self.stage.learned.sent(actor, before, shape, exact);
        }
        Ok(())
    }

    /// Lets a batch through that is no step.
    fn pass(&mut self, session: u32, work: Work, owner: Option<Actor>) -> Result<(), Trouble> {
        if owner.is_none() {
            self.stage.note_background(session, &work);
        }
        let conn = self.stage.conn(session)?;
        if let Some(actor) = owner {
            let own = |statement: &Statement| !statement.sql.starts_with(CONDITION);
            if !work.shared() {
                conn.passed
                    .extend(work.statements().into_iter().filter(own));
            }
            conn.belongs_to(actor);
        }
        conn.stained |= work.outlives();
        conn.release(&work, Release::default());
        conn.phase = Phase::Passing { work };
        Ok(())
    }

    /// The actor that a batch belongs to; `None` for one that came by itself.
    fn owner(&self, session: u32, work: &Work) -> Option<Actor> {
        let conn: &Conn = self.stage.conns.get(&session)?;
        if conn.foreign {
            return None;
        }
        if let Through::Actor(actor) = self.stage.through(conn.tag) {
            return Some(actor);
        }
        let holder = conn.owner.filter(|_| conn.status != TxStatus::Idle);
        if let Some(actor) =
            holder.filter(|actor| conn.acted != Acted::Nobody && !self.seat(*actor).done)
        {
            return Some(actor);
        }
        if self.stage.learned.is_background(work.shape) {
            return None;
        }
        let fit = |actor: Actor| {
            let last = self.seat(actor).last;
            let known = self.cast.original(actor);
            self.stage.learned.fit(known, last, work.shape, work.exact)
        };
        let stalled: Vec<Actor> = self
            .actors()
            .filter(|actor| matches!(self.seat(*actor).place, Place::Stalled { .. }))
            .filter(|actor| self.seat(*actor).parked.is_empty() && !self.seat(*actor).done)
            .collect();
        let current = self
            .current
            .filter(|actor| self.cast.through_service(*actor));
        let (gone, holder): (Vec<Actor>, Vec<Actor>) = holder
            .into_iter()
            .partition(|actor| self.seat(*actor).place == Place::Finished);
        // Who has left a transaction open sends something in it only if that is what comes next.
        let late = gone
            .iter()
            .copied()
            .filter(|actor| fit(*actor) >= Fit::Here);
        // The first of equals wins: whose transaction it is, the one that runs, those that stalled earlier.
        let candidates = holder.into_iter().chain(current).chain(stalled).chain(late);
        let mut best: Option<(Actor, Fit)> = None;
        for actor in candidates {
            let fit = fit(actor);
            if best.is_none_or(|(_, best)| fit > best) {
                best = Some((actor, fit));
            }
        }
        best.map(|(actor, _)| actor).or(gone.first().copied())
    }
}

/// Hash of anything, the same in every process of one build.
pub(crate) fn hash_of(value: &impl Hash) -> u64 {
    let mut hash = DefaultHasher::new();
    value.hash(&mut hash);
    hash.finish()
}

/// One fingerprint for several statements. It is saved with races and must be the same in every build: FNV-1a.
pub(crate) fn joined(fingerprints: &[u64]) -> u64 {
    fingerprints
        .iter()
        .flat_map(|one| one.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_race_saved_by_another_build_is_known_again() {
        assert_eq!(joined(&[]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(joined(&[0x61]), 0x6926_124a_7b14_33c4);
        assert_ne!(joined(&[1, 2]), joined(&[2, 1]));
    }
}
