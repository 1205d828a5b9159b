//! A game lobby: five people may ask for a seat, a game has four. The game is in memory, as an actor.
//!
//! An ordinary axum service with an actor of deadheat-cure. `LOBBY_VARIANT=racy` (the default) asks it how many seats are
//! taken and then takes one; `LOBBY_VARIANT=cured` lets it do both.

mod game;

use std::env;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use deadheat_cure::actor::Address;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::game::{Game, Players, Refused};

#[derive(Clone)]
struct Lobby {
    game: Address<Game>,
    cured: bool,
}

#[derive(Deserialize)]
struct Joiner {
    nick: String,
}

#[derive(Serialize)]
struct Refusal {
    error: String,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Full => StatusCode::CONFLICT,
            Self::Call(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let error = self.to_string();
        (status, Json(Refusal { error })).into_response()
    }
}

async fn join(
    State(lobby): State<Lobby>,
    Json(joiner): Json<Joiner>,
) -> Result<StatusCode, Refused> {
    if lobby.cured {
        game::join(lobby.game, joiner.nick).await?;
    } else {
        game::join_in_two_messages(lobby.game, joiner.nick).await?;
    }
    Ok(StatusCode::CREATED)
}

async fn players(State(lobby): State<Lobby>) -> Result<Json<Vec<String>>, Refused> {
    Ok(Json(lobby.game.call(Players).await?))
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cured = env::var("LOBBY_VARIANT").is_ok_and(|variant| variant == "cured");
    let game = game::start(Vec::new());
    let routes = Router::new()
        .route("/health", get(|| async { "ok" }))
        .route("/players", get(players).post(join))
        .with_state(Lobby { game, cured });
    let listener = TcpListener::bind(format!("127.0.0.1:{}", env::var("PORT")?)).await?;
    axum::serve(listener, routes).await?;
    Ok(())
}
