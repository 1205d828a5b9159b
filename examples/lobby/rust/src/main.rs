//! A game lobby: five people may ask for a seat, a game has four.
//!
//! An ordinary axum service with a pool of connections; it knows nothing of Deadheat. `LOBBY_VARIANT=racy` (the
//! default) counts the players and then adds one; `LOBBY_VARIANT=cured` locks the game first.

use std::env;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use deadpool_postgres::{Manager, Pool};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_postgres::{NoTls, Row};

const SEATS: i64 = 4;
const CONNECTIONS: usize = 5;

#[derive(Clone)]
struct Lobby {
    pool: Pool,
    /// Whether the game is locked before its players are counted.
    cured: bool,
}

#[derive(Deserialize)]
struct Joiner {
    nick: String,
}

#[derive(Serialize)]
struct Player {
    id: i32,
    nick: String,
}

#[derive(Serialize)]
struct Refusal {
    error: String,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the game is full")]
    Full,
    #[error("no such game")]
    NoSuchGame,
    #[error("no connection: {0}")]
    Pool(#[from] deadpool_postgres::PoolError),
    #[error("database: {0}")]
    Database(#[from] tokio_postgres::Error),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Full => StatusCode::CONFLICT,
            Self::NoSuchGame => StatusCode::NOT_FOUND,
            Self::Pool(_) | Self::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let error = self.to_string();
        (status, Json(Refusal { error })).into_response()
    }
}

fn player(row: &Row) -> Player {
    Player {
        id: row.get("id"),
        nick: row.get("nick"),
    }
}

async fn join(
    State(lobby): State<Lobby>,
    Path(game): Path<i32>,
    Json(joiner): Json<Joiner>,
) -> Result<(StatusCode, Json<Player>), Error> {
    let mut client = lobby.pool.get().await?;
    let transaction = client.transaction().await?;

    let find = if lobby.cured {
        "select id from games where id = $1 for update"
    } else {
        "select id from games where id = $1"
    };
    if transaction.query_opt(find, &[&game]).await?.is_none() {
        return Err(Error::NoSuchGame);
    }

    let count = "select count(*) from players where game = $1";
    let taken: i64 = transaction.query_one(count, &[&game]).await?.get(0);
    if taken >= SEATS {
        return Err(Error::Full);
    }

    let add = "insert into players (game, nick) values ($1, $2) returning id, nick";
    let row = transaction.query_one(add, &[&game, &joiner.nick]).await?;
    transaction.commit().await?;
    Ok((StatusCode::CREATED, Json(player(&row))))
}

async fn players(
    State(lobby): State<Lobby>,
    Path(game): Path<i32>,
) -> Result<Json<Vec<Player>>, Error> {
    let client = lobby.pool.get().await?;
    let list = "select id, nick from players where game = $1 order by id";
    let rows = client.query(list, &[&game]).await?;
    Ok(Json(rows.iter().map(player).collect()))
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let database: tokio_postgres::Config = env::var("DATABASE_URL")?.parse()?;
    let pool = Pool::builder(Manager::new(database, NoTls))
        .max_size(CONNECTIONS)
        .build()?;
    let cured = env::var("LOBBY_VARIANT").is_ok_and(|variant| variant == "cured");

    let routes = Router::new()
        .route("/health", get(|| async { "ok" }))
        .route("/games/{id}", get(players))
        .route("/games/{id}/players", post(join))
        .with_state(Lobby { pool, cured });
    let listener = TcpListener::bind(format!("127.0.0.1:{}", env::var("PORT")?)).await?;
    axum::serve(listener, routes).await?;
    Ok(())
}
