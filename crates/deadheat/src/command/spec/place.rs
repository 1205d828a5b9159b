//! Where specs run: a server and a database for each worker.

use std::collections::BTreeMap;

use deadheat_sandbox::{Address, Database, Error, PrivateOptions, Server, Visit};
use deadheat_spec::wire::{Session, Target, WireError};
use deadheat_sql::Catalog;

use deadheat_spec::{Reply, Terms, settings};

use crate::args::Spec;
use crate::problem::{Failure, Problem};

/// The name that specs know their database by.
const DATABASE: &str = "isolation_regression";

/// Settings of private servers, over the sandbox's: those of a server as it comes.
const AS_IT_COMES: [(&str, &str); 1] = [("max_parallel_workers_per_gather", "2")];

/// Where one worker's specs run.
pub struct Place {
    pub target: Target,
    /// What the user may do there.
    pub terms: Terms,
    /// On a private server the database can be made anew.
    private: bool,
    /// The scratch database on a named server; dropped with this.
    _database: Option<Database>,
}

/// All places, and what they stand on.
pub struct Ground {
    pub places: Vec<Place>,
    /// Whether the places share a server.
    pub shared: bool,
    _servers: Vec<Server>,
    /// The runtime on which the servers' own connections live; it must outlive them.
    runtime: tokio::runtime::Runtime,
}

impl Ground {
    /// As many places as there are workers to be.
    pub fn prepare(args: &Spec, specs: usize) -> Result<Self, Problem> {
        let workers = usize::from(args.jobs).min(specs).max(1);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| Problem::other(format!("cannot start: {error}"), None))?;
        let prepared = match &args.server {
            Some(url) => {
                let allowed = args.server_flags.allow_remote_server;
                runtime.block_on(named(args, url, allowed, workers))
            }
            None => runtime.block_on(private(args, workers)),
        };
        let (servers, places) = prepared.map_err(|error| refused(&error))?;
        for place in places.iter().filter(|place| place.private) {
            place.renew()?;
        }
        Ok(Self {
            places,
            shared: args.server.is_some(),
            _servers: servers,
            runtime,
        })
    }
}

impl Ground {
    /// What the database of a place holds.
    pub fn catalog(&self, place: &Place) -> Result<Catalog, Error> {
        let target = &place.target;
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        let mut words = format!(
            "host={} port={} user={}",
            quoted(&target.host),
            target.port,
            quoted(&target.user)
        );
        if let Some(password) = &target.password {
            words.push_str(&format!(" password={}", quoted(password)));
        }
        let read = async { Visit::to(&words)?.catalog(&target.database).await };
        self.runtime.block_on(read)
    }
}

async fn private(args: &Spec, workers: usize) -> Result<(Vec<Server>, Vec<Place>), Error> {
    let settings = AS_IT_COMES.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let options = PrivateOptions {
        settings: BTreeMap::from(settings),
    };
    let (mut servers, mut places) = (Vec::new(), Vec::new());
    for _ in 0..workers {
        let server = Server::private(&options).await?;
        places.push(Place {
            target: target(server.address(), DATABASE),
            terms: terms(args, &server, true),
            private: true,
            _database: None,
        });
        servers.push(server);
    }
    Ok((servers, places))
}

async fn named(
    args: &Spec,
    url: &str,
    allow_remote: bool,
    workers: usize,
) -> Result<(Vec<Server>, Vec<Place>), Error> {
    let server = Server::named(url, allow_remote).await?;
    let mut places = Vec::new();
    for _ in 0..workers {
        let database = server.create().await?;
        let asked = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
        let row = database.control().query_one(asked, &[]).await;
        places.push(Place {
            target: target(server.address(), database.name()),
            terms: terms(args, &server, row.is_ok_and(|row| row.get(0))),
            private: false,
            _database: Some(database),
        });
    }
    Ok((vec![server], places))
}

fn terms(args: &Spec, server: &Server, superuser: bool) -> Terms {
    let version = server.version();
    let major = version
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or_default();
    Terms {
        superuser,
        // One that cannot be read is older than what numbers are written like this.
        version: major.parse().unwrap_or_default(),
        // A server as it comes waits for a second; an exploration wants the actor that closes a circle to notice at once.
        deadlock_timeout: if args.explore { "1ms" } else { "1s" },
    }
}

fn target(address: &Address, database: &str) -> Target {
    Target {
        host: address.host.clone(),
        port: address.port,
        socket: address.socket.clone(),
        user: address.user.clone(),
        password: address.password.clone(),
        database: database.to_owned(),
    }
}

impl Place {
    /// Makes the database anew, where it is ours to make: a spec that ended early may have left anything in it.
    pub fn renew(&self) -> Result<(), Problem> {
        if !self.private {
            return Ok(());
        }
        let made = self.make();
        made.map_err(|error| {
            Problem::other(
                format!("cannot make the database {DATABASE}: {error}"),
                None,
            )
        })
    }

    fn make(&self) -> Result<(), WireError> {
        let maintenance = Target {
            database: "postgres".to_owned(),
            ..self.target.clone()
        };
        let mut session =
            Session::begin(&maintenance, &settings("spec", "maintenance", self.terms))?;
        session.finish()?;
        let statements = [
            format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"),
            format!("CREATE DATABASE {DATABASE} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"),
        ];
        for statement in statements {
            if let Some(Reply::Failed(message)) = session.run(&statement)? {
                return Err(WireError::Refused(message.primary()));
            }
        }
        Ok(())
    }
}

fn refused(error: &Error) -> Problem {
    let failure = Failure::new(error.to_string());
    match error {
        Error::NoBinaries(findings) => {
            let remedy = findings.remedy.as_deref().unwrap_or("install PostgreSQL");
            failure
                .mended_by(format!(
                    "{remedy}\n(or name a server: --server postgres://user@127.0.0.1/)"
                ))
                .into()
        }
        _ => failure.into(),
    }
}
