//! What steps touched, and who waits for whose locks: the stage's questions to its databases about sessions.

use deadheat_explore::Actor;
use deadheat_gate::Ran;
use deadheat_sql::Footprint;

use crate::conn::{Phase, Work};
use crate::error::Trouble;
use crate::stage::Stage;

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

    /// Keeps a session that waits from going on by itself, where its server is ours.
    pub fn freeze(&mut self, session: u32) {
        if let Some(conn) = self.conns.get(&session)
            && self.can_freeze(session)
        {
            self.frozen.freeze(conn.pid);
        }
    }

    /// Lets a session go on.
    pub fn thaw(&mut self, session: u32) {
        if let Some(conn) = self.conns.get(&session) {
            self.frozen.thaw(conn.pid);
        }
    }

    /// Which of these sessions wait for locks, and for which other sessions.
    pub async fn blockers(&mut self, sessions: &[u32]) -> Result<Vec<(u32, Vec<u32>)>, Trouble> {
        let mut waits = Vec::new();
        for index in 0..self.bases.len() {
            let asked: Vec<(u32, i32)> = sessions
                .iter()
                .filter_map(|session| Some((*session, self.conns.get(session)?)))
                .filter(|(_, conn)| conn.database == index)
                .map(|(session, conn)| (session, conn.pid))
                .collect();
            if asked.is_empty() {
                continue;
            }
            let pids: Vec<i32> = asked.iter().map(|(_, pid)| *pid).collect();
            for (pid, by) in self.bases[index].blocking(&pids).await? {
                let by: Vec<u32> = self
                    .conns
                    .iter()
                    .filter(|(_, conn)| by.contains(&conn.pid))
                    .map(|(session, _)| *session)
                    .collect();
                let waiter = asked.iter().find(|(_, asked)| *asked == pid);
                if let Some((session, _)) = waiter.filter(|_| !by.is_empty()) {
                    waits.push((*session, by));
                }
            }
        }
        Ok(waits)
    }
}
