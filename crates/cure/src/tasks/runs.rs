//! The loop of a worker: claims, runs, renews, and what becomes of each task.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::claim::renew_all;
use super::handler::{Job, Kind};
use super::worker::Shared;
use super::{Claim, Error, Failed, Failure, claim};
use crate::Pool;
use crate::retry::{self, jittered};

/// Tasks under way, and those that wait to be begun.
pub(crate) struct Runs<H> {
    shared: Arc<Shared<H>>,
    wake: Arc<Notify>,
    ahead: VecDeque<Claim>,
    set: JoinSet<bool>,
    under_way: BTreeMap<Id, (Claim, AbortHandle)>,
    completed: usize,
    renewal: Instant,
}

/// What a worker waits for.
enum Event {
    Ended(Result<(Id, bool), JoinError>),
    Renewal,
}

impl<H: Send + Sync + 'static> Runs<H> {
    pub(crate) fn new(shared: Arc<Shared<H>>, wake: Arc<Notify>) -> Self {
        let renewal = Instant::now() + shared.lease / 3;
        Self {
            shared,
            wake,
            ahead: VecDeque::new(),
            set: JoinSet::new(),
            under_way: BTreeMap::new(),
            completed: 0,
            renewal,
        }
    }

    /// Works until it is told to stop.
    pub(crate) async fn serve(mut self, mut stopped: watch::Receiver<Option<Duration>>) {
        let mut look = Instant::now();
        loop {
            if Instant::now() >= look && self.has_room() {
                look = match self.fill().await {
                    // There may be more.
                    Ok(true) => Instant::now(),
                    Ok(false) => Instant::now() + self.shared.poll,
                    Err(error) => {
                        tracing::warn!(%error, "no tasks could be claimed");
                        Instant::now() + self.shared.poll
                    }
                };
            }
            let wake = Arc::clone(&self.wake);
            let room = self.has_room();
            // Nothing is done within the branches that are dropped when another is faster.
            let event = tokio::select! {
                _ = stopped.changed() => break,
                event = self.event() => event,
                () = wake.notified() => {
                    look = Instant::now();
                    continue;
                }
                () = sleep_until(look), if room => continue,
            };
            self.follow(event).await;
        }
        let grace = *stopped.borrow();
        self.stop(grace.unwrap_or_default()).await;
    }

    /// Works until nothing is due.
    pub(crate) async fn drain(mut self) -> Result<usize, Error> {
        loop {
            if self.has_room() {
                self.fill().await?;
            }
            if self.under_way.is_empty() {
                return Ok(self.completed);
            }
            let event = self.event().await;
            self.follow(event).await;
        }
    }

    fn has_room(&self) -> bool {
        self.ahead.is_empty() && self.under_way.len() < self.shared.concurrency
    }

    /// Claims as many as there is room for, and begins them; whether all room was used.
    async fn fill(&mut self) -> Result<bool, Error> {
        let shared = Arc::clone(&self.shared);
        let room = shared.concurrency - self.under_way.len() + shared.ahead;
        let kinds: Vec<&str> = shared.calls.keys().map(String::as_str).collect();
        let client = shared.pool.get().await;
        let client = client.map_err(|error| Error::Transaction(error.into()))?;
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        let claimed = claim(&client, &shared.queue, Some(&kinds), room, shared.lease).await?;
        let full = claimed.len() == room as usize;
        self.ahead.extend(claimed);
        self.begin();
        Ok(full)
    }

    /// Begins what is claimed, as far as there is room.
    fn begin(&mut self) {
        while self.under_way.len() < self.shared.concurrency
            && let Some(claim) = self.ahead.pop_front()
        {
            let run = run(Arc::clone(&self.shared), claim.clone());
            let handle = self.set.spawn(run);
            self.under_way.insert(handle.id(), (claim, handle));
        }
    }

    /// Waits for a task to end, or for the next renewal.
    async fn event(&mut self) -> Event {
        let renewal = self.renewal;
        tokio::select! {
            Some(ended) = self.set.join_next_with_id() => Event::Ended(ended),
            () = sleep_until(renewal) => Event::Renewal,
        }
    }

    async fn follow(&mut self, event: Event) {
        match event {
            Event::Ended(ended) => self.ended(ended).await,
            Event::Renewal => self.renew().await,
        }
    }

    async fn ended(&mut self, ended: Result<(Id, bool), JoinError>) {
        match ended {
            Ok((id, completed)) => {
                self.under_way.remove(&id);
                self.completed += usize::from(completed);
            }
            Err(error) => {
                let Some((claim, _)) = self.under_way.remove(&error.id()) else {
                    return;
                };
                if error.is_panic() {
                    failed(&self.shared, &claim, "its handler panicked", false).await;
                }
            }
        }
        self.begin();
    }

    /// Renews all leases, and drops what is lost.
    async fn renew(&mut self) {
        self.renewal = Instant::now() + self.shared.lease / 3;
        let under_way = self.under_way.values().map(|(claim, _)| claim);
        let claims: Vec<(i64, i64)> = under_way
            .chain(&self.ahead)
            .map(|claim| (claim.task(), claim.fence()))
            .collect();
        if claims.is_empty() {
            return;
        }
        let kept = match renewed(&self.shared.pool, &claims, self.shared.lease).await {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(%error, "the leases of tasks could not be renewed");
                return;
            }
        };
        self.ahead.retain(|claim| kept.contains(&claim.task()));
        for (claim, handle) in self.under_way.values() {
            if !kept.contains(&claim.task()) && !handle.is_finished() {
                tracing::warn!(
                    task = claim.task(),
                    kind = claim.kind(),
                    "a task was lost to another worker"
                );
                handle.abort();
            }
        }
    }

    /// Gives back what was not begun, waits for the rest, gives back what is not done in time.
    async fn stop(&mut self, grace: Duration) {
        let not_begun: Vec<Claim> = self.ahead.drain(..).collect();
        self.give_back(not_begun).await;
        let mut late = std::pin::pin!(sleep(grace));
        while !self.under_way.is_empty() {
            let event = tokio::select! {
                () = &mut late => break,
                event = self.event() => event,
            };
            self.follow(event).await;
        }
        let not_done: Vec<Claim> = self
            .under_way
            .values()
            .map(|(claim, _)| claim.clone())
            .collect();
        // Ended, too: their transactions are being rolled back when they are given back.
        self.set.shutdown().await;
        self.give_back(not_done).await;
    }

    async fn give_back(&self, claims: Vec<Claim>) {
        for claim in claims {
            match claim.give_back(&self.shared.pool).await {
                Ok(_) | Err(Error::Lost { .. }) => {}
                Err(error) => {
                    tracing::warn!(%error, task = claim.task(), "a task could not be given back; its lease runs out");
                }
            }
        }
    }
}

