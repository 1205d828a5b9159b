//! What the players do. Each change is one transaction that begins by locking the game's row, so that changes of one
//! game happen one after the other; those who wait for it are told afterwards.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use deadpool_postgres::{Client, Transaction};
use serde::{Deserialize, Serialize};

use crate::Service;
use crate::error::Error;
use crate::live::Game;
use crate::rules;

#[derive(Deserialize)]
pub struct Telling {
    author: i32,
    card: i32,
    sentence: String,
}

#[derive(Deserialize)]
pub struct Who {
    player: i32,
}

#[derive(Deserialize)]
pub struct Choice {
    player: i32,
    card: i32,
}

#[derive(Serialize)]
pub struct Created {
    game: i32,
}

#[derive(Serialize)]
pub struct Dealt {
    cards: Vec<i32>,
}

#[derive(Serialize)]
pub struct Changed {
    modified: i64,
}

#[derive(Serialize)]
pub struct Completed {
    winners: Vec<i32>,
}

/// The row of a game, locked until the end of the transaction.
struct Locked {
    author: i32,
    state: String,
}

impl Locked {
    fn only_in(&self, state: &str, otherwise: &'static str) -> Result<(), Error> {
        refuse_unless(self.state == state, otherwise)
    }

    fn only_for_its_author(&self, player: i32) -> Result<(), Error> {
        refuse_unless(self.author == player, "only its author may do this")
    }
}

fn refuse_unless(holds: bool, otherwise: &'static str) -> Result<(), Error> {
    if holds {
        Ok(())
    } else {
        Err(Error::Refused(otherwise))
    }
}

async fn lock(transaction: &Transaction<'_>, game: i32) -> Result<Locked, Error> {
    let find = "select author, state from games where id = $1 for update";
    let row = transaction.query_opt(find, &[&game]).await?;
    let row = row.ok_or(Error::NoSuchGame)?;
    Ok(Locked {
        author: row.get("author"),
        state: row.get("state"),
    })
}

/// Commits a change, with a new version of the game.
async fn commit(transaction: Transaction<'_>, game: i32) -> Result<i64, Error> {
    let next = "update games set modified = modified + 1 where id = $1 returning modified";
    let modified = transaction.query_one(next, &[&game]).await?.get("modified");
    transaction.commit().await?;
    Ok(modified)
}

pub async fn create(
    State(service): State<Service>,
    Json(telling): Json<Telling>,
) -> Result<(StatusCode, Json<Created>), Error> {
    let Telling {
        author,
        card,
        sentence,
    } = telling;
    let known = (1..=rules::CARDS).contains(&card);
    refuse_unless(known, "there is no such card")?;
    refuse_unless(!sentence.is_empty(), "a sentence is missing")?;
    let mut client: Client = service.pool.get().await?;
    let transaction = client.transaction().await?;
    let add = "insert into games (author, sentence, deck)
        select $1, $2, array_agg(card order by random())
        from generate_series(1, $3::integer) as card where card <> $4
        returning id, modified";
    let row = transaction
        .query_one(add, &[&author, &sentence, &rules::CARDS, &card])
        .await?;
    let (game, modified) = (row.get("id"), row.get("modified"));
    let sit =
        "insert into seats (game, player, cards, picked) values ($1, $2, array[$3::integer], $3)";
    transaction.execute(sit, &[&game, &author, &card]).await?;
    transaction.commit().await?;
    service
        .live
        .add(game, Game::new(service.pool.clone(), modified));
    Ok((StatusCode::CREATED, Json(Created { game })))
}

pub async fn participate(
    State(service): State<Service>,
    Path(game): Path<i32>,
    Json(Who { player }): Json<Who>,
) -> Result<Json<Dealt>, Error> {
    let mut client = service.pool.get().await?;
    let transaction = client.transaction().await?;
    let found = lock(&transaction, game).await?;
    found.only_in("invitation", "the game has begun")?;
    let list = "select player from seats where game = $1";
    let seated = transaction.query(list, &[&game]).await?;
    refuse_unless(seated.len() < rules::SEATS, "no seat is free")?;
    let stranger = seated
        .iter()
        .all(|row| row.get::<_, i32>("player") != player);
    refuse_unless(stranger, "you have a seat")?;
    let deal = "insert into seats (game, player, cards)
        select id, $2, deck[1:$3] from games where id = $1 returning cards";
    let row = transaction
        .query_one(deal, &[&game, &player, &rules::HAND])
        .await?;
    let cards = row.get("cards");
    let take = "update games set deck = deck[$2 + 1:] where id = $1";
    transaction.execute(take, &[&game, &rules::HAND]).await?;
    let modified = commit(transaction, game).await?;
    service.live.touch(game, modified);
    Ok(Json(Dealt { cards }))
}

