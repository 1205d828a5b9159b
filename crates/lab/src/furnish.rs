//! How a lab is furnished: copies of the databases, a gate for whoever needs one, services that run, and the requests
//! that come before the runs.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use deadheat_explore::Actor;
use deadheat_gate::{Gate, Points, Reword, ToServer, Upstream};
use deadheat_sandbox::{Address, Database, Tls};
use deadheat_scenario::{FaultKind, Reset, Work};
use tokio_postgres::{Config, NoTls};

use crate::cast::{Cast, Role, Script};
use crate::driver::ask;
use crate::error::Trouble;
use crate::guard::Guard;
use crate::http::{Browser, Browsers, Call, send};
use crate::lab::Lab;
use crate::record::Reply;
use crate::run::Fault;
use crate::service::{LOG_LINES, Service, Surroundings, choose_port, shown, spawn};
use crate::stage::Through;

/// How long a lab listens for statements that come by themselves before the first run.
const LISTEN: Duration = Duration::from_millis(150);

impl Lab {
    /// Makes everything anew: databases, gates, services, sessions.
    pub(crate) async fn furnish(&mut self) -> Result<(), Trouble> {
        self.clear().await;
        let blueprint = Arc::clone(&self.blueprint);
        let single = blueprint.grounds.len() == 1;
        for ground in blueprint.grounds.iter() {
            let label = if single { "" } else { &ground.name };
            self.stage.bases.push(blueprint.copy(ground, label).await?);
        }
        self.stage.cure = Arc::clone(&blueprint.cure);
        let services = self.open_services().await?;
        self.cast_actors(&services).await?;
        self.services_at = services;
        self.stage.browsers.clone_from(&blueprint.browsers);
        self.stage.rest(&self.gates).await?;
        for base in &mut self.stage.bases {
            base.take_as_start().await?;
        }
        self.connect().await?;
        if !self.stage.services.is_empty() {
            self.stage.listen(LISTEN).await?;
        }
        self.fresh = true;
        Ok(())
    }

    /// Does what comes before the runs, then ends everything but the databases: every lab begins with copies of them.
    pub(crate) async fn prepare(mut self) -> Result<(Vec<Database>, Browsers), Trouble> {
        self.before(false).await?;
        self.stage.rest(&self.gates).await?;
        // Their sessions end with them, and that is booked with the databases.
        self.end_processes().await;
        let bases = std::mem::take(&mut self.stage.bases);
        let browsers = std::mem::take(&mut self.stage.browsers);
        self.clear().await;
        let databases = bases.into_iter().map(|base| base.database).collect();
        Ok((databases, browsers))
    }

    /// Ends everything, latest first.
    pub(crate) async fn clear(&mut self) {
        self.end_processes().await;
        self.gates.clear();
        self.points.clear();
        self.stage.forget_sessions();
        for base in std::mem::take(&mut self.stage.bases) {
            base.retire().await;
        }
    }

    /// Ends what has sessions: the lab's own clients, then the services.
    async fn end_processes(&mut self) {
        self.stage.clients.clear();
        for service in std::mem::take(&mut self.stage.services) {
            // What cannot be ended here is ended with the process.
            if let Err(error) = self.stage.aside(service.end()).await {
                tracing::warn!(%error, "a service could not be ended");
            }
        }
    }

    /// Starts the services; returns where they listen.
    async fn open_services(&mut self) -> Result<BTreeMap<String, SocketAddr>, Trouble> {
        let scenario = Arc::clone(&self.blueprint.scenario);
        let mut places = BTreeMap::new();
        for (name, plan) in &scenario.services {
            let address = SocketAddr::from(([127, 0, 0, 1], choose_port(plan)?));
            places.insert(name.clone(), address);
        }
        for (name, plan) in &scenario.services {
            let address = places[name];
            let mut around = self
                .surround(Through::Service, &plan.command.database)
                .await?;
            around.places.port = Some(address.port());
            around.places.services = urls(&places);
            around
                .env
                .push(("PORT".to_owned(), address.port().to_string()));
            let start = Service::start(name, plan, address, around);
            let service = self.stage.aside(start).await??;
            self.stage.services.push(service);
        }
        Ok(places)
    }

