//! A card game server: an author tells a sentence for a card, the others look for the card that was meant.
//!
//! An ordinary axum service with a pool of connections, to PostgreSQL or to a SQLite file, as `DATABASE_URL` says. What is
//! played is in memory too, for those who wait for a change (long-poll). `CARDSTORIES_VARIANT` says how a game is read: `racy` (the default),
//! `mended` or `cured`; `state.rs` has the three.

mod error;
mod live;
mod play;
mod rules;
mod state;
mod store;

use std::env;

use axum::Router;
use axum::routing::{get, post};
use example_support::Trouble;

use crate::live::{Game, Live};
use crate::state::Reading;
use crate::store::Store;

#[derive(Clone)]
struct Service {
    store: Store,
    live: Live,
    reading: Reading,
}

impl Service {
    /// Takes up the games that are played.
    async fn load(store: Store, reading: Reading) -> Result<Self, error::Error> {
        let live = Live::default();
        for (id, modified) in store.played().await? {
            live.add(id, Game::new(store.pool.clone(), modified));
        }
        Ok(Self {
            store,
            live,
            reading,
        })
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Trouble> {
    let reading = match env::var("CARDSTORIES_VARIANT").as_deref() {
        Ok("cured") => Reading::OneSnapshot,
        Ok("mended") => Reading::TwoStatements,
        _ => Reading::ThroughMemory,
    };
    let store = Store::connect(&env::var("DATABASE_URL")?).await?;
    let service = Service::load(store, reading).await?;

    let routes = Router::new()
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
    example_support::serve(routes).await
}
