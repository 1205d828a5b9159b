//! Between a lab and the test that plays its attached actors: who is to begin, and who has ended.
//!
//! ```text
//!   lab                         board                        test
//!    │  begin ann ─────────────►  │  ◄──────────── POST v1/next  │
//!    │                            │ ──────────── begin ann, 7 ─► │  runs its function
//!    │   (ann's statements come through her gate, held and let go as the schedule has it)
//!    │  ◄───────────────── ended  │  ◄───────── POST v1/done, 7  │
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadheat_lab::{Ended, Outside};
use deadheat_sandbox::{Look, Neighbour};
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};

/// How long `next` waits for something before it says that there is nothing yet.
const WAIT: Duration = Duration::from_secs(20);

/// What a test is told, one thing after the other.
#[derive(Debug, Default)]
pub struct Board {
    inside: Mutex<Inside>,
    /// Told when there is something to say.
    news: Notify,
}

#[derive(Debug, Default)]
struct Inside {
    /// What the test is to be told, in its order.
    untold: VecDeque<Value>,
    /// Whether something was ordered and the test has not heard yet what it came to.
    under_way: bool,
    /// Whether it was told of a beginning and has not come back since: until then it may not have begun.
    telling: bool,
    /// Who plays: turns by number, and where it is said how they ended.
    turns: BTreeMap<u64, oneshot::Sender<Ended>>,
    last: u64,
    /// The process in which the test runs.
    player: Option<Neighbour>,
}

impl Board {
    /// A test attaches itself; if it says in which process it runs, that is looked at. False while something is under
    /// way for it or another.
    pub fn attach(&self, player: Option<Neighbour>) -> bool {
        let mut inside = self.inside();
        if inside.under_way {
            return false;
        }
        *inside = Inside {
            player,
            under_way: true,
            last: inside.last,
            ..Inside::default()
        };
        true
    }

    /// Whether there is something that the test was not told yet.
    pub fn has_news(&self) -> bool {
        !self.inside().untold.is_empty()
    }

    /// Says something to the test.
    pub fn tell(&self, what: Value) {
        self.inside().untold.push_back(what);
        self.news.notify_one();
    }

    /// The next thing for the test to know.
    pub async fn next(&self) -> Value {
        // Whoever asks has begun what it was told to begin.
        self.inside().telling = false;
        let ends = tokio::time::Instant::now() + WAIT;
        loop {
            {
                let mut inside = self.inside();
                if let Some(told) = inside.untold.pop_front() {
                    inside.telling = told["event"] == "begin";
                    inside.under_way &= told["event"] != "over";
                    return told;
                }
            }
            if tokio::time::timeout_at(ends, self.news.notified())
                .await
                .is_err()
            {
                return json!({ "event": "wait" });
            }
        }
    }

    /// A turn has ended; false if nobody waits for that any more.
    pub fn done(&self, turn: u64, ended: Ended) -> bool {
        let waits = self.inside().turns.remove(&turn);
        waits.is_some_and(|waits| waits.send(ended).is_ok())
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Nothing that holds it panics.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outside for Board {
    fn begin(&self, name: &str, environment: &[(String, String)]) -> oneshot::Receiver<Ended> {
        let (end, ended) = oneshot::channel();
        let mut inside = self.inside();
        inside.last += 1;
        let turn = inside.last;
        inside.turns.retain(|_, waits| !waits.is_closed());
        inside.turns.insert(turn, end);
        let environment: BTreeMap<_, _> = environment.iter().cloned().collect();
        drop(inside);
        self.tell(json!({
            "event": "begin", "turn": turn, "actor": name, "environment": environment,
        }));
        ended
    }

    fn look(&self) -> Option<Look> {
        let inside = self.inside();
        let mut look = inside.player.as_ref()?.look();
        look.asleep &= inside.untold.is_empty() && !inside.telling;
        Some(look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended() -> Ended {
        Ended {
            failed: false,
            output: "4".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_test_is_told_who_begins_and_tells_how_it_ended() {
        let board = Board::default();
        let waits = board.begin("ann", &[("DATABASE_URL".to_owned(), "here".to_owned())]);
        let told = board.next().await;
        assert_eq!(told["actor"], "ann");
        assert_eq!(told["environment"]["DATABASE_URL"], "here");
        let turn = told["turn"].as_u64().expect("a number");
        assert!(board.done(turn, ended()));
        assert_eq!(waits.await, Ok(ended()));
        assert!(!board.done(turn, ended()), "it ends once");
    }

    #[tokio::test]
    async fn nobody_is_told_that_a_turn_of_an_earlier_run_has_ended() {
        let board = Board::default();
        drop(board.begin("ann", &[]));
        let turn = board.next().await["turn"].as_u64().expect("a number");
        assert!(!board.done(turn, ended()));
    }

    #[tokio::test]
    async fn who_was_told_to_begin_is_not_taken_for_asleep_before_it_has() {
        let board = Board::default();
        assert!(board.attach(Neighbour::new(std::process::id())));
        assert!(!board.attach(None), "one after the other");
        let asleep = || board.look().map(|look| look.asleep);
        let _waits = board.begin("ann", &[]);
        assert_eq!(asleep(), Some(false), "not told yet");
        board.next().await;
        assert!(board.inside().telling, "told, and not back");
        board.tell(json!({ "event": "over" }));
        board.next().await;
        assert!(!board.inside().telling);
    }

    #[test]
    fn where_nothing_can_be_seen_nothing_is_said() {
        assert_eq!(Board::default().look(), None);
    }
}
