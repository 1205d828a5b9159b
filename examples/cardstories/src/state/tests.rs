//! The race over a SQLite file, where no gate sees the statements: a point holds the reader between its two.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll};

use axum::Json;
use axum::extract::{Path, State};
use deadheat_point::{Call, Gate, attach};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::{Reading, state};
use crate::error::Error;
use crate::store::Store;
use crate::{Service, play};

const AUTHOR: i32 = 1;
const CARD: i32 = 30;

/// Holds whoever comes, and says that somebody has.
#[derive(Default)]
struct Held {
    came: Notify,
    open: Cell<bool>,
}

impl Gate for Held {
    fn poll(&self, _: &Call, _: bool, _: &mut Context<'_>) -> Poll<()> {
        self.came.notify_one();
        if self.open.get() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn block(&self, call: &Call) {
        panic!("{} is awaited", call.name);
    }
}

/// A body as a client sends it.
fn body<T: serde::de::DeserializeOwned>(value: Value) -> Json<T> {
    Json(serde_json::from_value(value).expect("a body"))
}

/// A game over a new file, played up to the vote.
async fn played(folder: &TempDir, reading: Reading) -> Service {
    let file = folder.path().join("games.db");
    let url = format!("sqlite://{}?mode=rwc", file.display());
    let store = Store::connect(&url).await.expect("a new file");
    let service = Service::load(store, reading).await.expect("no games");
    let (of, game) = (|| State(service.clone()), || Path(1));
    let telling = json!({ "author": AUTHOR, "card": CARD, "sentence": "the last summer" });
    let created = play::create(of(), body(telling)).await;
    assert!(created.is_ok());
    let mut hands = Vec::new();
    for player in [2, 3] {
        let who = || json!({ "player": player });
        let dealt = play::participate(of(), game(), body(who())).await;
        let Json(dealt) = dealt.expect("a seat");
        let dealt = serde_json::to_value(dealt).expect("a hand");
        let choice = json!({ "player": player, "card": dealt["cards"][0] });
        assert!(play::pick(of(), game(), body(choice)).await.is_ok());
        hands.push(dealt["cards"][0].clone());
    }
    let author = json!({ "player": AUTHOR });
    assert!(play::voting(of(), game(), body(author)).await.is_ok());
    for (player, card) in [(2, json!(CARD)), (3, hands[0].clone())] {
        let choice = json!({ "player": player, "card": card });
        assert!(play::vote(of(), game(), body(choice)).await.is_ok());
    }
    service
}

/// What a player reads who is held between two statements while the author completes the game.
async fn read_while_it_is_completed(reading: Reading) -> Result<Value, Error> {
    let folder = TempDir::new().expect("a temporary folder");
    let service = played(&folder, reading).await;
    let held = Rc::new(Held::default());
    attach(Some(Rc::clone(&held) as Rc<dyn Gate>));
    let reader = state(State(service.clone()), Path((1, 2)));
    let mut reader = std::pin::pin!(reader);
    tokio::select! {
        _ = &mut reader => panic!("nobody has held the reader"),
        () = held.came.notified() => {}
    }
    let who = body(json!({ "player": AUTHOR }));
    let completed = play::complete(State(service.clone()), Path(1), who).await;
    assert!(completed.is_ok(), "the author does not wait for a reader");
    held.open.set(true);
    let read = reader.await;
    attach(None);
    read.map(|Json(seen)| serde_json::to_value(seen).expect("JSON"))
}

#[tokio::test]
async fn the_game_is_destroyed_while_it_is_read() {
    let read = read_while_it_is_completed(Reading::ThroughMemory).await;
    assert!(matches!(read, Err(Error::Destroyed)), "{read:?}");
}

#[tokio::test]
async fn the_vote_is_not_over_and_somebody_has_won() {
    let read = read_while_it_is_completed(Reading::TwoStatements).await;
    let read = read.expect("an answer");
    assert_eq!(read["state"], "vote");
    assert_eq!(read["players"][1]["won"], true);
}

#[tokio::test]
async fn the_game_is_read_as_it_was() {
    let read = read_while_it_is_completed(Reading::OneSnapshot).await;
    let read = read.expect("an answer");
    assert_eq!(read["state"], "vote");
    assert_eq!(read["players"][1]["won"], false);
}
