//! What the tests share: a PostgreSQL server, a client that speaks bytes, a lab that lets everything go.
#![allow(
    dead_code,
    unused_imports,
    reason = "every test file uses a part of it"
)]

pub mod hand;
pub mod lab;
pub mod script;
pub mod server;
pub mod wire;

use std::time::Duration;

pub use lab::{Lab, Policy, gate};
pub use server::Server;
pub use wire::*;

/// What does not come in half a minute does not come at all.
pub async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work)
        .await
        .expect("an answer in time")
}
