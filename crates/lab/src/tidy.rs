//! What a run leaves behind in its sessions, and putting it away.

use std::time::Duration;

use deadheat_gate::{Event, TxStatus};

use crate::conn::Phase;
use crate::error::Trouble;
use crate::record::LeftOpen;
use crate::stage::{Signal, Stage, Through};

impl Stage {
    /// Leaves no transaction open and no session changed behind a run; returns what was open when all had finished.
    pub async fn tidy(&mut self, finished: bool) -> Result<Vec<LeftOpen>, Trouble> {
        self.frozen.thaw_all();
        let (mut resetting, mut closing) = (Vec::new(), Vec::new());
        let mut left_open = Vec::new();
        for (id, conn) in &mut self.conns {
            let session = std::mem::take(&mut conn.number);
            conn.passed.clear();
            let at_rest = matches!(conn.phase, Phase::Idle) && conn.status == TxStatus::Idle;
            let own = matches!(
                self.throughs.get(conn.tag as usize),
                Some(Through::Actor(_))
            );
            if at_rest && !(own && conn.stained) {
                continue;
            }
            if finished && conn.status != TxStatus::Idle {
                self.notes.left_open();
                left_open.extend(conn.owner.map(|actor| LeftOpen { actor, session }));
            }
            if own && matches!(conn.phase, Phase::Idle) {
                conn.handle.reset();
                resetting.push(*id);
            } else {
                conn.handle.close();
                closing.push(*id);
            }
        }
        let open = |stage: &Self| {
            stage.conns.iter().any(|(id, conn)| {
                let resetting = resetting.contains(id);
                (resetting && (conn.stained || conn.status != TxStatus::Idle))
                    || (!resetting && !matches!(conn.phase, Phase::Idle))
                    // Its client must not find out in the middle of the next run.
                    || closing.contains(id)
            })
        };
        let mut patience = 200;
        while open(self) && patience > 0 {
            match self.next(Duration::from_millis(5)).await? {
                Some(Signal::Gate(Event::Closed { session, reason })) => {
                    self.closed(session, &reason);
                }
                Some(Signal::Gate(event)) => self.booked(event)?,
                Some(Signal::Said(_)) => {}
                None => patience -= 1,
            }
        }
        left_open.sort_unstable();
        Ok(left_open)
    }
}