/// A player picks the card of their hand that fits the sentence; picking again replaces it.
pub async fn pick(
    State(service): State<Service>,
    Path(game): Path<i32>,
    Json(Choice { player, card }): Json<Choice>,
) -> Result<Json<Changed>, Error> {
    let mut client = service.pool.get().await?;
    let transaction = client.transaction().await?;
    let found = lock(&transaction, game).await?;
    found.only_in("invitation", "the cards are shown")?;
    refuse_unless(found.author != player, "the author has picked")?;
    let pick = "update seats set picked = $3 where game = $1 and player = $2 and $3 = any(cards)";
    let picked = transaction.execute(pick, &[&game, &player, &card]).await?;
    refuse_unless(picked == 1, "you do not hold this card")?;
    let modified = commit(transaction, game).await?;
    service.live.touch(game, modified);
    Ok(Json(Changed { modified }))
}

/// The author shows the cards; whoever has not picked one is out.
pub async fn voting(
    State(service): State<Service>,
    Path(game): Path<i32>,
    Json(Who { player }): Json<Who>,
) -> Result<Json<Changed>, Error> {
    let mut client = service.pool.get().await?;
    let transaction = client.transaction().await?;
    let found = lock(&transaction, game).await?;
    found.only_for_its_author(player)?;
    found.only_in("invitation", "the cards are shown")?;
    let out = "delete from seats where game = $1 and picked is null";
    transaction.execute(out, &[&game]).await?;
    let show = "update games set state = 'vote', board =
        (select array_agg(picked order by random()) from seats where game = $1)
        where id = $1 returning cardinality(board)";
    let shown: i32 = transaction.query_one(show, &[&game]).await?.get(0);
    refuse_unless(shown as usize >= rules::PICKS, "too few cards are picked")?;
    let modified = commit(transaction, game).await?;
    service.live.touch(game, modified);
    Ok(Json(Changed { modified }))
}

/// A player votes for the card that is probably the author's; voting again replaces it.
pub async fn vote(
    State(service): State<Service>,
    Path(game): Path<i32>,
    Json(Choice { player, card }): Json<Choice>,
) -> Result<Json<Changed>, Error> {
    let mut client = service.pool.get().await?;
    let transaction = client.transaction().await?;
    let found = lock(&transaction, game).await?;
    found.only_in("vote", "there is no vote now")?;
    refuse_unless(found.author != player, "the author knows")?;
    let vote = "update seats set vote = $3 where game = $1 and player = $2 and picked <> $3
        and exists (select from games where id = $1 and $3 = any(board))";
    let voted = transaction.execute(vote, &[&game, &player, &card]).await?;
    refuse_unless(voted == 1, "you cannot vote for this card")?;
    let modified = commit(transaction, game).await?;
    service.live.touch(game, modified);
    Ok(Json(Changed { modified }))
}

/// The author ends the vote: whoever has not voted is out, the winners are known, the game in memory is destroyed.
pub async fn complete(
    State(service): State<Service>,
    Path(game): Path<i32>,
    Json(Who { player }): Json<Who>,
) -> Result<Json<Completed>, Error> {
    let mut client = service.pool.get().await?;
    let transaction = client.transaction().await?;
    let found = lock(&transaction, game).await?;
    found.only_for_its_author(player)?;
    found.only_in("vote", "there is no vote now")?;
    let list = "select player, picked, vote from seats where game = $1 order by player";
    let seats = transaction.query(list, &[&game]).await?;
    let author = seats
        .iter()
        .find(|row| row.get::<_, i32>("player") == player);
    let card = author.map(|row| row.get("picked"));
    let card: i32 = card.ok_or(Error::Refused("the author has left"))?;
    let vote =
        |row: &tokio_postgres::Row| Some((row.get("player"), row.get::<_, Option<i32>>("vote")?));
    let votes: Vec<(i32, i32)> = seats.iter().filter_map(vote).collect();
    refuse_unless(votes.len() >= rules::VOTES, "too few have voted")?;
    let winners = rules::winners(player, card, &votes);
    let out = "delete from seats where game = $1 and vote is null and player <> $2";
    transaction.execute(out, &[&game, &player]).await?;
    let win = "update seats set won = true where game = $1 and player = any($2)";
    transaction.execute(win, &[&game, &winners]).await?;
    let end = "update games set state = 'complete' where id = $1";
    transaction.execute(end, &[&game]).await?;
    let modified = commit(transaction, game).await?;
    service.live.destroy(game, modified);
    Ok(Json(Completed { winners }))
}
