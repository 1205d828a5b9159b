//! What steps touched, and who waits for whose locks: the stage's questions to its databases about sessions.

use std::collections::BTreeMap;

use deadheat_explore::Actor;
use deadheat_gate::Ran;
use deadheat_sql::Footprint;

use crate::base::Base;
use crate::conn::{Conn, Phase, Work};
use crate::error::Trouble;
use crate::stage::Stage;

/// Who waits for whom, by session.
pub(crate) type Waits = BTreeMap<u32, Vec<u32>>;

impl Stage {
    /// What the step on `session` touched.
    pub fn work_footprint(
        &mut self,
        session: u32,
        work: &Work,
        ran: &Ran,
        actor: Actor,
    ) -> Footprint {
        let Some(conn) = self.conns.get_mut(&session) else {
            return Footprint::everything();
        };
        conn.stained |= work.outlives();
        let varies = self.learned.is_volatile(actor, work.fingerprint);
        self.bases[conn.database].work(session, work, conn.status, ran, varies)
    }

    /// What the commit of a gap on `session` touched.
    pub fn gap_commit_footprint(&mut self, session: u32, committed: bool) -> Footprint {
        let Some(conn) = self.conns.get(&session) else {
            return Footprint::everything();
        };
        let ledger = &mut self.bases[conn.database].ledger;
        if committed {
            ledger.commit(session)
        } else {
            ledger.rollback(session)
        }
    }

    /// What an attempt of `actor` on `session` touched that waits for the sessions in `chain`.
    pub fn waiting_footprint(&mut self, actor: Actor, session: u32, chain: &[u32]) -> Footprint {
        let owners: Option<Vec<Actor>> = chain
            .iter()
            .map(|session| self.conns.get(session)?.owner)
            .collect();
        let (Some(conn), Some(owners)) = (self.conns.get(&session), owners) else {
            // It waits for somebody who is no actor.
            return Footprint::everything();
        };
        match &conn.phase {
            Phase::Executing(work) => {
                self.bases[conn.database].waiting(session, work, (actor, &owners))
            }
            // A commit that waits (a deferred constraint) may wait for anything.
            _ => Footprint::everything(),
        }
    }

    /// Whether the session's server is ours, so that it can be stopped while it waits.
    pub fn can_freeze(&self, session: u32) -> bool {
        self.conns
            .get(&session)
            .is_some_and(|conn| self.bases[conn.database].ours)
    }

    /// Whether the server process of a session is seen to be at work, and so does not wait. False where it cannot be
    /// seen.
    pub fn is_at_work(&self, session: u32) -> bool {
        self.conns.get(&session).is_some_and(|conn| {
            self.can_freeze(session) && deadheat_sandbox::is_at_work(conn.pid.cast_unsigned())
        })
    }

    /// Lets a session go on.
    pub fn thaw(&mut self, session: u32) {
        if let Some(conn) = self.conns.get(&session) {
            self.frozen.thaw(conn.pid);
        }
    }

    /// Which of these sessions wait for locks, and for which other sessions. If `session`, one of them, waits, and in no
    /// circle, then it stands still from now on, where its server is ours. `None`: that could not be found out yet.
    pub async fn blockers_of(
        &mut self,
        session: u32,
        asked: &[u32],
    ) -> Result<Option<Waits>, Trouble> {
        let Some(pid) = self
            .conns
            .get(&session)
            .filter(|conn| self.bases[conn.database].ours)
            .map(|conn| conn.pid)
        else {
            return self.blockers(asked).await.map(Some);
        };
        let ask = blockers(&self.conns, &mut self.bases, asked);
        let Some(waits) = self.frozen.stop_and_ask(pid, ask).await.transpose()? else {
            return Ok(None);
        };
        // Who closes a circle must look for it.
        if !waits.contains_key(&session) || chain(&waits, session).contains(&session) {
            self.frozen.thaw(pid);
        }
        Ok(Some(waits))
    }

    /// Which of these sessions wait for locks, and for which other sessions.
    pub async fn blockers(&mut self, asked: &[u32]) -> Result<Waits, Trouble> {
        blockers(&self.conns, &mut self.bases, asked).await
    }
}

async fn blockers(
    conns: &BTreeMap<u32, Conn>,
    bases: &mut [Base],
    asked: &[u32],
) -> Result<Waits, Trouble> {
    let mut waits = Waits::new();
    for (index, base) in bases.iter_mut().enumerate() {
        let of_base = |session: &u32| {
            let conn = conns.get(session).filter(|conn| conn.database == index)?;
            Some((conn.pid, *session))
        };
        let asked: BTreeMap<i32, u32> = asked.iter().filter_map(of_base).collect();
        if asked.is_empty() {
            continue;
        }
        let pids: Vec<i32> = asked.keys().copied().collect();
        for (pid, by) in base.blocking(&pids).await? {
            let by = conns.iter().filter(|(_, conn)| by.contains(&conn.pid));
            let by: Vec<u32> = by.map(|(session, _)| *session).collect();
            if let Some(session) = asked.get(&pid).filter(|_| !by.is_empty()) {
                waits.insert(*session, by);
            }
        }
    }
    Ok(waits)
}

/// The sessions that `session` waits for, and those that they wait for in turn; itself if it waits in a circle.
pub(crate) fn chain(waits: &Waits, session: u32) -> Vec<u32> {
    let mut chain: Vec<u32> = Vec::new();
    let mut open = vec![session];
    while let Some(waiter) = open.pop() {
        for blocker in waits.get(&waiter).into_iter().flatten() {
            if !chain.contains(blocker) {
                chain.push(*blocker);
                open.push(*blocker);
            }
        }
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_in_a_circle_waits_for_himself() {
        let waits = Waits::from([(1, vec![2]), (2, vec![3]), (3, vec![1])]);
        assert!(chain(&waits, 1).contains(&1));
        let line = Waits::from([(1, vec![2]), (2, vec![3])]);
        assert_eq!(chain(&line, 1), vec![2, 3]);
    }
}
