//! A server the user named: what is ours there, and that nothing else is touched.

use std::collections::BTreeSet;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config};

use crate::admin::Target;
use crate::binaries::{OLDEST, numbers};
use crate::error::Error;
use crate::live::{self, Ends};
use crate::mark::Mark;
use crate::server::{Address, drop_statement};
use crate::tls::Asked;

/// First key of our advisory locks ("dead" in ASCII); the second is the run's.
const LOCK_CLASS: i32 = 0x6465_6164;

/// Our scratch databases on a named server.
pub(crate) struct Named {
    pub(crate) mark: Mark,
    target: Target,
    made: Mutex<BTreeSet<String>>,
}

/// What the user may do there.
pub(crate) struct Rights {
    pub(crate) version: String,
    pub(crate) superuser: bool,
}

impl Named {
    /// Takes the lock that says we live, and drops what dead runs left.
    pub(crate) async fn open(admin: &Client, target: &Target) -> Result<Arc<Self>, Error> {
        let mark = loop {
            let chosen = "SELECT (random() * 2147483646)::int4, pg_backend_pid()";
            let row = admin
                .query_one(chosen, &[])
                .await
                .map_err(Error::sql("choose a name"))?;
            let key: i32 = row.get(0);
            let taken = format!("SELECT pg_try_advisory_lock({LOCK_CLASS}, {key})");
            let row = admin
                .query_one(&taken, &[])
                .await
                .map_err(Error::sql("take a lock"))?;
            if row.get(0) {
                break Mark::own(key.unsigned_abs());
            }
        };
        sweep(admin, &mark).await?;
        let named = Arc::new(Self {
            mark,
            target: target.clone(),
            made: Mutex::default(),
        });
        live::register(&named);
        Ok(named)
    }

    /// Name of the scratch database with this number.
    pub(crate) fn name(&self, number: u32) -> String {
        format!("{}{number}", prefix(self.mark.key))
    }

    pub(crate) fn remember(&self, name: &str) {
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned());
    }

    pub(crate) fn forget(&self, name: &str) {
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }

    /// Drops one of our databases without the caller's runtime.
    pub(crate) fn drop_apart(&self, name: &str) {
        self.forget(name);
        self.target.apart(vec![drop_statement(name)]);
    }
}

/// What the names of all scratch databases of a run begin with.
fn prefix(key: u32) -> String {
    format!("deadheat_{key:08x}_")
}

impl Ends for Named {
    fn end(&self) {
        let made = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        if !made.is_empty() {
            self.target
                .apart(made.iter().map(|name| drop_statement(name)).collect());
        }
    }
}

/// Drops the scratch databases whose makers are dead. A maker that was killed while the server made a database for it
/// left that one without its mark; its name has the key of the marked ones beside it.
async fn sweep(admin: &Client, own: &Mark) -> Result<(), Error> {
    let query = "SELECT d.datname, c.description FROM pg_database d \
        LEFT JOIN pg_shdescription c ON c.objoid = d.oid AND c.classoid = 'pg_database'::regclass \
        WHERE d.datname LIKE 'deadheat\\_%' AND pg_has_role(d.datdba, 'USAGE') ORDER BY d.datname";
    let held = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted \
        AND classid::int8 = $1 AND objid::int8 = $2 AND objsubid = 2 LIMIT 1";
    let doing = || Error::sql("look for scratch databases of dead runs");
    let found = admin.query(query, &[]).await.map_err(doing())?;
    let (mut dead, mut unmarked) = (Vec::new(), Vec::new());
    let mut keys_of_dead = BTreeSet::new();
    for row in found {
        let (name, comment): (String, Option<String>) = (row.get(0), row.get(1));
        let Some(comment) = comment else {
            unmarked.push(name);
            continue;
        };
        let Some(mark) = Mark::read(&comment) else {
            continue;
        };
        let keys = (i64::from(LOCK_CLASS), i64::from(mark.key));
        let alive = !admin
            .query(held, &[&keys.0, &keys.1])
            .await
            .map_err(doing())?
            .is_empty();
        if !alive && mark.is_dead(own) {
            keys_of_dead.insert(mark.key);
            dead.push(name);
        }
    }
    dead.extend(unmarked.into_iter().filter(|name| {
        let mut keys = keys_of_dead.iter();
        keys.any(|key| name.starts_with(&prefix(*key)))
    }));
    for name in dead {
        // Another run may be sweeping the same.
        if let Err(error) = admin.batch_execute(&drop_statement(&name)).await {
            tracing::warn!(name, %error, "a dead run's scratch database could not be dropped");
        } else {
            tracing::info!(name, "dropped a dead run's scratch database");
        }
    }
    Ok(())
}

