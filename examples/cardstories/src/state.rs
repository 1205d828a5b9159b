//! Reading a game, as one of its players sees it.
//!
//! The racy way goes through the game in memory for each statement, and the game may be destroyed between two. The
//! cured way has all it needs before it begins: the service's own connection, and one snapshot for both statements.

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
    players: Vec<Player>,
}

#[derive(Serialize)]
struct Player {
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
    let (row, seats) = if service.cured {
        in_one_snapshot(&service.pool, game).await?
    } else {
        through_memory(&service, game).await?
    };
    Ok(Json(seen(game, player, &row, &seats)))
}

/// The state of a game, once it is later than `modified`.
pub async fn poll(
    State(service): State<Service>,
    Path((game, player, modified)): Path<(i32, i32, i64)>,
) -> Result<Json<Seen>, Error> {
    service.live.wait(game, modified).await;
    state(State(service), Path((game, player))).await
}

async fn in_one_snapshot(pool: &Pool, game: i32) -> Result<(Row, Vec<Row>), Error> {
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
    Ok((row, seats))
}

/// A game that is played is asked for its connection; one that is over is read like any other row.
async fn through_memory(service: &Service, game: i32) -> Result<(Row, Vec<Row>), Error> {
    let live = service.live.get(game);
    let pool = || match &live {
        Some(live) => live.pool(),
        None => Ok(service.pool.clone()),
    };
    let row = pool()?.get().await?.query_opt(GAME, &[&game]).await?;
    let row = row.ok_or(Error::NoSuchGame)?;
    let seats = pool()?.get().await?.query(SEATS, &[&game]).await?;
    Ok((row, seats))
}

fn seen(id: i32, player: i32, row: &Row, seats: &[Row]) -> Seen {
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
            Player::new(seat, own || player == author, open)
        })
        .collect();
    let told = seats
        .iter()
        .find(|seat| seat.get::<_, i32>("player") == author);
    Seen {
        id,
        modified: row.get("modified"),
        author,
        sentence: row.get("sentence"),
        state,
        ready,
        board: row.get("board"),
        card: told.filter(|_| complete).map(|seat| seat.get("picked")),
        players,
    }
}

impl Player {
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
