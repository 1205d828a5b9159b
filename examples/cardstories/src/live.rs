//! What the server keeps in memory of the games that are played: who waits for one to change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::AnyPool;
use tokio::sync::watch;

use crate::error::Error;

/// How long a request waits for a change at most.
const PATIENCE: Duration = Duration::from_secs(30);

/// A game that is played.
pub struct Game {
    /// Its way to the database, until it is destroyed.
    pool: Mutex<Option<AnyPool>>,
    /// The version of its last change.
    modified: watch::Sender<i64>,
}

impl Game {
    pub fn new(pool: AnyPool, modified: i64) -> Self {
        Self {
            pool: Mutex::new(Some(pool)),
            modified: watch::Sender::new(modified),
        }
    }

    /// The way to the database, unless the game is destroyed.
    pub fn pool(&self) -> Result<AnyPool, Error> {
        locked(&self.pool).clone().ok_or(Error::Destroyed)
    }

    /// The version of the last change, unless the game is destroyed.
    pub fn modified(&self) -> Result<i64, Error> {
        self.pool().map(|_| *self.modified.borrow())
    }

    /// Wakes all who wait for a change.
    fn touch(&self, modified: i64) {
        self.modified.send_if_modified(|last| {
            let later = modified > *last;
            *last = modified.max(*last);
            later
        });
    }

    /// Waits until the game is later than `seen`, or patience ends.
    async fn wait(&self, seen: i64) {
        let mut changes = self.modified.subscribe();
        let later = changes.wait_for(|modified| *modified > seen);
        // Both ends of the wait are fine: whoever waited reads the game next, and finds a change or none.
        drop(tokio::time::timeout(PATIENCE, later).await);
    }
}

/// The games that are played, by their ids.
#[derive(Clone, Default)]
pub struct Live(Arc<Mutex<BTreeMap<i32, Arc<Game>>>>);

impl Live {
    pub fn add(&self, id: i32, game: Game) {
        locked(&self.0).insert(id, Arc::new(game));
    }

    pub fn get(&self, id: i32) -> Option<Arc<Game>> {
        locked(&self.0).get(&id).cloned()
    }

    /// The game has changed.
    pub fn touch(&self, id: i32, modified: i64) {
        if let Some(game) = self.get(id) {
            game.touch(modified);
        }
    }

    /// The game is over: who waits for it is woken, and what it held is given up.
    pub fn destroy(&self, id: i32, modified: i64) {
        let removed = locked(&self.0).remove(&id);
        if let Some(game) = removed {
            game.touch(modified);
            locked(&game.pool).take();
        }
    }

    /// Waits until the game is later than `seen`, unless it is over.
    pub async fn wait(&self, id: i32, seen: i64) {
        if let Some(game) = self.get(id) {
            game.wait(seen).await;
        }
    }
}

/// What a mutex holds; no holder of these can panic half way.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
