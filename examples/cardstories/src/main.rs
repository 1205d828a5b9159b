//! A card game server: an author tells a sentence for a card, the others look for the card that was meant.
//!
//! An ordinary axum service with a pool of connections; it knows nothing of Deadheat. What is played is in memory too,
//! for those who wait for a change (long-poll). `CARDSTORIES_VARIANT` says how a game is read: `racy` (the default),
//! `mended` or `cured`; `state.rs` has the three.

mod error;
mod live;
mod play;
mod rules;
mod state;

use std::env;

use axum::Router;
use axum::routing::{get, post};
use deadpool_postgres::{Manager, Pool};
use tokio::net::TcpListener;
use tokio_postgres::NoTls;

use crate::live::{Game, Live};
use crate::state::Reading;

const CONNECTIONS: usize = 5;

#[derive(Clone)]
struct Service {
    pool: Pool,
    live: Live,
    reading: Reading,
}

impl Service {
    /// Takes up the games that are played.
    async fn load(&self) -> Result<(), error::Error> {
        let client = self.pool.get().await?;
        let played = "select id, modified from games where state <> 'complete'";
        for row in client.query(played, &[]).await? {
            let game = Game::new(self.pool.clone(), row.get("modified"));
            self.live.add(row.get("id"), game);
        }
        Ok(())
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let database: tokio_postgres::Config = env::var("DATABASE_URL")?.parse()?;
    let pool = Pool::builder(Manager::new(database, NoTls))
        .max_size(CONNECTIONS)
        .build()?;
    let reading = match env::var("CARDSTORIES_VARIANT").as_deref() {
        Ok("cured") => Reading::OneSnapshot,
        Ok("mended") => Reading::TwoStatements,
        _ => Reading::ThroughMemory,
    };
    let service = Service {
        pool,
        live: Live::default(),
        reading,
    };
    service.load().await?;

    let routes = Router::new()
        .route("/health", get(|| async { "ok" }))
        .route("/games", post(play::create))
        .route("/games/{id}/participate", post(play::participate))
        .route("/games/{id}/pick", post(play::pick))
        .route("/games/{id}/voting", post(play::voting))
        .route("/games/{id}/vote", post(play::vote))
        .route("/games/{id}/complete", post(play::complete))
        .route("/games/{id}/for/{player}", get(state::state))
        .route(
            "/games/{id}/for/{player}/after/{modified}",
            get(state::poll),
        )
        .with_state(service);
    let listener = TcpListener::bind(format!("127.0.0.1:{}", env::var("PORT")?)).await?;
    axum::serve(listener, routes).await?;
    Ok(())
}
