//! Cures for races in services over a database.
//!
//! | module | against |
//! | --- | --- |
//! | [`retry`] | serialization failures and deadlocks that reach a user; effects done twice, or before their commit |
//! | [`guard`] | two workers at the same work; results that are out of date when they are written |
//! | [`tasks`] | tasks that run before there is anything to see, or that are lost, or done twice |
//! | [`actor`] | checking and acting with somebody in between; replies to what was not committed |
//!
//! The driver is tokio-postgres with a pool of deadpool. With the feature `sqlx` it may also be sqlx: [`retry`] and
//! [`guard`] over its pools to PostgreSQL and SQLite, [`tasks::enqueue`] in its transactions. [`tasks`] and durable
//! actors have tables of their own, which [`schema::migrate`] makes.
//!
//! # A transaction that is tried again
//!
//! ```no_run
//! # use deadheat_cure::{Pool, retry::{self, Policy}};
//! # async fn example(pool: &Pool) -> Result<(), retry::Error<tokio_postgres::Error>> {
//! let policy = Policy::serializable();
//! let seats: i64 = retry::transaction(pool, &policy, |tx, attempt| async move {
//!     let row = tx.query_one("select count(*) from players where game = $1", &[&7]).await?;
//!     tx.execute("insert into players (game, nick) values ($1, $2)", &[&7, &"ben"]).await?;
//!     tx.on_commit(async move { println!("a seat is taken, at attempt {attempt}") });
//!     Ok::<_, tokio_postgres::Error>(row.get::<_, i64>(0) + 1)
//! })
//! .await?;
//! # Ok(())
//! # }
//! ```

pub mod actor;
pub mod driver;
pub mod guard;
pub mod retry;
pub mod tasks;

mod effects;
pub mod schema;
mod tx;

pub use deadpool_postgres::{Client, Pool};
pub use driver::{Session, Transactional};
#[cfg(feature = "sqlx")]
pub use tx::Part;
pub use tx::Tx;

/// An error of a driver, with all it knows; `downcast_ref` gives it back.
pub type Source = Box<dyn std::error::Error + Send + Sync>;
