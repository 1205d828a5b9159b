//! What the gate costs: the median time of one statement, directly, through a plain gate, and through a gate with a lab
//! that lets everything go at once.
//!
//! `cargo run --release -p deadheat-gate --example latency -- HOST:PORT [USER [DATABASE]]`

#[path = "common/let_go.rs"]
mod let_go;

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use deadheat_gate::{Door, Gate, Upstream, plain};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_postgres::{Client, Config, NoTls};

const ROUNDS: usize = 4000;
/// Rounds that warm up plans and caches.
const WARM: usize = 500;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let server: SocketAddr = arguments
        .next()
        .ok_or("usage: latency HOST:PORT [USER [DATABASE]]")?
        .parse()?;
    let user = arguments.next().unwrap_or_else(|| "postgres".to_owned());
    let database = arguments.next().unwrap_or_else(|| "postgres".to_owned());
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(measure(server, &user, &database))
}

async fn measure(server: SocketAddr, user: &str, database: &str) -> Result<()> {
    let connect = async |addr: SocketAddr| -> Result<Client> {
        let mut config = Config::new();
        config
            .host(addr.ip().to_string())
            .port(addr.port())
            .user(user)
            .dbname(database);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let plain_addr = listener.local_addr()?;
    tokio::spawn(plain(listener, Upstream::Tcp(server)));
    println!("median of {ROUNDS} statements       select        insert");
    report("direct", &connect(server).await?).await?;
    report("plain gate", &connect(plain_addr).await?).await?;
    for (name, gap) in [("lab", false), ("lab, with gap", true)] {
        let (events, receiver) = mpsc::unbounded_channel();
        let gate = Gate::open(Upstream::Tcp(server), 0, events, Door::default()).await?;
        tokio::spawn(let_go::let_go(receiver, gap));
        report(name, &connect(gate.addr()).await?).await?;
    }
    Ok(())
}

async fn report(name: &str, client: &Client) -> Result<()> {
    client
        .batch_execute("create temp table latency (id int)")
        .await?;
    let select = median(client, "select $1::int4").await?;
    let insert = median(client, "insert into latency values ($1::int4)").await?;
    println!(
        "{name:<28} {:>9.1} µs  {:>9.1} µs",
        micros(select),
        micros(insert)
    );
    Ok(())
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

async fn median(client: &Client, sql: &str) -> Result<Duration> {
    let statement = client.prepare(sql).await?;
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS + WARM {
        let start = Instant::now();
        client.execute(&statement, &[&1]).await?;
        if round >= WARM {
            times.push(start.elapsed());
        }
    }
    times.sort_unstable();
    Ok(times[ROUNDS / 2])
}
