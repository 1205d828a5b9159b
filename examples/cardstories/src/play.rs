//! What the players do. Each change is one transaction that begins by locking the game, so that changes of one game
//! happen one after the other; those who wait for it are told afterwards.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::live::Game;
use crate::rules::{Refused, Table};
use crate::{Service, store};

#[derive(Deserialize)]
pub struct Telling {
    author: i32,
    card: i32,
    sentence: String,
}

#[derive(Deserialize)]
pub struct Who {
    pub player: i32,
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

/// Changes a game as a rule allows; what the rule gives, and the new version.
async fn change<T>(
    service: &Service,
    game: i32,
    rule: impl FnOnce(&mut Table) -> Result<T, Refused>,
) -> Result<(T, i64), Error> {
    let mut change = service.store.change().await?;
    let before = service.store.lock(&mut change, game).await?;
    let mut after = before.clone();
    let given = rule(&mut after)?;
    let modified = store::save(&mut change, game, &before, &after).await?;
    change.commit().await?;
    Ok((given, modified))
}

/// The same, of a game that goes on: those who wait for it are woken.
async fn go_on<T>(
    service: &Service,
    game: i32,
    rule: impl FnOnce(&mut Table) -> Result<T, Refused>,
) -> Result<(T, Json<Changed>), Error> {
    let (given, modified) = change(service, game, rule).await?;
    service.live.touch(game, modified);
    Ok((given, Json(Changed { modified })))
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
    let table = Table::new(author, card, &sentence)?;
    let mut change = service.store.change().await?;
    let (game, modified) = store::add(&mut change, &sentence, &table).await?;
    change.commit().await?;
    let played = Game::new(service.store.pool.clone(), modified);
    service.live.add(game, played);
    Ok((StatusCode::CREATED, Json(Created { game })))
}

pub async fn participate(
    State(service): State<Service>,
    Path(game): Path<i32>,
    Json(Who { player }): Json<Who>,
) -> Result<Json<Dealt>, Error> {
    let (cards, _) = go_on(&service, game, |table| table.participate(player)).await?;
    Ok(Json(Dealt { cards }))
}

pub async fn pick(
    State(service): State<Service>,
    Path(game): Path<i32>,
    Json(Choice { player, card }): Json<Choice>,
) -> Result<Json<Changed>, Error> {
    let done = go_on(&service, game, |table| table.pick(player, card));
    done.await.map(|((), changed)| changed)
}

pub async fn voting(
    State(service): State<Service>,
    Path(game): Path<i32>,
    Json(Who { player }): Json<Who>,
) -> Result<Json<Changed>, Error> {
    let done = go_on(&service, game, |table| table.show(player));
    done.await.map(|((), changed)| changed)
}

pub async fn vote(
    State(service): State<Service>,
    Path(game): Path<i32>,
    Json(Choice { player, card }): Json<Choice>,
) -> Result<Json<Changed>, Error> {
    let done = go_on(&service, game, |table| table.vote(player, card));
    done.await.map(|((), changed)| changed)
}

/// The author ends the vote, and the game in memory is destroyed.
pub async fn complete(
    State(service): State<Service>,
    Path(game): Path<i32>,
    Json(Who { player }): Json<Who>,
) -> Result<Json<Completed>, Error> {
    let (winners, modified) = change(&service, game, |table| table.complete(player)).await?;
    service.live.destroy(game, modified);
    Ok(Json(Completed { winners }))
}
