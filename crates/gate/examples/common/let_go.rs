//! A lab that holds nothing back.

use std::collections::BTreeMap;

use deadheat_gate::{Batch, Event, Gap, Release, Session};
use tokio::sync::mpsc;

/// Releases every batch and delivers every reply at once; queries and DML get a gap if there are to be any.
pub async fn let_go(mut events: mpsc::UnboundedReceiver<Event>, gap: bool) {
    let mut sessions: BTreeMap<u32, Session> = BTreeMap::new();
    while let Some(event) = events.recv().await {
        match event {
            Event::Opened { session, .. } => {
                sessions.insert(session.id(), session);
            }
            Event::Arrived { session, batch } => {
                sessions[&session].release(Release {
                    gap: gap && is_dml(&batch),
                    ..Release::default()
                });
            }
            Event::Ran { session, reply } if reply.gap == Gap::Open => {
                sessions[&session].commit_gap();
            }
            Event::Ran { session, .. } => sessions[&session].deliver(),
            Event::Closed { session, .. } => {
                sessions.remove(&session);
            }
            Event::Withdrawn { .. } | Event::Reset { .. } => {}
        }
    }
}

fn is_dml(batch: &Batch) -> bool {
    let mut parts = batch
        .statements
        .iter()
        .flat_map(|statement| statement.sql.split(';'))
        .map(str::trim);
    parts.all(|part| {
        let word = part
            .split(|letter: char| !letter.is_ascii_alphabetic())
            .next()
            .unwrap_or_default();
        matches!(
            word.to_ascii_lowercase().as_str(),
            "" | "select" | "insert" | "update" | "delete" | "with" | "values" | "table"
        )
    })
}
