//! Reading a game, as one of its players sees it.
//!
//! The racy way goes through the game in memory before each statement and after the last, and the game may be destroyed
//! in between. The mended way does without the memory, but its two statements may see the game before and after a
//! change. The cured way reads one snapshot.

#[cfg(test)]
mod tests;

use axum::Json;
use axum::extract::{Path, State};
use deadheat_point::point;
use serde::Serialize;

use crate::error::Error;
use crate::store::{Game, Store};
use crate::{Service, rules, store};

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
        Reading::TwoStatements => in_two_statements(&service.store, game).await?,
        Reading::OneSnapshot => in_one_snapshot(&service.store, game).await?,
    };
    Ok(Json(seen((game, modified), player, row, &seats)))
}

/// The state of a game, once it is later than `modified`.
pub async fn poll(
    State(service): State<Service>,
    Path((game, player, modified)): Path<(i32, i32, i64)>,
) -> Result<Json<Seen>, Error> {
    service.live.wait(game, modified).await;
    state(State(service), Path((game, player))).await
}

/// A game, those who play it, and its version.
type Read = (Game, Vec<rules::Seat>, i64);

/// A game that is played is asked for its connection and its version; one that is over is read like anything else.
async fn through_memory(service: &Service, game: i32) -> Result<Read, Error> {
    let Some(live) = service.live.get(game) else {
        return in_two_statements(&service.store, game).await;
    };
    let row = store::game(&live.pool()?, game).await?;
    point!(async "game_is_read");
    let seats = store::seats(&live.pool()?, game).await?;
    Ok((row, seats, live.modified()?))
}

async fn in_two_statements(store: &Store, game: i32) -> Result<Read, Error> {
    let row = store::game(&store.pool, game).await?;
    point!(async "game_is_read");
    let seats = store::seats(&store.pool, game).await?;
    let modified = row.modified;
    Ok((row, seats, modified))
}

async fn in_one_snapshot(store: &Store, game: i32) -> Result<Read, Error> {
    let mut snapshot = store.snapshot().await?;
    let row = store::game(&mut *snapshot, game).await?;
    point!(async "game_is_read");
    let seats = store::seats(&mut *snapshot, game).await?;
    snapshot.commit().await?;
    let modified = row.modified;
    Ok((row, seats, modified))
}

fn seen((id, modified): (i32, i64), player: i32, row: Game, seats: &[rules::Seat]) -> Seen {
    let complete = row.state == "complete";
    let author = row.author;
    let ready = match row.state.as_str() {
        "invitation" => seats.iter().filter(|seat| seat.picked.is_some()).count() >= rules::PICKS,
        "vote" => seats.iter().filter(|seat| seat.vote.is_some()).count() >= rules::VOTES,
        _ => false,
    };
    let players = seats
        .iter()
        .map(|seat| {
            let own = seat.player == player;
            let open = complete || own || player == author;
            Seat::new(seat, own || player == author, open)
        })
        .collect();
    let told = seats.iter().find(|seat| seat.player == author);
    Seen {
        id,
        modified,
        author,
        sentence: row.sentence,
        state: row.state,
        ready,
        board: row.board,
        card: told.filter(|_| complete).and_then(|seat| seat.picked),
        players,
    }
}

impl Seat {
    fn new(seat: &rules::Seat, hand_is_seen: bool, choices_are_seen: bool) -> Self {
        Self {
            player: seat.player,
            has_picked: seat.picked.is_some(),
            has_voted: seat.vote.is_some(),
            cards: hand_is_seen.then(|| seat.cards.clone()),
            picked: seat.picked.filter(|_| choices_are_seen),
            vote: seat.vote.filter(|_| choices_are_seen),
            won: seat.won,
        }
    }
}