    /// Gives every actor its script.
    async fn cast_actors(
        &mut self,
        services: &BTreeMap<String, SocketAddr>,
    ) -> Result<(), Trouble> {
        let scenario = Arc::clone(&self.blueprint.scenario);
        let mut actors = Vec::new();
        for (number, actor) in scenario.actors.iter().enumerate() {
            let through = Through::Actor(Actor(number as u16));
            let place = |name: &String| {
                let mut others = scenario.actors.iter();
                Some(Actor(others.position(|other| other.name == *name)? as u16))
            };
            let fault = actor.fault.as_ref().map(|fault| Fault {
                kind: fault.kind,
                of: place(&fault.of).filter(|_| !fault.kind.is_of_service()),
                service: scenario
                    .services
                    .keys()
                    .position(|name| fault.kind.is_of_service() && *name == fault.of),
            });
            let script = match &actor.work {
                _ if fault.is_some_and(|fault| fault.kind == FaultKind::Crash) => Script::Crash,
                Work::Nothing => Script::Crash,
                Work::Requests(requests) => Script::Http(
                    requests
                        .iter()
                        .map(|request| (request.clone(), services[&request.service]))
                        .collect(),
                ),
                Work::Run(command) => {
                    let mut around = self.surround(through, &command.database).await?;
                    around.places.services = urls(services);
                    Script::Command {
                        command: command.clone(),
                        surroundings: around,
                    }
                }
                Work::Attached { database } => {
                    let around = self.surround(through, database).await?;
                    let mut environment = around.env;
                    for (name, url) in urls(services) {
                        environment.push((format!("SERVICE_{}", name.to_uppercase()), url));
                    }
                    Script::Attached {
                        environment,
                        players: self.blueprint.players.clone(),
                    }
                }
                Work::Sql { database, steps } => {
                    let database = self.ground(database);
                    let tag = self.stage.tag(through);
                    let gate = self.open_gate(database, tag, true).await?;
                    Script::Sql {
                        steps: steps.clone(),
                        database,
                        gate,
                        tag,
                    }
                }
            };
            actors.push(Role {
                name: actor.name.clone(),
                script,
                fault,
            });
        }
        self.cast = Cast {
            actors,
            most_faults: scenario.explore.faults,
        };
        Ok(())
    }

    /// Index of the database of that name.
    fn ground(&self, name: &str) -> usize {
        let grounds = &self.blueprint.grounds;
        // The scenario has been checked: the name is there.
        grounds
            .iter()
            .position(|ground| ground.name == name)
            .unwrap_or(0)
    }

    /// Opens a gate in front of the database's server, for this process alone (`inside`) or for others; returns its index.
    async fn open_gate(
        &mut self,
        database: usize,
        tag: u32,
        inside: bool,
    ) -> Result<usize, Trouble> {
        let grounds = &self.blueprint.grounds;
        let address = grounds[database].server.address();
        let here = grounds.iter().zip(&self.stage.bases);
        let here = here.filter(|(ground, _)| ground.server.address() == address);
        let guard = Guard {
            own: here.map(|(_, base)| base.name().to_owned()).collect(),
            private: grounds[database].plan.server.is_none(),
            inside,
        };
        let gate = Gate::open(upstream(address)?, tag, self.events.clone(), guard.door())
            .await
            .map_err(Trouble::system("opening a gate on 127.0.0.1"))?;
        let cure = &self.blueprint.cure;
        if cure.rewords() {
            gate.reword(Arc::clone(cure) as Arc<dyn Reword>);
        }
        self.gates.push(gate);
        Ok(self.gates.len() - 1)
    }

    /// Opens the gates of a process and says where they are.
    async fn surround(
        &mut self,
        through: Through,
        database: &str,
    ) -> Result<Surroundings, Trouble> {
        let mut around = Surroundings::default();
        for index in 0..self.stage.bases.len() {
            let tag = self.stage.tag(through);
            around.tags.push(tag);
            let gate = self.open_gate(index, tag, false).await?;
            let via = Some(self.gates[gate].addr());
            let base = &self.stage.bases[index];
            let name = self.blueprint.grounds[index].name.clone();
            if name == database {
                around.env.extend(base.database.env(via));
            }
            around.places.databases.insert(name, base.database.url(via));
        }
        if let Some(base) = self.stage.bases.first() {
            let name = base.name().to_owned();
            let tag = self.stage.tag(through);
            around.tags.push(tag);
            let points = Points::open(tag, &name, self.events.clone())
                .await
                .map_err(Trouble::system("opening a gate for points on 127.0.0.1"))?;
            let address = points.address();
            around.env.push(("DEADHEAT_POINTS".to_owned(), address));
            self.points.push(points);
        }
        Ok(around)
    }

    /// After fresh copies were made, commands are told the new names.
    pub(crate) async fn recast(&mut self) -> Result<(), Trouble> {
        self.gates.clear();
        self.points.clear();
        self.stage.forget_sessions();
        let services = self.services_at.clone();
        self.cast_actors(&services).await
    }

