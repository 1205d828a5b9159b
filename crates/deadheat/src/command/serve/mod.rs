//! `deadheat serve`: a scenario that tests attach themselves to, by HTTP and JSON on this machine (docs/api.md).
//!
//! `api` takes their questions; what takes long is done here, one thing after the other, and `board` tells what it came
//! to.

mod api;
mod board;

use std::io::{Read, stdin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use deadheat_explore::Actor;
use deadheat_lab::Outside;
use deadheat_live::Server;
use deadheat_report::Style;
use deadheat_scenario::Scenario;
use deadheat_step::Stepper;
use rustix::fs::{FileType, fstat};
use serde_json::{Value, json};

use self::api::{Api, Order};
use self::board::Board;
use super::find::in_words;
use super::ground::Ground;
use super::print;
use super::replay::stopped;
use super::rules::rules;
use super::searching::{Around, search};
use super::step::{Silent, play};
use crate::args::Serve;
use crate::feed::Feed;
use crate::problem::Problem;
use crate::search::{Budget, Hunt};
use crate::signals::{self, Interrupted};

/// How long to wait for an order before looking whether a signal came.
const TICK: Duration = Duration::from_millis(20);
/// How long a test is given to hear the last thing there is to say.
const FAREWELL: Duration = Duration::from_secs(2);
/// How a search is put into words for a test's failure.
const PLAIN: Style = Style {
    width: 100,
    colour: false,
};

/// Runs the command; returns the exit code.
pub fn run(serve: &Serve, interrupted: &Interrupted) -> Result<u8, Problem> {
    let scenario = Ground::read(&serve.scenario)?;
    let board = Arc::new(Board::default());
    let feed = Arc::new(Feed::default());
    let (order, orders) = channel();
    let api = Api::new(
        Arc::clone(&scenario),
        (Arc::clone(&board), Arc::clone(&feed)),
        order,
        Interrupted::clone(interrupted),
    );
    let server = Server::open(Arc::new(api))
        .map_err(|error| Problem::other(format!("nothing can be served: {error}"), None))?;
    signals::at_rest();
    print(&format!("{}\n", json!({ "address": server.address() })))?;
    end_with_input(interrupted)?;
    let counter = Counter {
        serve,
        scenario,
        board: &board,
        feed: &feed,
        orders: &orders,
        interrupted,
    };
    let mut next = counter.wait();
    while let Some(order) = next.take() {
        next = match order {
            Order::Search => {
                board.tell(counter.search());
                counter.wait()
            }
            Order::Play(schedule) => match counter.sit(schedule) {
                Ok(next) => next,
                Err(problem) => {
                    board.tell(failed(problem));
                    counter.wait()
                }
            },
        };
    }
    let ends = Instant::now() + FAREWELL;
    while board.has_news() && Instant::now() < ends {
        std::thread::sleep(TICK);
    }
    Ok(0)
}

/// Ends the program when whoever started it has closed its standard input, if that is a pipe: it may have died.
fn end_with_input(interrupted: &Interrupted) -> Result<(), Problem> {
    let kind = fstat(stdin()).map(|stat| FileType::from_raw_mode(stat.st_mode));
    if !matches!(kind, Ok(FileType::Fifo | FileType::Socket)) {
        return Ok(());
    }
    let interrupted = Interrupted::clone(interrupted);
    let watch = move || {
        let mut unread = [0; 64];
        while matches!(stdin().read(&mut unread), Ok(1..)) {}
        interrupted.store(true, Ordering::SeqCst);
    };
    std::thread::Builder::new()
        .name("deadheat-input".to_owned())
        .spawn(watch)
        .map(|_| ())
        .map_err(|error| Problem::other(format!("cannot watch standard input: {error}"), None))
}

/// Where orders are carried out.
struct Counter<'a> {
    serve: &'a Serve,
    scenario: Arc<Scenario>,
    board: &'a Arc<Board>,
    feed: &'a Feed,
    orders: &'a Receiver<Order>,
    interrupted: &'a Interrupted,
}

impl Counter<'_> {
    /// The next order; none when the program is to end.
    fn wait(&self) -> Option<Order> {
        while !self.interrupted.load(Ordering::SeqCst) {
            match self.orders.recv_timeout(TICK) {
                Ok(order) => return Some(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        None
    }

    fn players(&self) -> Arc<dyn Outside> {
        Arc::clone(self.board) as Arc<dyn Outside>
    }

    /// Searches; what the test is told of it.
    fn search(&self) -> Value {
        let around = Around {
            interrupted: self.interrupted,
            feed: Some(self.feed),
            players: Some(self.players()),
        };
        let found = search(&self.serve.search, Arc::clone(&self.scenario), around);
        let found = found.and_then(|found| {
            let result = serde_json::to_value(&found.report)
                .map_err(|error| Problem::other(format!("JSON: {error}"), None))?;
            let text = in_words(&found.report, &found.races, PLAIN);
            Ok(json!({ "event": "over", "result": result, "text": text }))
        });
        found.unwrap_or_else(|problem| {
            let told = failed(problem);
            self.feed.failed(told["error"].as_str().unwrap_or_default());
            told
        })
    }

    /// Plays schedules as long as nothing else is ordered; returns the order that is something else.
    fn sit(&self, first: Vec<Actor>) -> Result<Option<Order>, Problem> {
        let scenario = Arc::clone(&self.scenario);
        let ground = Ground::prepare(scenario, &self.serve.search.server)?;
        let ground = ground.played_by(Some(self.players()));
        let trouble = |trouble| Problem::of(trouble, &ground.scenario.path);
        let mut labs = ground.labs(Some(1)).map_err(trouble)?;
        let rules = rules(&ground.scenario, std::mem::take(&mut labs.start.tables))?;
        let budget = Budget::none();
        let mut watcher = Silent(Interrupted::clone(self.interrupted));
        let actors = ground.scenario.actors.len();
        let mut hunt = Hunt::new(&mut labs, actors, rules, &budget, &mut watcher);
        let mut check = hunt.check().map_err(|stop| stopped(stop, &ground))?;
        let names = ground.scenario.actors.iter().map(|one| one.name.clone());
        let names: Vec<String> = names.collect();
        let mut schedule = first;
        loop {
            let mut stepper = Stepper::new(&ground.scenario.title, names.clone());
            play(&mut check, &ground, &mut stepper, schedule)?;
            self.board
                .tell(json!({ "event": "over", "result": stepper.state() }));
            match self.wait() {
                Some(Order::Play(next)) => schedule = next,
                other => return Ok(other),
            }
        }
    }
}

fn failed(problem: Problem) -> Value {
    json!({ "event": "over", "error": problem.in_words() })
}
