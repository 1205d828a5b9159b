//! A lab that holds nothing for long: every batch is released at once and every reply delivered at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use deadheat_gate::{Batch, Door, Event, Gap, Gate, Ran, Release, Session, TxStatus, Upstream};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How batches are released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Bare,
    /// Queries and DML get a gap, what runs in a transaction gets a probe.
    Gap,
    /// Nothing is held at all: a gate that only looks.
    Watch,
}

impl Policy {
    pub const ALL: [Policy; 3] = [Policy::Bare, Policy::Gap, Policy::Watch];
}

pub struct Lab {
    pub gate: Gate,
    /// Everything that happened, for a look afterwards.
    pub seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
pub struct Seen {
    pub batches: Vec<Batch>,
    pub replies: Vec<Ran>,
    pub closed: Vec<String>,
    /// What a gate that only looks could not follow.
    pub lost: Vec<String>,
}

pub const PROBE: &str =
    "select relname, n_tup_ins from pg_catalog.pg_stat_xact_user_tables where n_tup_ins > 0";

pub async fn gate(upstream: Upstream) -> (Gate, mpsc::UnboundedReceiver<Event>) {
    gate_behind(upstream, Door::default()).await
}

async fn gate_behind(upstream: Upstream, door: Door) -> (Gate, mpsc::UnboundedReceiver<Event>) {
    let (events, receiver) = mpsc::unbounded_channel();
    (
        Gate::open(upstream, 7, events, door).await.expect("a gate"),
        receiver,
    )
}

impl Lab {
    pub async fn open(upstream: Upstream, policy: Policy) -> Lab {
        Lab::behind(upstream, policy, Door::default()).await
    }

    pub async fn behind(upstream: Upstream, policy: Policy, door: Door) -> Lab {
        if policy == Policy::Watch {
            return Lab::watching(upstream, door).await;
        }
        let (gate, events) = gate_behind(upstream, door).await;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(serve(events, policy, Arc::clone(&seen)));
        Lab { gate, seen, task }
    }

    async fn watching(upstream: Upstream, door: Door) -> Lab {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (told, events) = mpsc::unbounded_channel();
        let gate = Gate::watching(listener, upstream, told, door).expect("a gate");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(look(events, Arc::clone(&seen)));
        Lab { gate, seen, task }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(mut events: mpsc::UnboundedReceiver<deadheat_gate::Seen>, seen: Arc<Mutex<Seen>>) {
    use deadheat_gate::Seen::{Closed, Lost, Opened, Passed};
    let mut sessions: BTreeMap<u32, Session> = BTreeMap::new();
    while let Some(event) = events.recv().await {
        let mut seen = seen.lock().expect("no panic");
        match event {
            Opened { session, .. } => {
                sessions.insert(session.id(), session);
            }
            Passed {
                session,
                batch,
                reply,
                ..
            } => {
                sessions[&session].heard();
                seen.batches.push(batch);
                seen.replies.push(reply);
            }
            Lost { why, .. } => seen.lost.push(why),
            Closed { session, reason } => {
                sessions.remove(&session);
                seen.closed.push(reason);
            }
        }
    }
}

async fn serve(mut events: mpsc::UnboundedReceiver<Event>, policy: Policy, seen: Arc<Mutex<Seen>>) {
    let mut sessions: BTreeMap<u32, Session> = BTreeMap::new();
    while let Some(event) = events.recv().await {
        let mut seen = seen.lock().expect("no panic");
        match event {
            Event::Opened { session, .. } => {
                sessions.insert(session.id(), session);
            }
            Event::Arrived { session, batch } => {
                sessions[&session].release(how(policy, &batch));
                seen.batches.push(batch);
            }
            Event::Ran { session, reply } => {
                if reply.gap == Gap::Open {
                    sessions[&session].commit_gap();
                } else {
                    sessions[&session].deliver();
                }
                seen.replies.push(reply);
            }
            Event::Closed { session, reason } => {
                sessions.remove(&session);
                seen.closed.push(reason);
            }
            Event::Withdrawn { .. } | Event::Reset { .. } => {}
        }
    }
}

fn how(policy: Policy, batch: &Batch) -> Release {
    if policy == Policy::Bare {
        return Release::default();
    }
    let open = batch.status == TxStatus::Open;
    Release {
        gap: batch
            .statements
            .iter()
            .all(|statement| is_dml(&statement.sql)),
        probe: open.then(|| PROBE.into()),
        ..Release::default()
    }
}

/// Queries, DML, and what has to show that it refuses a transaction block.
fn is_dml(sql: &str) -> bool {
    const WORDS: [&str; 10] = [
        "select", "insert", "update", "delete", "with", "values", "table", "vacuum", "create",
        "copy",
    ];
    sql.split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .all(|part| {
            let word = part
                .split(|letter: char| !letter.is_ascii_alphabetic())
                .next()
                .unwrap_or_default();
            WORDS.contains(&word.to_ascii_lowercase().as_str())
        })
}
