//! Telling an answer from a lock wait, by the server's own word.
//!
//! A server process that waits is stopped, and goes on when its lock was granted, one after the other; so a deadlock is
//! found by the actor that closes the cycle. The lab of services does the same (`deadheat-lab`, `run/wait`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::{Duration, Instant};

use deadheat_gate::{Batch, Gap, Ran, TxStatus};
use deadheat_sandbox::is_at_work;

use super::hall::{Hall, LIMIT, Phase};
use super::words::said;
use super::{Answer, Said};

/// A statement that has not answered after this time is asked about.
const FIRST_QUESTION: Duration = Duration::from_micros(150);
/// Between two looks at a statement that has taken that long already.
const PAUSE: Duration = Duration::from_micros(30);
/// A cycle of waiters that the server has not broken after this time will stay.
const DEADLOCK_LIMIT: Duration = Duration::from_secs(5);
/// Longest text of a statement or an answer that is shown.
const SHOWN: usize = 100;

/// Which of these server processes wait, and for which others.
const BLOCKING: &str = "select pid, pg_blocking_pids(pid) || pg_safe_snapshot_blocking_pids(pid) \
                        from unnest($1::int4[]) as asked(pid)";

impl Hall {
    /// Runs what is held on a session, until it is answered or certain to wait.
    pub async fn run(&mut self, session: u32) -> Result<Answer, String> {
        let Some(conn) = self.conns.get_mut(&session) else {
            return Ok(Answer::Gone);
        };
        match std::mem::replace(&mut conn.phase, Phase::Running) {
            Phase::Held(_, true) => conn.handle.commit_gap(),
            Phase::Held(how, false) => conn.handle.release(how),
            // Withdrawn while the step was on its way.
            other => {
                conn.phase = other;
                return Ok(Answer::Gone);
            }
        }
        let waiting = |phase: &Phase| matches!(phase, Phase::Waiting(_));
        let others = self.conns.iter().filter(|(_, conn)| waiting(&conn.phase));
        let mut asked: Vec<u32> = others.map(|(session, _)| *session).collect();
        asked.push(session);
        let started = Instant::now();
        loop {
            self.breathe().await?;
            self.hear();
            if let Some(answer) = self.take_answer(session) {
                return Ok(answer);
            }
            let lasted = started.elapsed();
            if lasted < FIRST_QUESTION {
                std::thread::yield_now();
                continue;
            }
            if let Some(by) = self.waits(session, &asked, lasted).await? {
                self.hear();
                if let Some(answer) = self.take_answer(session) {
                    return Ok(answer);
                }
                self.wait(session, started);
                return Ok(Answer::Blocked(by));
            }
            within(lasted)?;
            std::thread::sleep(PAUSE);
        }
    }

    /// Whom the session waits for, if it does for certain; it then stands still.
    async fn waits(
        &mut self,
        session: u32,
        asked: &[u32],
        lasted: Duration,
    ) -> Result<Option<Vec<u32>>, String> {
        if self.is_at_work(session) {
            return Ok(None);
        }
        let Some(pid) = self.conns.get(&session).map(|conn| conn.pid) else {
            return Ok(None);
        };
        let mut frozen = std::mem::take(&mut self.frozen);
        let asked = frozen.stop_and_ask(pid, self.blockers(asked)).await;
        self.frozen = frozen;
        let Some(waits) = asked.transpose()? else {
            return Ok(None);
        };
        let by = waits.get(&session).cloned();
        // Who closes a circle must look for it.
        if by.is_none() || chain(&waits, session).contains(&session) {
            self.frozen.thaw(pid);
            return Ok(by.filter(|_| lasted >= DEADLOCK_LIMIT));
        }
        Ok(by)
    }

    /// The statements that waited and are answered now. Those whose lock was granted go on one after the other, in the
    /// order in which they began to wait.
    pub async fn freed(&mut self) -> Result<Vec<(u32, Said)>, String> {
        let mut freed = Vec::new();
        let started = Instant::now();
        loop {
            self.breathe().await?;
            self.hear();
            let since = |phase: &Phase| match phase {
                Phase::Waiting(since) => Some(*since),
                _ => None,
            };
            let waiting = self.conns.iter();
            let mut waiting: Vec<(Instant, u32)> = waiting
                .filter_map(|(session, conn)| Some((since(&conn.phase)?, *session)))
                .collect();
            waiting.sort_unstable();
            let asked: Vec<u32> = waiting.iter().map(|(_, session)| *session).collect();
            if asked.is_empty() {
                return Ok(freed);
            }
            let waits = self.blockers(&asked).await?;
            let granted = waiting.iter().find(|(_, one)| !waits.contains_key(one));
            let Some((since, session)) = granted.copied() else {
                return Ok(freed);
            };
            if let Some(said) = self.let_go_on(session, since).await? {
                freed.push((session, said));
            }
            within(started.elapsed())?;
        }
    }

