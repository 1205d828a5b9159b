//! The same program for shuttle: its channels and threads in the place of the standard library's.

use shuttle::scheduler::RandomScheduler;
use shuttle::sync::mpsc;
use shuttle::{Config, Runner, thread};

/// A thousand random schedules of five clients; how many were run.
pub fn random(seed: u64) -> u64 {
    const RUNS: usize = 1000;
    let scheduler = RandomScheduler::new_from_seed(seed, RUNS);
    Runner::new(scheduler, Config::new()).run(program) as u64
}

fn program() {
    let (game, receive) = mpsc::channel::<(usize, mpsc::Sender<bool>)>();
    let lobby = thread::spawn(move || {
        let mut players = Vec::new();
        while let Ok((nick, reply)) = receive.recv() {
            let free = players.len() < 4;
            if free {
                players.push(nick);
            }
            assert!(players.len() <= 4);
            reply.send(free).expect("the client waits");
        }
    });
    let clients: Vec<_> = (0..5)
        .map(|nick| {
            let game = game.clone();
            thread::spawn(move || {
                let (send, receive) = mpsc::channel();
                game.send((nick, send)).expect("the game is on");
                receive.recv().expect("the game answers")
            })
        })
        .collect();
    drop(game);
    for client in clients {
        client.join().expect("the client ends");
    }
    lobby.join().expect("the lobby ends");
}
