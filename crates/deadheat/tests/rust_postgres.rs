//! Races of async code with a real database, in Rust tests.

use std::error::Error;
use std::rc::Rc;

use deadheat::task::{Options, Report, check, replay};
use deadheat::{Lab, point};
use deadpool_postgres::{Manager, Pool};
use diesel::prelude::*;
use tokio_postgres::NoTls;

const LOBBY: &str = "tests/rust_postgres/lobby.sql";

fn options(name: &str) -> Options {
    Options {
        name: name.to_owned(),
        ..Options::default()
    }
}

fn exhausted<Fut: Future<Output = ()>>(options: &Options, test: impl Fn(Lab) -> Fut) -> Report {
    let mut options = options.clone();
    options.exhaust = true;
    check(&options, test).unwrap_or_else(|failure| panic!("{failure}"))
}

fn pool(url: &str) -> Pool {
    let config = url.parse().expect("a URL");
    let manager = Manager::new(config, NoTls);
    Pool::builder(manager).max_size(4).build().expect("a pool")
}

async fn join(pool: &Pool, nick: &str) -> Result<bool, Box<dyn Error>> {
    let client = pool.get().await?;
    let count = "select count(*) from players";
    let players: i64 = client.query_one(count, &[]).await?.get(0);
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
            join(&pool, nick).await.expect("the database answers")
        });
    }
}

#[test]
fn a_fifth_player_sneaks_in() {
    let options = options("a_fifth_player_sneaks_in");
    let failure = check(&options, lobby).expect_err("there is a race");
    insta::assert_snapshot!(failure);
    let schedule = failure.schedule().expect("it has a schedule");
    let again = replay(&options, schedule, lobby).expect_err("it is there again");
    assert_eq!(
        again
            .to_string()
            .replace("replayed", "found in run 2, with 1 preemption"),
        failure.to_string()
    );
}

async fn join_with_lock(pool: &Pool, nick: &str) -> Result<bool, Box<dyn Error>> {
    let mut client = pool.get().await?;
    let lobby = client.transaction().await?;
    let seats: i32 = lobby
        .query_one("select seats from lobby for update", &[])
        .await?
        .get(0);
    let count = "select count(*) from players";
    let players: i64 = lobby.query_one(count, &[]).await?.get(0);
    let free = players < i64::from(seats);
    if free {
        let insert = "insert into players (nick) values ($1)";
        lobby.execute(insert, &[&nick]).await?;
    }
    lobby.commit().await?;
    Ok(free)
}

#[test]
fn a_lock_keeps_the_fifth_player_out() {
    let report = exhausted(&options("a_lock"), |lab: Lab| async move {
        let pool = pool(&lab.postgres(LOBBY));
        for nick in ["tom", "richard"] {
            let pool = pool.clone();
            lab.actor(nick, async move {
                join_with_lock(&pool, nick)
                    .await
                    .expect("the database answers")
            });
        }
    });
    println!("{report}");
}

#[test]
fn a_blocking_client_loses_an_update() {
    let failure = check(&options("a_blocking_client"), |lab: Lab| async move {
        let url = lab.postgres(LOBBY);
        for nick in ["tom", "richard"] {
            let url = url.clone();
            lab.thread(nick, move || {
                let mut client = postgres::Client::connect(&url, postgres::NoTls)
                    .expect("the database lets it in");
                let row = client.query_one("select seats from lobby", &[]);
                let seats: i32 = row.expect("there is a lobby").get(0);
                point!("counted", seats);
                let update = "update lobby set seats = $1";
                client
                    .execute(update, &[&(seats + 1)])
                    .expect("it can be changed");
            });
        }
    });
    insta::assert_snapshot!(failure.expect_err("there is a race"));
}

/// A cache behind a mutex, filled from the database and thrown away with a change.
struct Cache {
    seats: tokio::sync::Mutex<Option<i32>>,
    pool: Pool,
}

impl Cache {
    async fn seats(&self) -> Result<i32, Box<dyn Error>> {
        if let Some(seats) = *self.seats.lock().await {
            return Ok(seats);
        }
        let client = self.pool.get().await?;
        let row = client.query_one("select seats from lobby", &[]).await?;
        let seats = row.get(0);
        point!("fills_the_cache", seats).await;
        *self.seats.lock().await = Some(seats);
        Ok(seats)
    }

    async fn add_seat(&self) -> Result<(), Box<dyn Error>> {
        let client = self.pool.get().await?;
        let update = "update lobby set seats = seats + 1";
        client.execute(update, &[]).await?;
        *self.seats.lock().await = None;
        Ok(())
    }
}