    /// Lets a statement go on whose lock was granted, until it is answered or waits for another.
    async fn let_go_on(&mut self, session: u32, since: Instant) -> Result<Option<Said>, String> {
        let Some(conn) = self.conns.get_mut(&session) else {
            return Ok(None);
        };
        conn.phase = Phase::Running;
        let pid = conn.pid;
        self.frozen.thaw(pid);
        let started = Instant::now();
        loop {
            self.breathe().await?;
            self.hear();
            match self.take_answer(session) {
                Some(Answer::Answered(said)) => return Ok(Some(said)),
                Some(_) => return Ok(None),
                None => {}
            }
            let lasted = started.elapsed();
            if lasted >= FIRST_QUESTION && self.waits(session, &[session], lasted).await?.is_some()
            {
                self.hear();
                if !matches!(self.conns.get(&session), Some(conn) if matches!(conn.phase, Phase::Answered(_)))
                {
                    self.wait(session, since);
                    return Ok(None);
                }
            }
            within(lasted)?;
            std::thread::sleep(PAUSE);
        }
    }

    fn wait(&mut self, session: u32, since: Instant) {
        if let Some(conn) = self.conns.get_mut(&session) {
            conn.phase = Phase::Waiting(since);
        }
    }

    /// The answer on a session, if it has come.
    fn take_answer(&mut self, session: u32) -> Option<Answer> {
        let Some(conn) = self.conns.get_mut(&session) else {
            return Some(Answer::Gone);
        };
        match std::mem::replace(&mut conn.phase, Phase::Running) {
            Phase::Answered(said) => {
                conn.phase = if said.commits {
                    Phase::Held(deadheat_gate::Release::default(), true)
                } else {
                    Phase::Idle
                };
                Some(Answer::Answered(said))
            }
            other => {
                conn.phase = other;
                None
            }
        }
    }

    /// Lets the client see the answer.
    pub fn deliver(&mut self, session: u32) {
        if let Some(conn) = self.conns.get(&session) {
            conn.handle.deliver();
        }
    }

    /// The server has answered.
    pub fn ran(&mut self, session: u32, ran: &Ran) {
        let Some(conn) = self.conns.get_mut(&session) else {
            return;
        };
        conn.status = ran.status;
        match conn.phase {
            Phase::Passing => {
                conn.phase = Phase::Idle;
                conn.handle.deliver();
            }
            _ => {
                conn.phase = Phase::Answered(Said {
                    text: brief(ran),
                    failed: ran.error.is_some(),
                    commits: ran.gap == Gap::Open,
                    open: ran.status != TxStatus::Idle,
                });
            }
        }
    }

    pub fn is_at_work(&self, session: u32) -> bool {
        let conn = self.conns.get(&session);
        conn.is_some_and(|conn| is_at_work(conn.pid.cast_unsigned()))
    }

    /// Which of these sessions wait for locks, and for whom.
    pub async fn blockers(&self, asked: &[u32]) -> Result<BTreeMap<u32, Vec<u32>>, String> {
        let of_session = |session: &u32| Some((self.conns.get(session)?.pid, *session));
        let pids: BTreeMap<i32, u32> = asked.iter().filter_map(of_session).collect();
        let asked: Vec<i32> = pids.keys().copied().collect();
        let rows = self.control().query(BLOCKING, &[&asked]).await;
        let mut waits = BTreeMap::new();
        for row in rows.map_err(|error| said(&error))? {
            let by: BTreeSet<i32> = row.get::<_, Vec<i32>>(1).into_iter().collect();
            let by_session = self.conns.iter().filter(|(_, conn)| by.contains(&conn.pid));
            let by_session: Vec<u32> = by_session.map(|(session, _)| *session).collect();
            if let Some(session) = pids.get(&row.get(0)).filter(|_| !by.is_empty()) {
                waits.insert(*session, by_session);
            }
        }
        Ok(waits)
    }
}

fn within(lasted: Duration) -> Result<(), String> {
    if lasted <= LIMIT {
        return Ok(());
    }
    Err(format!(
        "a statement has neither been answered nor come to wait for a lock within {} seconds",
        LIMIT.as_secs()
    ))
}

/// The sessions that `session` waits for in the end; itself if it waits in a circle.
fn chain(waits: &BTreeMap<u32, Vec<u32>>, session: u32) -> Vec<u32> {
    let mut chain = Vec::new();
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

/// What a batch executes, on one line.
pub(super) fn text(batch: &Batch) -> String {
    let mut text = String::new();
    for statement in &batch.statements {
        if !text.is_empty() {
            text.push_str("; ");
        }
        let words: Vec<&str> = statement.sql.split_whitespace().collect();
        text.push_str(words.join(" ").trim_end_matches(';'));
        if !statement.params.is_empty() {
            let params = statement.params.iter().map(deadheat_gate::Param::text);
            let params: Vec<String> = params
                .map(|value| value.unwrap_or_else(|| "NULL".to_owned()))
                .collect();
            // Writing into a string does not fail.
            let _ = write!(text, " [{}]", params.join(", "));
        }
    }
    cut(text)
}

/// The answer in a few words.
fn brief(ran: &Ran) -> String {
    if let Some(error) = &ran.error {
        return cut(format!("error {}: {}", error.code, error.message));
    }
    let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "NULL".to_owned());
    let answer = match ran.rows.as_slice() {
        [row] if row.len() == 1 => cell(&row[0]),
        [row] if row.len() > 1 => {
            let cells: Vec<String> = row.iter().map(cell).collect();
            format!("({})", cells.join(", "))
        }
        _ => ran.tags.join(", "),
    };
    cut(answer)
}

fn cut(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(at);
        text.push('…');
    }
    text
}