/// Reads the address and refuses what is not on this machine unless that is allowed.
pub(crate) fn parse(url: &str, allow_remote: bool) -> Result<(Target, Address), Error> {
    let (url, asked) = Asked::split(url);
    let mut config: Config = url
        .parse()
        .map_err(|e: tokio_postgres::Error| Error::Address(crate::error::in_words(&e)))?;
    let port = config.get_ports().first().copied().unwrap_or(5432);
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        config.host("localhost");
    }
    if !allow_remote {
        for host in config.get_hosts() {
            if !is_here(host, port) {
                return Err(Error::Remote {
                    host: in_words(host),
                });
            }
        }
        if let Some(remote) = config
            .get_hostaddrs()
            .iter()
            .find(|address| !address.is_loopback())
        {
            return Err(Error::Remote {
                host: remote.to_string(),
            });
        }
    }
    let user = config.get_user().map_or_else(user_name, str::to_owned);
    config.user(&user).application_name("deadheat");
    if config.get_dbname().is_none() {
        config.dbname("postgres");
    }
    let password = config
        .get_password()
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let host = config.get_hosts().first().map(in_words);
    let host = host
        .or_else(|| config.get_hostaddrs().first().map(IpAddr::to_string))
        .unwrap_or_default();
    let socket = match config.get_hosts().first() {
        Some(Host::Unix(folder)) => Some(folder.clone()),
        _ => None,
    };
    let shown = format!("{user}@{host}:{port}");
    // On a socket of this machine there is nothing to encrypt for.
    let tls = match socket {
        Some(_) => None,
        None => asked.settle(&host)?,
    };
    Ok((
        Target {
            config,
            shown,
            tls: tls.clone(),
        },
        Address {
            host,
            port,
            socket,
            user,
            password,
            tls,
        },
    ))
}

fn user_name() -> String {
    std::env::var("PGUSER")
        .or_else(|_| std::env::var("USER"))
        .unwrap_or_else(|_| "postgres".to_owned())
}

fn is_here(host: &Host, port: u16) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => (name.as_str(), port)
            .to_socket_addrs()
            .is_ok_and(|mut found| {
                found.len() > 0 && found.all(|address| address.ip().is_loopback())
            }),
    }
}

fn in_words(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.display().to_string(),
    }
}

/// The server's version without the distribution's addition.
pub(crate) async fn version(client: &Client) -> Result<String, Error> {
    let row = client
        .query_one("SHOW server_version", &[])
        .await
        .map_err(Error::sql("ask for the version"))?;
    let text: String = row.get(0);
    Ok(text
        .split_ascii_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned())
}

/// Checks the version and the right to create databases.
pub(crate) async fn check(admin: &Client, shown: &str) -> Result<Rights, Error> {
    let unfit = |why: String| Error::Unfit {
        server: shown.to_owned(),
        why,
    };
    let version = version(admin).await?;
    if numbers(&version).0 < OLDEST {
        return Err(unfit(format!(
            "it is version {version}; {OLDEST} is the oldest that can be used"
        )));
    }
    let query = "SELECT rolsuper, rolsuper OR rolcreatedb, rolname::text FROM pg_roles WHERE rolname = current_user";
    let row = admin
        .query_one(query, &[])
        .await
        .map_err(Error::sql("ask for the user's rights"))?;
    let (superuser, creates, name): (bool, bool, String) = (row.get(0), row.get(1), row.get(2));
    if !creates {
        let command = format!("ALTER ROLE {} CREATEDB", crate::admin::quoted(&name));
        return Err(unfit(format!(
            "{name} may not create databases there; as a superuser run: {command}"
        )));
    }
    Ok(Rights { version, superuser })
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::error::Error;

    #[test]
    fn a_server_elsewhere_is_refused_unless_allowed() {
        for url in [
            "postgres://ben@192.0.2.7/",
            "host=192.0.2.7 user=ben",
            "hostaddr=192.0.2.7 host=localhost user=ben",
        ] {
            assert!(
                matches!(parse(url, false), Err(Error::Remote { .. })),
                "{url}"
            );
            assert!(parse(url, true).is_ok(), "{url}");
        }
    }

    #[test]
    fn several_hosts_are_refused_when_one_is_elsewhere() {
        assert!(matches!(
            parse("postgres://ben@127.0.0.1,192.0.2.7/", false),
            Err(Error::Remote { .. })
        ));
    }

    #[test]
    fn this_machine_is_taken_by_any_name() {
        for url in [
            "postgres://ben@127.0.0.1/",
            "postgres://ben@[::1]:5433/",
            "host=/run/postgresql user=ben",
            "user=ben",
        ] {
            assert!(parse(url, false).is_ok(), "{url}");
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        let (target, address) =
            parse("postgres://ben:secret@127.0.0.1:6000/x", false).expect("parses");
        assert!(!target.shown.contains("secret"));
        assert_eq!(address.password.as_deref(), Some("secret"));
        assert_eq!(address.port, 6000);
    }
}
