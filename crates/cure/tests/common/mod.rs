//! A private server for each test, and pools to it.
#![allow(dead_code, missing_docs)] // every test file uses its part of this

use deadheat_cure::Pool;
use deadheat_sandbox::{Database, PrivateOptions, Server};
use deadpool_postgres::{Manager, Timeouts};
use std::time::Duration;
use tokio_postgres::{Config, NoTls};

/// A database of its own, and a pool of connections to it.
pub struct Ground {
    pub pool: Pool,
    pub database: Database,
    _server: Server,
}

impl Ground {
    pub async fn new(schema: &str) -> Self {
        let server = Server::private(&PrivateOptions::default())
            .await
            .expect("a private server starts");
        let database = server.create().await.expect("a database is made");
        database
            .run_sql("schema.sql", schema)
            .await
            .expect("the schema is right");
        let pool = pool(&database.url(None));
        Self {
            pool,
            database,
            _server: server,
        }
    }

    pub fn config(&self) -> Config {
        self.database
            .url(None)
            .parse()
            .expect("a URL of a database")
    }

    /// Runs statements beside the pool.
    pub async fn run(&self, sql: &str) {
        self.database
            .control()
            .batch_execute(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The first value of the first row.
    pub async fn number(&self, sql: &str) -> i64 {
        self.database
            .control()
            .query_one(sql, &[])
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
            .get(0)
    }

    /// Waits until a query returns true.
    pub async fn until(&self, condition: &str) {
        for _ in 0..2000 {
            let row = self.database.control().query_one(condition, &[]).await;
            if row
                .unwrap_or_else(|error| panic!("{condition}: {error:?}"))
                .get(0)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("never came true: {condition}");
    }
}

pub fn pool(url: &str) -> Pool {
    let config: Config = url.parse().expect("a URL of a database");
    Pool::builder(Manager::new(config, NoTls))
        .max_size(8)
        .timeouts(Timeouts::wait_millis(10_000))
        .runtime(deadpool_postgres::Runtime::Tokio1)
        .build()
        .expect("a pool")
}
