//! The questions that a test may ask (docs/api.md has them all).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;

use deadheat_explore::Actor;
use deadheat_lab::Ended;
use deadheat_live::{Answer, Question, Refusal, Site};
use deadheat_sandbox::Neighbour;
use deadheat_scenario::{Scenario, Work};
use serde_json::{Value, json};

use super::board::Board;
use crate::command::file_name;
use crate::feed::Feed;
use crate::signals::Interrupted;

/// What is to be done.
pub enum Order {
    /// Search.
    Search,
    /// Play this schedule and let the run go on to its end.
    Play(Vec<Actor>),
}

/// What tests talk to.
pub struct Api {
    scenario: Arc<Scenario>,
    board: Arc<Board>,
    feed: Arc<Feed>,
    orders: Sender<Order>,
    interrupted: Interrupted,
}

impl Api {
    /// The door to these.
    pub fn new(
        scenario: Arc<Scenario>,
        (board, feed): (Arc<Board>, Arc<Feed>),
        orders: Sender<Order>,
        interrupted: Interrupted,
    ) -> Self {
        Self {
            scenario,
            board,
            feed,
            orders,
            interrupted,
        }
    }

    fn about(&self) -> Value {
        let actors = self.scenario.actors.iter().map(|actor| {
            let attached = matches!(actor.work, Work::Attached { .. });
            json!({ "name": actor.name, "attached": attached })
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"), "scenario": file_name(&self.scenario.path),
            "title": self.scenario.title, "actors": actors.collect::<Vec<_>>(),
        })
    }

    /// Has something done, unless something is under way.
    fn order(&self, order: Order, body: &Value) -> Result<Value, Refusal> {
        let player = match &body["pid"] {
            Value::Null => None,
            pid => Some(neighbour(pid)?),
        };
        if !self.board.attach(player) {
            return Err(Refusal::new(
                409,
                "something is under way: ask `v1/next` until it is over",
            ));
        }
        let ordered = self.orders.send(order);
        ordered.map_err(|_| Refusal::new(410, "the program is about to end"))?;
        Ok(json!({}))
    }

    fn schedule(&self, body: &Value) -> Result<Vec<Actor>, Refusal> {
        let names = body["schedule"].as_array();
        let names =
            names.ok_or_else(|| Refusal::new(400, "`schedule` is a list of actors' names"))?;
        let number = |name: &Value| {
            let mut actors = self.scenario.actors.iter();
            let place = actors.position(|actor| *name == actor.name.as_str());
            let why = || Refusal::new(400, format!("there is no actor {name}"));
            place.map(|place| Actor(place as u16)).ok_or_else(why)
        };
        names.iter().map(number).collect()
    }

    fn done(&self, body: &Value) -> Result<Value, Refusal> {
        let turn = body["turn"].as_u64();
        let turn =
            turn.ok_or_else(|| Refusal::new(400, "`turn` is the number that `v1/next` gave"))?;
        let ended = Ended {
            failed: body["failed"].as_bool().unwrap_or(false),
            output: match &body["output"] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            },
        };
        // That a run is over before its actors is nobody's mistake.
        Ok(json!({ "heard": self.board.done(turn, ended) }))
    }

    fn now(&self, question: &Question) -> Result<Value, Refusal> {
        match (question.method.as_str(), question.path.as_str()) {
            ("GET", "v1") => Ok(self.about()),
            ("GET", "v1/state") => Ok(self.feed.told()),
            ("POST", "v1/search") => self.order(Order::Search, &question.body),
            ("POST", "v1/play") => {
                let schedule = self.schedule(&question.body)?;
                self.order(Order::Play(schedule), &question.body)
            }
            ("POST", "v1/done") => self.done(&question.body),
            ("POST", "v1/end") => {
                self.interrupted.store(true, Ordering::SeqCst);
                Ok(json!({}))
            }
            _ => Err(Refusal::new(404, "there is nothing here: see docs/api.md")),
        }
    }
}

/// A process of this machine that may be looked at.
fn neighbour(pid: &Value) -> Result<Neighbour, Refusal> {
    let number = pid.as_u64().and_then(|pid| u32::try_from(pid).ok());
    let found = number.and_then(Neighbour::new);
    found.ok_or_else(|| Refusal::new(400, format!("there is no process {pid} to be looked at")))
}

impl Site for Api {
    fn page(&self) -> String {
        self.feed.page()
    }

    fn state(&self) -> String {
        self.feed.state()
    }

    fn answer(&self, question: Question) -> Answer {
        if question.method == "POST" && question.path == "v1/next" {
            let board = Arc::clone(&self.board);
            return Box::pin(async move { Ok(board.next().await) });
        }
        if question.path.starts_with("race/") {
            return self.feed.answer(question);
        }
        let answer = self.now(&question);
        Box::pin(async move { answer })
    }
}
