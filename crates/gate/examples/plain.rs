//! A gate without a lab, for measurements: bytes, both ways.
//!
//! `cargo run --release -p deadheat-gate --example plain -- HOST:PORT|SOCKET` prints the address to connect to.

use std::error::Error;
use std::path::Path;

use deadheat_gate::{Upstream, plain};
use tokio::net::TcpListener;

fn main() -> Result<(), Box<dyn Error>> {
    let to = std::env::args().nth(1);
    let to = to.ok_or("usage: plain HOST:PORT|SOCKET")?;
    let upstream = if Path::new(&to).is_absolute() {
        Upstream::Unix(to.into())
    } else {
        Upstream::Tcp(to.parse()?)
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            println!("{}", listener.local_addr()?);
            Ok(plain(listener, upstream).await?)
        })
}
