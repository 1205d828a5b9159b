//! Connections of the sandbox itself.

use std::time::Duration;

use tokio_postgres::{Client, Config, NoTls};

use crate::error::Error;

/// Where to connect to, and how that is shown (without a password).
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) config: Config,
    pub(crate) shown: String,
}

impl Target {
    /// A connection to `database`, served by a task of the current runtime until the client is dropped.
    pub(crate) async fn connect(&self, database: &str) -> Result<Client, Error> {
        let mut config = self.config.clone();
        config
            .dbname(database)
            .connect_timeout(Duration::from_secs(10));
        let connected = config.connect(NoTls).await;
        let (client, connection) = connected.map_err(|source| Error::Connect {
            to: format!("{database} on {}", self.shown),
            source,
        })?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection of the sandbox ended");
            }
        });
        Ok(client)
    }

    /// Does `work` with a connection to the maintenance database on a thread and a runtime of its own: for
    /// destructors and signal handlers, where the caller's runtime cannot be relied on.
    pub(crate) fn apart(&self, statements: Vec<String>) {
        let target = self.clone();
        let body = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let database = target.config.get_dbname().unwrap_or("postgres").to_owned();
                let client = target
                    .connect(&database)
                    .await
                    .map_err(std::io::Error::other)?;
                for statement in statements {
                    if let Err(error) = client.batch_execute(&statement).await {
                        tracing::warn!(statement, %error, "could not clean up");
                    }
                }
                Ok::<(), std::io::Error>(())
            })
        };
        let thread = std::thread::Builder::new()
            .name("deadheat-cleaner".to_owned())
            .spawn(body);
        match thread.map(std::thread::JoinHandle::join) {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) | Err(error) => tracing::warn!(%error, "could not clean up"),
            Ok(Err(_)) => tracing::warn!("could not clean up: the thread for it panicked"),
        }
    }
}

/// A name as SQL writes it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL writes it.
pub(crate) fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}
