//! A gate whose lab lets everything go at once, to run other programs and their test suites through it.
//!
//! `cargo run -p deadheat-gate --example let_go -- HOST:PORT [gap]` prints the address to connect to.

#[path = "common/let_go.rs"]
mod let_go;

use std::error::Error;
use std::net::SocketAddr;

use deadheat_gate::{Door, Gate, Upstream};
use tokio::sync::mpsc;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let server: SocketAddr = arguments
        .next()
        .ok_or("usage: let_go HOST:PORT [gap]")?
        .parse()?;
    let gap = arguments.next().is_some_and(|word| word == "gap");
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let (events, receiver) = mpsc::unbounded_channel();
            let gate = Gate::open(Upstream::Tcp(server), 0, events, Door::default()).await?;
            println!("{}", gate.addr());
            let_go::let_go(receiver, gap).await;
            Ok(())
        })
}