/// The cache must hold what the database holds, or nothing, when everybody is done.
async fn stale_cache(lab: Lab) {
    let pool = pool(&lab.postgres(LOBBY));
    let seats = tokio::sync::Mutex::default();
    let cache = Rc::new(Cache { seats, pool });
    let reader = Rc::clone(&cache);
    lab.actor("reader", async move {
        reader.seats().await.expect("the database answers");
    });
    let writer = Rc::clone(&cache);
    lab.actor("writer", async move {
        writer.add_seat().await.expect("the database answers");
    });
    lab.run().await;
    assert_ne!(*cache.seats.lock().await, Some(4), "the cache is stale");
}

#[test]
fn a_cache_keeps_a_value_that_was_read_before_the_change() {
    let failure = check(&options("a_stale_cache"), stale_cache);
    insta::assert_snapshot!(failure.expect_err("there is a race"));
}

#[test]
fn sqlx_too_lets_a_fifth_player_in() {
    let failure = check(&options("sqlx_too"), |lab: Lab| async move {
        let url = lab.postgres(LOBBY);
        let pool = sqlx::postgres::PgPoolOptions::new()
            .max_connections(2)
            .connect_lazy(&url)
            .expect("a pool");
        for nick in ["tom", "richard"] {
            let pool = pool.clone();
            lab.actor(nick, async move {
                let count = sqlx::query_scalar("select count(*) from players");
                let players: i64 = count.fetch_one(&pool).await.expect("a count");
                if players < 4 {
                    let insert = sqlx::query("insert into players (nick) values ($1)");
                    insert.bind(nick).execute(&pool).await.expect("a row");
                }
            });
        }
    });
    insta::assert_snapshot!(failure.expect_err("there is a race"));
}

diesel::table! {
    /// The lobby's one row.
    lobby (seats) {
        /// How many there are.
        seats -> Integer,
    }
}

/// Adds a seat to the lobby, as users of diesel do.
fn add_seat(url: &str, lock: bool) -> QueryResult<usize> {
    let mut db = PgConnection::establish(url).expect("the database lets it in");
    db.transaction(|db| {
        let seats = lobby::table.select(lobby::seats);
        let seats: i32 = if lock {
            seats.for_update().first(db)?
        } else {
            seats.first(db)?
        };
        diesel::update(lobby::table)
            .set(lobby::seats.eq(seats + 1))
            .execute(db)
    })
}

fn two_add_a_seat(lab: &Lab, lock: bool) {
    let url = lab.postgres(LOBBY);
    for nick in ["tom", "richard"] {
        let url = url.clone();
        lab.thread(nick, move || {
            add_seat(&url, lock).expect("it can be changed")
        });
    }
}

#[test]
fn diesel_too_loses_an_update() {
    let failure = check(&options("diesel_too"), |lab: Lab| async move {
        two_add_a_seat(&lab, false);
    });
    insta::assert_snapshot!(failure.expect_err("there is a race"));
}

#[test]
fn diesel_with_a_lock_loses_none() {
    let report = exhausted(&options("diesel_locks"), |lab: Lab| async move {
        two_add_a_seat(&lab, true);
    });
    assert!(!report.stalled, "{report}");
}

/// Ben and Tom lock two rows, each in his own order.
async fn lock_both(pool: &Pool, ids: [i32; 2]) -> Result<(), tokio_postgres::Error> {
    let mut client = pool.get().await.expect("a connection");
    let both = client.transaction().await?;
    for id in ids {
        let lock = "select nick from players where id = $1 for update";
        both.query_one(lock, &[&id]).await?;
    }
    both.commit().await
}

#[test]
fn who_closes_a_circle_of_locks_has_the_error() {
    let failure = check(&options("a_circle"), |lab: Lab| async move {
        let pool = pool(&lab.postgres(LOBBY));
        for (name, ids) in [("up", [1, 2]), ("down", [2, 1])] {
            let pool = pool.clone();
            lab.actor(name, async move {
                lock_both(&pool, ids)
                    .await
                    .map_err(|error| error.code().map(|code| code.code().to_owned()))
            });
        }
    });
    insta::assert_snapshot!(failure.expect_err("there is a race"));
}

#[test]
fn who_keeps_a_lock_for_ever_lets_the_others_wait() {
    let failure = check(&options("for_ever"), |lab: Lab| async move {
        let pool = pool(&lab.postgres(LOBBY));
        for nick in ["tom", "richard"] {
            let pool = pool.clone();
            lab.actor(nick, async move {
                let client = pool.get().await.expect("a connection");
                let lock = "begin; update lobby set seats = 5";
                client.batch_execute(lock).await.expect("a lock");
                // The pool takes back a connection whose transaction is open.
            });
        }
    });
    insta::assert_snapshot!(failure.expect_err("nobody lets go"));
}

