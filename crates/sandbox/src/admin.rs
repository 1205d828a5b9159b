//! Connections of the sandbox itself.

use std::time::Duration;

use tokio_postgres::config::SslMode;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{Client, Config, Connection, NoTls, Socket};

use crate::error::Error;
use crate::tls::{Encrypt, Tls};

/// Where to connect to, and how that is shown (without a password).
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) config: Config,
    pub(crate) shown: String,
    /// Encryption, where the address asks for it.
    pub(crate) tls: Option<Tls>,
}

impl Target {
    /// A connection to `database`, served by a task of the current runtime until the client is dropped.
    pub(crate) async fn connect(&self, database: &str) -> Result<Client, Error> {
        let mut config = self.config.clone();
        config
            .dbname(database)
            .connect_timeout(Duration::from_secs(10));
        let refused = |source| Error::Connect {
            to: format!("{database} on {}", self.shown),
            source,
        };
        match &self.tls {
            None => {
                let connected = config.ssl_mode(SslMode::Disable).connect(NoTls).await;
                connected.map(served).map_err(refused)
            }
            Some(tls) => {
                let tls = Encrypt(tls.clone());
                let connected = config.ssl_mode(SslMode::Require).connect(tls).await;
                connected.map(served).map_err(refused)
            }
        }
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

/// Has a connection served by a task of the current runtime.
fn served<S>((client, connection): (Client, Connection<Socket, S>)) -> Client
where
    S: TlsStream + Send + Unpin + 'static,
{
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection of the sandbox ended");
        }
    });
    client
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
