//! A lobby with seats, in the ways it is written: with a race, as an actor with a mailbox, under a mutex.

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use common::{found, options};
use deadheat_task::{Lab, check, replay};
use tokio::sync::{Mutex, mpsc, oneshot};

const NICKS: [&str; 5] = ["ben", "harry", "ralph", "tom", "richard"];

/// Seats, looked at in one await and taken in another.
#[derive(Clone, Default)]
struct Racy {
    players: Rc<RefCell<Vec<&'static str>>>,
}

impl Racy {
    async fn add_player(&self, nick: &'static str) -> Result<usize, &'static str> {
        let taken = self.players.borrow().len();
        if taken == 4 {
            return Err("full");
        }
        tokio::task::yield_now().await;
        self.players.borrow_mut().push(nick);
        Ok(taken + 1)
    }
}

fn racy(players: usize) -> impl Fn(Lab) -> std::future::Ready<()> {
    move |lab| {
        let game = Racy::default();
        for nick in NICKS.into_iter().take(players) {
            let game = game.clone();
            lab.actor(nick, async move { game.add_player(nick).await });
        }
        let players = Rc::clone(&game.players);
        lab.always(move || players.borrow().len() <= 4);
        lab.state(move || game.players.borrow().len());
        std::future::ready(())
    }
}

#[test]
fn the_fifth_player_sneaks_in() {
    let mut options = options("the_fifth_player_sneaks_in");
    options.serial = false;
    let failure = found(&options, racy(5));
    insta::assert_snapshot!(failure);
    let schedule = failure.schedule().expect("a schedule");
    let again = replay(&options, schedule, racy(5)).expect_err("it still happens");
    assert_eq!(again.schedule(), Some(schedule));
    let short = "the_fifth_player_sneaks_in:0";
    replay(&options, short, racy(1)).expect("one player fits");
}

#[test]
fn two_players_are_given_one_seat() {
    insta::assert_snapshot!(found(&options("two_players_are_given_one_seat"), racy(2)));
}

enum Message {
    Add(&'static str, oneshot::Sender<Result<usize, &'static str>>),
    Players(oneshot::Sender<usize>),
}

/// The lobby as an actor: one message after the other.
#[derive(Clone)]
struct Mailbox(mpsc::Sender<Message>);

impl Mailbox {
    fn spawn() -> Self {
        let (send, mut receive) = mpsc::channel(8);
        tokio::spawn(async move {
            let mut players = Vec::new();
            while let Some(message) = receive.recv().await {
                match message {
                    Message::Add(_, reply) if players.len() == 4 => {
                        reply.send(Err("full")).expect("somebody waits");
                    }
                    Message::Add(nick, reply) => {
                        players.push(nick);
                        reply.send(Ok(players.len())).expect("somebody waits");
                    }
                    Message::Players(reply) => reply.send(players.len()).expect("somebody waits"),
                }
            }
        });
        Self(send)
    }

    async fn add_player(&self, nick: &'static str) -> Result<usize, &'static str> {
        let (send, receive) = oneshot::channel();
        self.0.send(Message::Add(nick, send)).await.expect("a game");
        receive.await.expect("an answer")
    }

    async fn players(&self) -> usize {
        let (send, receive) = oneshot::channel();
        self.0.send(Message::Players(send)).await.expect("a game");
        receive.await.expect("an answer")
    }
}

async fn mailbox(lab: Lab, players: usize) {
    let game = Mailbox::spawn();
    for nick in NICKS.into_iter().take(players) {
        let game = game.clone();
        lab.actor(nick, async move { game.add_player(nick).await });
    }
    lab.run().await;
    assert_eq!(game.players().await, players.min(4));
}

#[test]
fn three_clients_of_a_mailbox_have_ninety_schedules() {
    let mut options = options("three_clients_of_a_mailbox_have_ninety_schedules");
    options.exhaust = true;
    let report = check(&options, |lab| mailbox(lab, 3)).expect("no race");
    assert!(report.is_exhausted());
    // Each client sends, and later takes its answer: 6!/(2!·2!·2!).
    assert_eq!(
        (report.runs, report.traces, report.blocked_runs),
        (90, 90, 0)
    );
    assert_eq!(report.outcomes, 6);
}

#[test]
fn five_clients_of_a_mailbox_are_drawn_at_random() {
    let mut options = options("five_clients_of_a_mailbox_are_drawn_at_random");
    options.random = true;
    options.runs = 500;
    let report = check(&options, |lab| mailbox(lab, 5)).expect("no race");
    assert!(!report.is_exhausted());
    assert!(report.outcomes > 50, "{report:?}");
    assert_eq!(report.runs, 500);
}

#[test]
fn a_mutex_keeps_the_seats() {
    let mut options = options("a_mutex_keeps_the_seats");
    options.exhaust = true;
    let report = check(&options, |lab: Lab| async move {
        let players = Arc::new(Mutex::new(Vec::new()));
        for nick in NICKS.into_iter().take(3) {
            let players = Arc::clone(&players);
            lab.actor(nick, async move {
                let mut players = players.lock().await;
                tokio::task::yield_now().await;
                players.push(nick);
                players.len()
            });
        }
    })
    .expect("no race");
    assert!(report.is_exhausted(), "{report}");
}
