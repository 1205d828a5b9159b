//! Runs that it takes to see every schedule of three clients.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use loom::sync::mpsc;
use loom::thread;

/// What an exhaustive search took.
pub struct Exhausted {
    pub runs: u64,
    pub blocked_runs: u64,
    pub seconds: f64,
}

/// The task lab.
pub fn ours() -> Exhausted {
    let start = Instant::now();
    let report = crate::ours::exhaust();
    assert!(report.is_exhausted());
    Exhausted {
        runs: report.runs,
        blocked_runs: report.blocked_runs,
        seconds: start.elapsed().as_secs_f64(),
    }
}

/// Loom: its runs, and the seconds they took.
pub fn loom() -> (u64, f64) {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let start = Instant::now();
    loom::model(|| {
        RUNS.fetch_add(1, Ordering::Relaxed);
        let (game, receive) = mpsc::channel::<(usize, mpsc::Sender<bool>)>();
        let lobby = thread::spawn(move || {
            let mut players = Vec::new();
            while let Ok((nick, reply)) = receive.recv() {
                let free = players.len() < 2;
                if free {
                    players.push(nick);
                }
                assert!(players.len() <= 2);
                reply.send(free).expect("the client waits");
                if players.len() == 2 && !free {
                    break;
                }
            }
        });
        let clients: Vec<_> = (0..3)
            .map(|nick| {
                let game = game.clone();
                thread::spawn(move || {
                    let (send, receive) = mpsc::channel();
                    game.send((nick, send)).expect("the game is on");
                    receive.recv().expect("the game answers")
                })
            })
            .collect();
        for client in clients {
            client.join().expect("the client ends");
        }
        lobby.join().expect("the lobby ends");
    });
    (RUNS.load(Ordering::Relaxed), start.elapsed().as_secs_f64())
}