async fn renewed(pool: &Pool, claims: &[(i64, i64)], lease: Duration) -> Result<Vec<i64>, Error> {
    let client = pool.get().await;
    let client = client.map_err(|error| Error::Transaction(error.into()))?;
    Ok(renew_all(&client, claims, lease).await?)
}

/// Does a task; whether it was completed.
async fn run<H>(shared: Arc<Shared<H>>, claim: Claim) -> bool {
    let Some(call) = shared.calls.get(claim.kind()) else {
        return false;
    };
    let job = Job::of(&claim);
    let (handler, claimed, job) = (&shared.handler, &claim, &job);
    let done = retry::transaction(&shared.pool, &shared.policy, |tx, _| async move {
        call(handler, claimed.json(), &tx, job).await?;
        claimed.complete(&tx).await.map_err(Failure::of_claim)
    });
    let error = match done.await {
        Ok(()) => return true,
        Err(error) => error,
    };
    match error {
        retry::Error::Failed { error, .. } if error.kind == Kind::Lost => {
            tracing::warn!(
                task = claim.task(),
                kind = claim.kind(),
                "a task was lost to another worker"
            );
        }
        retry::Error::Failed { error, .. } => {
            let for_good = error.kind == Kind::ForGood;
            failed(&shared, &claim, &error.to_string(), for_good).await;
        }
        // Done or not, as is its completion: if it was not, its lease runs out.
        retry::Error::CommitUnknown { source } => {
            tracing::warn!(%source, task = claim.task(), "a task may have been completed");
        }
        error => failed(&shared, &claim, &error.to_string(), false).await,
    }
    false
}

/// Says that a task failed.
async fn failed<H>(shared: &Shared<H>, claim: &Claim, why: &str, for_good: bool) {
    let said = if for_good {
        claim.bury(&shared.pool, why).await
    } else {
        let (base, cap) = shared.pause;
        let pause = jittered(base, cap, claim.attempt());
        claim.fail(&shared.pool, why, pause).await
    };
    let (task, kind) = (claim.task(), claim.kind());
    match said {
        Ok(Failed::Waits) => tracing::info!(task, kind, why, "a task failed, and waits"),
        Ok(Failed::Superseded) => {
            tracing::info!(task, kind, why, "a task failed; another stands for it");
        }
        Ok(Failed::Dead) => tracing::error!(task, kind, why, "a task is dead"),
        Err(Error::Lost { .. }) => tracing::warn!(task, kind, "a task was lost to another worker"),
        Err(error) => tracing::warn!(%error, task, kind, "a failed task keeps its lease"),
    }
}
