//! A server to make scratch databases on: private, or named by the user.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::Client;

use crate::admin::{Target, literal, quoted};
use crate::database::Database;
use crate::error::Error;
use crate::initdb::SUPERUSER;
use crate::live::{self, Ends};
use crate::named::{self, Named};
use crate::private::{Private, PrivateOptions};
use crate::sweep;
use crate::tls::Tls;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Host name or address for TCP; the folder of the Unix socket where there is no TCP.
    pub host: String,
    /// Port, of the socket's name too.
    pub port: u16,
    /// Folder of the Unix socket, where there is one.
    pub socket: Option<PathBuf>,
    /// User to connect as.
    pub user: String,
    /// Password, where one is needed.
    pub password: Option<String>,
    /// Encryption, where it is asked for.
    pub tls: Option<Tls>,
}

/// A PostgreSQL server that scratch databases are made on. Dropping it ends the private server, or drops the
/// scratch databases on the named one, before it returns; databases made on it are of no use from then on.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
}

/// What a server shares with its databases.
pub(crate) struct Shared {
    pub(crate) kind: Kind,
    pub(crate) target: Target,
    pub(crate) address: Address,
    pub(crate) version: String,
    pub(crate) superuser: bool,
    admin: Client,
    next: AtomicU32,
}

/// Whose server it is.
pub(crate) enum Kind {
    Private(Arc<Private>),
    Named(Arc<Named>),
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("server", &self.target.shown)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Starts a private server from the newest PostgreSQL programs on this machine, after sweeping what dead
    /// runs left. Takes about half a second, some seconds more the first time for each version.
    ///
    /// # Errors
    /// When there are no programs ([`Error::NoBinaries`] says where they were looked for and what to
    /// install), or the server does not start (with the end of its log).
    pub async fn private(options: &PrivateOptions) -> Result<Self, Error> {
        let report = sweep::sweep();
        if !report.is_empty() {
            tracing::info!(%report, "swept what dead runs left");
        }
        let private = Private::start(options).await?;
        let target = private.target();
        let admin = target.connect("postgres").await?;
        let address = Address {
            host: "127.0.0.1".to_owned(),
            port: private.port,
            socket: Some(private.socket.clone()),
            user: SUPERUSER.to_owned(),
            password: None,
            tls: None,
        };
        let version = named::version(&admin).await?;
        let (kind, next) = (Kind::Private(private), AtomicU32::new(1));
        Ok(Self {
            shared: Arc::new(Shared {
                kind,
                target,
                address,
                version,
                superuser: true,
                admin,
                next,
            }),
        })
    }

    /// Connects to the server at `url`. Only databases named `deadheat_…` that carry our mark are ever made,
    /// used or dropped there; those that dead runs left are dropped now.
    ///
    /// # Errors
    /// When the server is not on this machine and `allow_remote` is false, cannot be reached, is too old,
    /// or does not let the user create databases.
    pub async fn named(url: &str, allow_remote: bool) -> Result<Self, Error> {
        let report = sweep::sweep();
        if !report.is_empty() {
            tracing::info!(%report, "swept what dead runs left");
        }
        let (target, address) = named::parse(url, allow_remote)?;
        let database = target.config.get_dbname().unwrap_or("postgres").to_owned();
        let admin = target.connect(&database).await?;
        let rights = named::check(&admin, &target.shown).await?;
        let named = Named::open(&admin, &target).await?;
        let (kind, next) = (Kind::Named(named), AtomicU32::new(1));
        let (version, superuser) = (rights.version, rights.superuser);
        Ok(Self {
            shared: Arc::new(Shared {
                kind,
                target,
                address,
                version,
                superuser,
                admin,
                next,
            }),
        })
    }

    /// Where the server is.
    pub fn address(&self) -> &Address {
        &self.shared.address
    }

    /// Its version: `15.18`.
    pub fn version(&self) -> String {
        self.shared.version.clone()
    }