#[test]
fn five_players_want_the_seats_of_an_empty_lobby() {
    let failure = check(&options("five_players"), |lab: Lab| async move {
        let pool = pool(&lab.postgres(LOBBY));
        let client = pool.get().await.expect("a connection");
        let emptied = client.execute("delete from players", &[]).await;
        assert_eq!(emptied.expect("they can leave"), 3);
        drop(client);
        for nick in ["ben", "harry", "ralph", "tom", "richard"] {
            let pool = pool.clone();
            lab.actor(nick, async move {
                join(&pool, nick).await.expect("the database answers")
            });
        }
        lab.run().await;
        let client = pool.get().await.expect("a connection");
        let players = client.query_one("select count(*) from players", &[]);
        let players: i64 = players.await.expect("a count").get(0);
        assert!(players <= 4, "there are {players} players");
    });
    let failure = failure.expect_err("there is a race").to_string();
    assert!(failure.contains("there are 5 players"), "{failure}");
}

#[test]
fn a_schema_is_wrong() {
    let why = |schema: &'static str| {
        let test = move |lab: Lab| async move {
            lab.postgres(schema);
        };
        let failure = check(&options("a_schema"), test).expect_err("it is wrong");
        failure.to_string()
    };
    let missing = why("tests/rust_postgres/lobbi.sql");
    assert!(
        missing.contains("cannot read the schema tests/rust_postgres/lobbi.sql: No such file"),
        "{missing}"
    );
    let wrong = why("tests/rust_postgres/wrong.sql");
    assert!(
        wrong.contains("tests/rust_postgres/wrong.sql:3:18: type \"nonsense\" does not exist"),
        "{wrong}"
    );
}

#[test]
fn rows_cannot_be_copied_from_a_client() {
    let failure = check(&options("a_copy"), |lab: Lab| async move {
        let pool = pool(&lab.postgres(LOBBY));
        lab.actor("copier", async move {
            let client = pool.get().await.expect("a connection");
            let copy = "copy players (nick) from stdin";
            let refused = client.batch_execute(copy).await;
            refused.expect("a copy");
        });
    });
    let failure = failure.expect_err("it is refused").to_string();
    assert!(
        failure.contains("cannot copy rows from the client"),
        "{failure}"
    );
}

#[test]
fn who_prepares_a_statement_waits_for_the_lock_of_its_table() {
    exhausted(&options("a_table_lock"), |lab: Lab| async move {
        let pool = pool(&lab.postgres(LOBBY));
        let locker = pool.clone();
        lab.actor("locker", async move {
            let client = locker.get().await.expect("a connection");
            let lock = "begin; lock table lobby in access exclusive mode";
            client.batch_execute(lock).await.expect("a lock");
            let update = "update lobby set seats = 5";
            client.batch_execute(update).await.expect("a change");
            client.batch_execute("commit").await.expect("a commit");
        });
        lab.actor("reader", async move {
            let client = pool.get().await.expect("a connection");
            let row = client.query_one("select seats from lobby", &[]).await;
            row.expect("a row").get::<_, i32>(0)
        });
    });
}

/// What the server refuses serializable transactions for depends on the pages that rows lie on.
#[test]
fn serializable_transactions_find_rows_where_they_always_were() {
    let places = Rc::new(std::cell::RefCell::new(std::collections::BTreeSet::new()));
    let seen = Rc::clone(&places);
    let report = exhausted(&Options::default(), move |lab| {
        let pool = pool(&lab.postgres(LOBBY));
        let other = pool.clone();
        let places = Rc::clone(&seen);
        async move {
            lab.actor("ann", async move {
                let mut client = pool.get().await.expect("a connection");
                let level = tokio_postgres::IsolationLevel::Serializable;
                let lobby = client.build_transaction().isolation_level(level).start();
                let lobby = lobby.await.expect("a transaction");
                let update = "update lobby set seats = seats returning ctid::text";
                let row = lobby.query_one(update, &[]).await.expect("a row");
                places.borrow_mut().insert(row.get::<_, String>(0));
                lobby.commit().await.expect("committed");
            });
            lab.actor("ben", async move {
                let client = other.get().await.expect("a connection");
                let count = "select count(*) from players";
                client.query_one(count, &[]).await.expect("a row");
            });
        }
    });
    assert!(report.runs > 2, "{report:?}");
    assert_eq!(places.borrow().len(), 1, "{places:?}");
}