    /// Gives every SQL actor a session that is open.
    pub(crate) async fn connect(&mut self) -> Result<(), Trouble> {
        for (number, role) in self.cast.actors.iter().enumerate() {
            let actor = Actor(number as u16);
            let Script::Sql {
                database,
                gate,
                tag,
                ..
            } = &role.script
            else {
                continue;
            };
            let open = self
                .stage
                .clients
                .get(&actor)
                .is_some_and(|client| !client.is_closed());
            if open {
                continue;
            }
            let via = Some(self.gates[*gate].addr());
            let config: Config = self.stage.bases[*database].database.url(via).parse()?;
            let stream = self.gates[*gate].connect(*tag);
            let connecting = async move { config.connect_raw(stream, NoTls).await };
            let (client, connection) = self.stage.aside(connecting).await??;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a SQL actor's session ended");
                }
            });
            self.stage.clients.insert(actor, Arc::new(client));
        }
        Ok(())
    }

    /// Puts back the state that services keep outside the database.
    pub(crate) async fn reset_services(&mut self) -> Result<(), Trouble> {
        for index in 0..self.stage.services.len() {
            match self.stage.services[index].plan.reset.clone() {
                Reset::Keeps => {}
                Reset::Restart => {
                    let service = self.stage.services.remove(index);
                    let service = self.stage.aside(service.restart()).await??;
                    self.stage.services.insert(index, service);
                }
                Reset::Request(method, path) => {
                    let address = self.stage.services[index].address;
                    let call = Call::plain(method, &path);
                    let mut browser = Browser::default();
                    let answer = self.stage.aside(send(&mut browser, address, &call)).await?;
                    let how = match answer {
                        Ok(answer) if answer.status < 400 => continue,
                        Ok(answer) => format!("answered with status {}", answer.status),
                        Err(error) => error,
                    };
                    return Err(Trouble::Before {
                        request: format!("reset {}", call.title()),
                        how,
                    });
                }
            }
        }
        Ok(())
    }

    /// Does what comes before the runs, or before each run.
    pub(crate) async fn before(&mut self, each_run: bool) -> Result<(), Trouble> {
        let scenario = Arc::clone(&self.blueprint.scenario);
        for before in &scenario.before {
            if before.each_run != each_run {
                continue;
            }
            match &before.work {
                Work::Requests(requests) => {
                    let identity = before.shared_with.clone().unwrap_or_default();
                    let mut browser = if identity.is_empty() {
                        Browser::default()
                    } else {
                        let known = self.stage.browsers.get(&identity);
                        known.cloned().unwrap_or_default()
                    };
                    for request in requests {
                        let address = self.services_at[&request.service];
                        let reply = ask(&mut browser, address, request);
                        let reply = self.stage.aside(reply).await?;
                        refused(&reply)?;
                    }
                    self.stage.browsers.insert(identity, browser);
                }
                Work::Run(command) => {
                    let around = self.surround(Through::Service, &command.database).await?;
                    let process = spawn(command, &around)?;
                    let exit = self.stage.aside(process.exited()).await??;
                    if exit.code() != 0 {
                        return Err(Trouble::Command {
                            what: format!("[[before]] `{}`", command.run),
                            how: format!("ended with {}", shown(exit)),
                            log: process.tail(LOG_LINES),
                        });
                    }
                }
                Work::Attached { .. } => {
                    return Err(Trouble::bug("only actors can be attached"));
                }
                Work::Sql { database, steps } => {
                    let base = &self.stage.bases[self.ground(database)];
                    let origin = format!("{} [[before]] sql", scenario.path.display());
                    for step in steps {
                        base.database.run_sql(&origin, &step.run).await?;
                    }
                }
                Work::Nothing => {}
            }
        }
        Ok(())
    }
}

/// A request before the runs must succeed: whatever it was to leave would be missing.
fn refused(reply: &Reply) -> Result<(), Trouble> {
    let (request, how) = match reply {
        Reply::Http {
            request,
            status,
            body,
            ..
        } if *status >= 400 => {
            let start: String = body.chars().take(200).collect();
            (request, format!("answered with status {status}: {start}"))
        }
        Reply::NoAnswer { request, error } => (request, error.clone()),
        _ => return Ok(()),
    };
    Err(Trouble::Before {
        request: request.clone(),
        how,
    })
}

/// Where the gate finds the server.
fn upstream(address: &Address) -> Result<Upstream, Trouble> {
    if let Some(folder) = &address.socket {
        let socket = folder.join(format!(".s.PGSQL.{}", address.port));
        return Ok(Upstream::Unix(socket));
    }
    let tls = address.tls.as_ref();
    let encrypted = |at, tls: &Tls| Upstream::Tls(at, ToServer::new(tls.name(), tls.config()));
    (address.host.as_str(), address.port)
        .to_socket_addrs()
        .and_then(|mut found| {
            found
                .next()
                .ok_or_else(|| std::io::ErrorKind::NotFound.into())
        })
        .map(|at| tls.map_or(Upstream::Tcp(at), |tls| encrypted(at, tls)))
        .map_err(Trouble::system("looking up the server's address"))
}

fn urls(services: &BTreeMap<String, SocketAddr>) -> BTreeMap<String, String> {
    services
        .iter()
        .map(|(name, address)| (name.clone(), format!("http://{address}")))
        .collect()
}
