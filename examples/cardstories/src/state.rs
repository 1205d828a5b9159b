//! Reading a game, as one of its players sees it.
//!
//! The racy way goes through the game in memory before each statement and after the last, and the game may be destroyed
//! in between. The mended way does without the memory, but its two statements may see the game before and after a
//! change. The cured way reads one snapshot.

use axum::Json;
use axum::extract::{Path, State};
use deadpool_postgres::Pool;
use serde::Serialize;
use tokio_postgres::{IsolationLevel, Row};

use crate::error::Error;
use crate::{Service, rules};

const GAME: &str = "select author, sentence, state, board, modified from games where id = $1";
const SEATS: &str =
    "select player, cards, picked, vote, won from seats where game = $1 order by player";

/// How games are read.
#[derive(Clone, Copy)]
pub enum Reading {
    ThroughMemory,
    TwoStatements,
    OneSnapshot,
}

/// What a player may know of a game. What is hidden is left out.
#[derive(Serialize)]
pub struct Seen {
    id: i32,
    modified: i64,
    author: i32,
    sentence: String,
    state: String,
    /// Whether the author may go on.
    ready: bool,
    board: Option<Vec<i32>>,
    /// The author's card, once the game is complete.
    card: Option<i32>,
    players: Vec<Seat>,
}

#[derive(Serialize)]
struct Seat {
    player: i32,
    has_picked: bool,
    has_voted: bool,
    cards: Option<Vec<i32>>,
    picked: Option<i32>,
    vote: Option<i32>,
    won: bool,
}

/// The state of a game.
pub async fn state(
    State(service): State<Service>,
    Path((game, player)): Path<(i32, i32)>,
) -> Result<Json<Seen>, Error> {
    let (row, seats, modified) = match service.reading {
        Reading::ThroughMemory => through_memory(&service, game).await?,
        Reading::TwoStatements => in_two_statements(&service.pool, game).await?,
        Reading::OneSnapshot => in_one_snapshot(&service.pool, game).await?,
    };
    Ok(Json(seen((game, modified), player, &row, &seats)))
}

/// The state of a game, once it is later than `modified`.
pub async fn poll(
    State(service): State<Service>,
    Path((game, player, modified)): Path<(i32, i32, i64)>,
) -> Result<Json<Seen>, Error> {
    service.live.wait(game, modified).await;
    state(State(service), Path((game, player))).await
}

/// The game's row, those of its seats, and the version.
type Rows = (Row, Vec<Row>, i64);

/// A game that is played is asked for its connection and its version; one that is over is read like anything else.
async fn through_memory(service: &Service, game: i32) -> Result<Rows, Error> {
    let Some(live) = service.live.get(game) else {
        return in_two_statements(&service.pool, game).await;
    };
    let client = live.pool()?.get().await?;
    let row = client.query_opt(GAME, &[&game]).await?;
    let row = row.ok_or(Error::NoSuchGame)?;
    let client = live.pool()?.get().await?;
    let seats = client.query(SEATS, &[&game]).await?;
    Ok((row, seats, live.modified()?))
}

async fn in_two_statements(pool: &Pool, game: i32) -> Result<Rows, Error> {
    let client = pool.get().await?;
    let row = client.query_opt(GAME, &[&game]).await?;
    let row = row.ok_or(Error::NoSuchGame)?;
    let seats = client.query(SEATS, &[&game]).await?;
    let modified = row.get("modified");
    Ok((row, seats, modified))
}

async fn in_one_snapshot(pool: &Pool, game: i32) -> Result<Rows, Error> {
    let mut client = pool.get().await?;
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let row = transaction.query_opt(GAME, &[&game]).await?;
    let row = row.ok_or(Error::NoSuchGame)?;
    let seats = transaction.query(SEATS, &[&game]).await?;
    transaction.commit().await?;
    let modified = row.get("modified");
    Ok((row, seats, modified))
}

fn seen((id, modified): (i32, i64), player: i32, row: &Row, seats: &[Row]) -> Seen {
    let (author, state): (i32, String) = (row.get("author"), row.get("state"));
    let complete = state == "complete";
    let count = |column: &str| {
        let given = seats
            .iter()
            .filter(|seat| seat.get::<_, Option<i32>>(column).is_some());
        given.count()
    };
    let ready = match state.as_str() {
        "invitation" => count("picked") >= rules::PICKS,
        "vote" => count("vote") >= rules::VOTES,
        _ => false,
    };
    let players = seats
        .iter()
        .map(|seat| {
            let own = seat.get::<_, i32>("player") == player;
            let open = complete || own || player == author;
            Seat::new(seat, own || player == author, open)
        })
        .collect();
    let told = seats
        .iter()
        .find(|seat| seat.get::<_, i32>("player") == author);
    Seen {
        id,
        modified,
        author,
        sentence: row.get("sentence"),
        state,
        ready,
        board: row.get("board"),
        card: told.filter(|_| complete).map(|seat| seat.get("picked")),
        players,
    }
}

impl Seat {
    fn new(seat: &Row, hand_is_seen: bool, choices_are_seen: bool) -> Self {
        let (picked, vote): (Option<i32>, Option<i32>) = (seat.get("picked"), seat.get("vote"));
        Self {
            player: seat.get("player"),
            has_picked: picked.is_some(),
            has_voted: vote.is_some(),
            cards: hand_is_seen.then(|| seat.get("cards")),
            picked: picked.filter(|_| choices_are_seen),
            vote: vote.filter(|_| choices_are_seen),
            won: seat.get("won"),
        }
    }
}
