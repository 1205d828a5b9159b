//! The tables, in PostgreSQL or SQLite: how a game is read and written.
//!
//! The two differ in how a transaction begins and how it keeps others from changing a game: PostgreSQL locks the game's
//! row, SQLite the file.

use example_support::{CONNECTIONS, Trouble};
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::{Any, AnyPool, AssertSqlSafe, Executor, Row, Transaction};

use crate::error::Error;
use crate::rules::{Seat, Table};

/// What the database is and how it is reached.
#[derive(Clone)]
pub struct Store {
    pub pool: AnyPool,
    engine: &'static Engine,
}

/// What the two databases do in different ways.
struct Engine {
    /// Begins a transaction that changes something.
    change: &'static str,
    /// Begins one whose statements all see the same.
    snapshot: &'static str,
    /// What locks the row that is read.
    lock: &'static str,
}

const POSTGRES: Engine = Engine {
    change: "begin",
    snapshot: "begin isolation level repeatable read read only",
    lock: " for update",
};

const SQLITE: Engine = Engine {
    change: "begin immediate",
    snapshot: "begin",
    lock: "",
};

/// A game's row, as far as its players may know it.
pub struct Game {
    pub author: i32,
    pub sentence: String,
    pub state: String,
    pub board: Option<Vec<i32>>,
    pub modified: i64,
}

impl Store {
    /// Connects to the database of a URL. A SQLite file is made if it is not there, and its tables too.
    pub async fn connect(url: &str) -> Result<Self, Trouble> {
        sqlx::any::install_default_drivers();
        let pool = AnyPoolOptions::new().max_connections(CONNECTIONS as u32);
        let pool = pool.connect(url).await?;
        if !url.starts_with("sqlite:") {
            let engine = &POSTGRES;
            return Ok(Self { pool, engine });
        }
        // Readers and a writer do not wait for each other then.
        let prepare = sqlx::raw_sql("pragma journal_mode = wal");
        prepare.execute(&pool).await?;
        let tables = sqlx::raw_sql(include_str!("../schema-sqlite.sql"));
        tables.execute(&pool).await?;
        let engine = &SQLITE;
        Ok(Self { pool, engine })
    }

    /// Begins a transaction that changes something.
    pub async fn change(&self) -> Result<Transaction<'static, Any>, Error> {
        Ok(self.pool.begin_with(self.engine.change).await?)
    }

    /// Begins a transaction whose statements all see the same.
    pub async fn snapshot(&self) -> Result<Transaction<'static, Any>, Error> {
        Ok(self.pool.begin_with(self.engine.snapshot).await?)
    }

    /// The games that are played, and their versions.
    pub async fn played(&self) -> Result<Vec<(i32, i64)>, Error> {
        let find = sqlx::query("select id, modified from games where state <> 'complete'");
        let rows = find.fetch_all(&self.pool).await?;
        let of = |row: AnyRow| Ok((row.try_get("id")?, row.try_get("modified")?));
        rows.into_iter().map(of).collect()
    }

    /// A game with all who play it; nobody else changes it until the transaction ends.
    pub async fn lock(&self, change: &mut Transaction<'_, Any>, id: i32) -> Result<Table, Error> {
        let find = "select author, state, deck, board from games where id = $1";
        let find = AssertSqlSafe(format!("{find}{}", self.engine.lock));
        let row = sqlx::query(find).bind(id).fetch_optional(&mut **change);
        let row = row.await?.ok_or(Error::NoSuchGame)?;
        Ok(Table {
            author: row.try_get("author")?,
            state: row.try_get("state")?,
            deck: cards(&row, "deck")?.unwrap_or_default(),
            board: cards(&row, "board")?,
            seats: seats(&mut **change, id).await?,
        })
    }
}

fn cards(row: &AnyRow, column: &str) -> Result<Option<Vec<i32>>, Error> {
    let text: Option<String> = row.try_get(column)?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}

/// A game's row.
pub async fn game<'c>(session: impl Executor<'c, Database = Any>, id: i32) -> Result<Game, Error> {
    let find = "select author, sentence, state, board, modified from games where id = $1";
    let row = sqlx::query(find).bind(id).fetch_optional(session);
    let row = row.await?.ok_or(Error::NoSuchGame)?;
    Ok(Game {
        author: row.try_get("author")?,
        sentence: row.try_get("sentence")?,
        state: row.try_get("state")?,
        board: cards(&row, "board")?,
        modified: row.try_get("modified")?,
    })
}