    /// The server in a few words, and what it cannot do.
    pub fn describe(&self) -> String {
        let Shared {
            version,
            superuser,
            target,
            ..
        } = &*self.shared;
        match &self.shared.kind {
            Kind::Private(private) => {
                format!(
                    "PostgreSQL {version} (private, from {})",
                    private.binaries.folder.display()
                )
            }
            Kind::Named(_) if *superuser => format!("PostgreSQL {version} at {}", target.shown),
            Kind::Named(_) => format!(
                "PostgreSQL {version} at {} (not as a superuser: deadlock_timeout stays as it is, and databases \
                 with foreign keys are copied before each run instead of put back)",
                target.shown
            ),
        }
    }

    /// The file a private server writes its log to.
    pub fn log(&self) -> Option<PathBuf> {
        match &self.shared.kind {
            Kind::Private(private) => Some(private.log.clone()),
            Kind::Named(_) => None,
        }
    }

    /// The last lines of a private server's log; empty for a named one.
    pub fn log_tail(&self, lines: usize) -> String {
        match &self.shared.kind {
            Kind::Private(private) => private.log_tail(lines),
            Kind::Named(_) => String::new(),
        }
    }

    /// An empty scratch database.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn create(&self) -> Result<Database, Error> {
        let name = self.shared.create("template0").await?;
        Database::open(&self.shared, name).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        match &self.shared.kind {
            Kind::Private(private) => private.end(),
            Kind::Named(named) => named.end(),
        }
        live::let_end();
    }
}

impl Shared {
    /// Makes a database from a template and marks it.
    pub(crate) async fn create(&self, template: &str) -> Result<String, Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = match &self.kind {
            Kind::Private(_) => format!("deadheat_{number}"),
            Kind::Named(named) => named.name(number),
        };
        let doing = || Error::sql(format!("create the scratch database {name}"));
        if let Kind::Named(named) = &self.kind {
            named.remember(&name);
        }
        let strategy = match &self.kind {
            // Copying files takes half the time of logging them where nothing is synced to disk, and two
            // checkpoints, which would be felt on a server that others use. Version 15 brought the choice.
            Kind::Private(private) if private.binaries.order().0 >= 15 => " STRATEGY file_copy",
            _ => "",
        };
        let (quoted_name, template) = (quoted(&name), quoted(template));
        let statement = format!("CREATE DATABASE {quoted_name} TEMPLATE {template}{strategy}");
        self.admin
            .batch_execute(&statement)
            .await
            .map_err(doing())?;
        if let Kind::Named(named) = &self.kind {
            let marking = format!(
                "COMMENT ON DATABASE {} IS {}",
                quoted(&name),
                literal(&named.mark.write())
            );
            self.admin.batch_execute(&marking).await.map_err(doing())?;
            if self.superuser {
                let faster = format!(
                    "ALTER DATABASE {} SET deadlock_timeout = '1ms'",
                    quoted(&name)
                );
                self.admin.batch_execute(&faster).await.map_err(doing())?;
            }
        }
        Ok(name)
    }

    /// Runs one statement outside any scratch database.
    pub(crate) async fn administer(&self, doing: &str, statement: &str) -> Result<(), Error> {
        self.admin
            .batch_execute(statement)
            .await
            .map_err(Error::sql(doing))
    }

    /// Ends all sessions in a scratch database and waits until they are gone.
    pub(crate) async fn disconnect(&self, name: &str) -> Result<(), Error> {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1";
        let doing = || Error::sql(format!("end the sessions of {name}"));
        for _ in 0..1000 {
            self.admin.query(end, &[&name]).await.map_err(doing())?;
            let left: i64 = self
                .admin
                .query_one(count, &[&name])
                .await
                .map_err(doing())?
                .get(0);
            if left == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// Drops a scratch database, whoever is connected to it.
    pub(crate) async fn drop_database(&self, name: &str) -> Result<(), Error> {
        self.administer(
            &format!("drop the scratch database {name}"),
            &drop_statement(name),
        )
        .await?;
        self.forget(name);
        Ok(())
    }

    pub(crate) fn forget(&self, name: &str) {
        if let Kind::Named(named) = &self.kind {
            named.forget(name);
        }
    }

    /// The address as a client of the database uses it, through `via` or directly.
    pub(crate) fn host_and_port(&self, via: Option<SocketAddr>) -> (String, u16) {
        via.map_or_else(
            || (self.address.host.clone(), self.address.port),
            |via| (via.ip().to_string(), via.port()),
        )
    }
}

pub(crate) fn drop_statement(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name))
}
