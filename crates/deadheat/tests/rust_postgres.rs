//! Races of async code with a real database, in Rust tests.

use deadheat::task::{Failure, Options, Report, check, replay};
use deadheat::{Lab, point};
use deadpool_postgres::{Manager, Pool};
use tokio_postgres::NoTls;

const LOBBY: &str = "tests/rust_postgres/lobby.sql";

fn options(name: &str) -> Options {
    Options {
        name: name.to_owned(),
        ..Options::default()
    }
}

fn pool(url: &str) -> Pool {
    let config = url.parse().expect("a URL");
    let manager = Manager::new(config, NoTls);
    Pool::builder(manager).max_size(4).build().expect("a pool")
}

async fn join(pool: &Pool, nick: &str) -> Result<bool, Box<dyn std::error::Error>> {
    let client = pool.get().await?;
    let players: i64 = client
        .query_one("select count(*) from players", &[])
        .await?
        .get(0);
    if players < 4 {
        let insert = "insert into players (nick) values ($1)";
        client.execute(insert, &[&nick]).await?;
    }
    Ok(players < 4)
}

/// A fifth player sneaks in.
async fn lobby(lab: Lab) {
    let pool = pool(&lab.postgres(LOBBY));
    for nick in ["tom", "richard"] {
        let pool = pool.clone();
        lab.actor(nick, async move {
            join(&pool, nick).await.map_err(|error| error.to_string())
        });
    }
}

#[test]
fn a_fifth_player_sneaks_in() {
    let options = options("a_fifth_player_sneaks_in");
    let failure = check(&options, lobby).expect_err("there is a race");
    println!("{failure}");
    let schedule = failure.schedule().expect("it has a schedule");
    let again = replay(&options, schedule, lobby).expect_err("it is there again");
    println!("{again}");
}