/// Who plays a game.
pub async fn seats<'c>(
    session: impl Executor<'c, Database = Any>,
    id: i32,
) -> Result<Vec<Seat>, Error> {
    let find = "select player, cards, picked, vote, won from seats where game = $1 order by player";
    let rows = sqlx::query(find).bind(id).fetch_all(session).await?;
    let of = |row: AnyRow| {
        Ok(Seat {
            player: row.try_get("player")?,
            cards: cards(&row, "cards")?.unwrap_or_default(),
            picked: row.try_get("picked")?,
            vote: row.try_get("vote")?,
            won: row.try_get::<i32, _>("won")? != 0,
        })
    };
    rows.into_iter().map(of).collect()
}

/// A new game; its id and its version.
pub async fn add(
    change: &mut Transaction<'_, Any>,
    sentence: &str,
    table: &Table,
) -> Result<(i32, i64), Error> {
    let add =
        "insert into games (author, sentence, deck) values ($1, $2, $3) returning id, modified";
    let add = sqlx::query(add)
        .bind(table.author)
        .bind(sentence)
        .bind(serde_json::to_string(&table.deck)?);
    let row = add.fetch_one(&mut **change).await?;
    let (id, modified) = (row.try_get("id")?, row.try_get("modified")?);
    for seat in &table.seats {
        sit(change, id, seat).await?;
    }
    Ok((id, modified))
}

/// Writes what has changed of a game; its new version.
pub async fn save(
    change: &mut Transaction<'_, Any>,
    id: i32,
    before: &Table,
    after: &Table,
) -> Result<i64, Error> {
    let had = |player: i32| before.seats.iter().find(|seat| seat.player == player);
    let has = |player: i32| after.seats.iter().any(|seat| seat.player == player);
    for seat in before.seats.iter().filter(|seat| !has(seat.player)) {
        let out = sqlx::query("delete from seats where game = $1 and player = $2");
        let out = out.bind(id).bind(seat.player);
        out.execute(&mut **change).await?;
    }
    for seat in &after.seats {
        match had(seat.player) {
            None => sit(change, id, seat).await?,
            Some(as_it_was) if as_it_was == seat => {}
            Some(_) => choose(change, id, seat).await?,
        }
    }
    if after.deck != before.deck {
        let deck = serde_json::to_string(&after.deck)?;
        let write = sqlx::query("update games set deck = $2 where id = $1");
        write.bind(id).bind(deck).execute(&mut **change).await?;
    }
    if after.board != before.board {
        let board = after
            .board
            .as_ref()
            .map(serde_json::to_string)
            .transpose()?;
        let write = sqlx::query("update games set board = $2 where id = $1");
        write.bind(id).bind(board).execute(&mut **change).await?;
    }
    let write =
        "update games set state = $2, modified = modified + 1 where id = $1 returning modified";
    let write = sqlx::query(write).bind(id).bind(&after.state);
    Ok(write.fetch_one(&mut **change).await?.try_get("modified")?)
}

/// A player who was not there before.
async fn sit(change: &mut Transaction<'_, Any>, game: i32, seat: &Seat) -> Result<(), Error> {
    let sit = "insert into seats (game, player, cards, picked) values ($1, $2, $3, $4)";
    let sit = sqlx::query(sit)
        .bind(game)
        .bind(seat.player)
        .bind(serde_json::to_string(&seat.cards)?)
        .bind(seat.picked);
    sit.execute(&mut **change).await?;
    Ok(())
}

/// What a player who was there has done since. Hands do not change.
async fn choose(change: &mut Transaction<'_, Any>, game: i32, seat: &Seat) -> Result<(), Error> {
    let choose =
        "update seats set picked = $3, vote = $4, won = $5 where game = $1 and player = $2";
    let choose = sqlx::query(choose)
        .bind(game)
        .bind(seat.player)
        .bind(seat.picked)
        .bind(seat.vote)
        .bind(i32::from(seat.won));
    choose.execute(&mut **change).await?;
    Ok(())
}
