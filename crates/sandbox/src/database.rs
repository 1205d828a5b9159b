//! A scratch database.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;
use tokio_postgres::{Client, Statement};

use crate::admin::quoted;
use crate::error::{Error, SetupError};
use crate::reset::Upkeep;
use crate::server::{Kind, Shared};
use crate::setup;
use crate::snapshot::Snapshot;
use crate::template::Template;
use crate::tls::Tls;

/// A scratch database. Use [`Database::drop`] to drop it and hear of errors; a value that goes out of scope is
/// dropped on the server as far as that can be done there.
#[derive(Debug)]
pub struct Database {
    pub(crate) server: Arc<Shared>,
    name: String,
    control: Client,
    pub(crate) snapshot: Option<Arc<Snapshot>>,
    pub(crate) upkeep: Mutex<Upkeep>,
    /// The statement behind [`Database::schema_stamp`], prepared when first used.
    pub(crate) stamp: OnceCell<Statement>,
    /// Whether the database on the server is no longer this value's to drop.
    released: bool,
}

impl Database {
    pub(crate) async fn open(server: &Arc<Shared>, name: String) -> Result<Self, Error> {
        let control = server.target.connect(&name).await?;
        Ok(Self {
            server: Arc::clone(server),
            name,
            control,
            snapshot: None,
            upkeep: Mutex::default(),
            stamp: OnceCell::new(),
            released: false,
        })
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The control connection: direct, on the Unix socket where there is one.
    pub fn control(&self) -> &Client {
        &self.control
    }

    /// The address for clients, through `via` (a gate) or directly.
    pub fn url(&self, via: Option<SocketAddr>) -> String {
        let (host, port) = self.server.host_and_port(via);
        let address = &self.server.address;
        let password = address
            .password
            .as_ref()
            .map(|text| format!(":{}", encoded(text)))
            .unwrap_or_default();
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            encoded(&host)
        };
        let mut url = format!(
            "postgres://{}{password}@{host}:{port}/{}",
            encoded(&address.user),
            encoded(&self.name)
        );
        for (number, (key, _, value)) in self.tls(via).iter().enumerate() {
            let mark = if number == 0 { '?' } else { '&' };
            let _ = write!(url, "{mark}{key}={}", encoded(value));
        }
        url
    }

    /// Towards a gate nothing is encrypted: it is on this machine, and encrypts towards the server itself.
    fn tls(&self, via: Option<SocketAddr>) -> Vec<(&'static str, &'static str, String)> {
        let tls = self.server.address.tls.as_ref();
        tls.filter(|_| via.is_none())
            .map(Tls::parameters)
            .unwrap_or_default()
    }

    /// What a client finds in its environment: `DATABASE_URL`, `PGHOST`, `PGPORT`, `PGUSER`, `PGDATABASE`, and
    /// `PGPASSWORD` where one is needed.
    pub fn env(&self, via: Option<SocketAddr>) -> Vec<(String, String)> {
        let (host, port) = self.server.host_and_port(via);
        let address = &self.server.address;
        let mut env = vec![
            ("DATABASE_URL".to_owned(), self.url(via)),
            ("PGHOST".to_owned(), host),
            ("PGPORT".to_owned(), port.to_string()),
            ("PGUSER".to_owned(), address.user.clone()),
            ("PGDATABASE".to_owned(), self.name.clone()),
        ];
        if let Some(password) = &address.password {
            env.push(("PGPASSWORD".to_owned(), password.clone()));
        }
        for (_, variable, value) in self.tls(via) {
            env.push((variable.to_owned(), value));
        }
        env
    }

    /// Sets the default of a setting for new sessions in this database.
    ///
    /// # Errors
    /// When the server knows no such setting, or the user may not set it.
    pub async fn set(&self, setting: &str, value: &str) -> Result<(), Error> {
        let parts: Vec<String> = setting.split('.').map(quoted).collect();
        let value = crate::admin::literal(value);
        let statement = format!(
            "ALTER DATABASE {} SET {} = {value}",
            quoted(&self.name),
            parts.join(".")
        );
        self.control
            .batch_execute(&statement)
            .await
            .map_err(Error::sql(format!("set {setting}")))
    }

    /// Runs a script statement by statement, on a session of its own, as `psql -f` would.
    ///
    /// # Errors
    /// At the first statement that fails, with its place in `text`.
    pub async fn run_sql(&self, origin: &str, text: &str) -> Result<(), SetupError> {
        setup::run(&self.server.target, &self.name, origin, text).await
    }

    /// Makes this database a template to copy from. Sessions that still are in it are ended; nobody can
    /// connect to it any more.
    ///
    /// # Errors
    /// When the server refuses; the database is dropped then.
    pub async fn freeze(mut self) -> Result<Template, Error> {
        let closed = format!(
            "ALTER DATABASE {} ALLOW_CONNECTIONS false",
            quoted(&self.name)
        );
        self.server
            .administer("close the template", &closed)
            .await?;
        self.server.disconnect(&self.name).await?;
        self.released = true;
        Ok(Template::new(
            Arc::clone(&self.server),
            self.name.clone(),
            self.snapshot.clone(),
        ))
    }

    /// Drops the database on the server, whoever is connected to it.
    ///
    /// # Errors
    /// When the server refuses or is gone.
    pub async fn drop(mut self) -> Result<(), Error> {
        self.released = true;
        self.server.drop_database(&self.name).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !self.released {
            release(&self.server, &self.name);
        }
    }
}

/// Drops a database from a destructor. On a private server that is a favour to the disk, done when there is a
/// runtime to do it: the database goes with the server at the latest. On a named server it must be done.
pub(crate) fn release(server: &Arc<Shared>, name: &str) {
    match &server.kind {
        Kind::Named(named) => named.drop_apart(name),
        Kind::Private(_) => {
            let (server, name) = (Arc::clone(server), name.to_owned());
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move {
                    if let Err(error) = server.drop_database(&name).await {
                        tracing::debug!(%error, "a scratch database was not dropped");
                    }
                });
            }
        }
    }
}

/// A part of a URL with everything but letters, digits and `-._~` escaped.
fn encoded(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            all.push(char::from(byte));
        } else {
            let _ = write!(all, "%{byte:02X}");
        }
    }
    all
}
