//! The program for the task lab: tokio's own channels, nothing swapped.

use deadheat_task::{Lab, Options, Report, check};
use tokio::sync::{mpsc, oneshot};

const NICKS: [&str; 5] = ["ben", "harry", "ralph", "tom", "richard"];

struct Add(&'static str, oneshot::Sender<bool>);

/// A lobby of `seats` that is an actor.
fn lobby(seats: usize) -> mpsc::Sender<Add> {
    let (send, mut receive) = mpsc::channel(8);
    tokio::spawn(async move {
        let mut players = Vec::new();
        while let Some(Add(nick, reply)) = receive.recv().await {
            let free = players.len() < seats;
            if free {
                players.push(nick);
            }
            assert!(players.len() <= seats);
            reply.send(free).expect("the client waits");
        }
    });
    send
}

async fn program(lab: Lab, clients: usize) {
    let game = lobby(clients - 1);
    for nick in NICKS.into_iter().take(clients) {
        let game = game.clone();
        lab.actor(nick, async move {
            let (send, receive) = oneshot::channel();
            game.send(Add(nick, send)).await.expect("the game is on");
            receive.await.expect("the game answers")
        });
    }
}

/// A thousand random schedules of five clients; how many were run. No oracle but the assertion, as for the peer.
pub fn random(seed: u64) -> u64 {
    let options = Options {
        random: true,
        seed,
        runs: 1000,
        serial: false,
        ..Options::default()
    };
    check(&options, |lab| program(lab, 5))
        .expect("no race")
        .runs
}

/// All schedules of three clients, each judged by the serial orders.
pub fn exhaust() -> Report {
    let options = Options {
        exhaust: true,
        ..Options::default()
    };
    check(&options, |lab| program(lab, 3)).expect("no race")
}
