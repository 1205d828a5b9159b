//! Processes of the scenario: services, commands, `prepare`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use deadheat_sandbox::{Exit, Look, Process, Spawn};
use deadheat_scenario::{Command, Method, Places, Ready, Service as Plan};
use tokio::net::TcpStream;

use crate::error::Trouble;
use crate::http::{Browser, Call, send};

/// Lines of a log that are shown when something does not come up.
pub(crate) const LOG_LINES: usize = 20;

/// Time between two tries to reach a service that comes up.
const RETRY: Duration = Duration::from_millis(10);

/// What a process of the scenario is told about the world.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    /// Databases at the gate, services and ports.
    pub places: Places,
    /// `DATABASE_URL`, `PGHOST`, …; what the scenario sets itself comes on top.
    pub env: Vec<(String, String)>,
    /// Tags of the gates that it alone is told of.
    pub tags: Vec<u32>,
}

/// A service that runs.
pub(crate) struct Service {
    pub name: String,
    pub plan: Plan,
    pub address: SocketAddr,
    pub surroundings: Surroundings,
    process: Process,
}

impl Service {
    /// Starts the service and waits until it is ready.
    pub async fn start(
        name: &str,
        plan: &Plan,
        address: SocketAddr,
        surroundings: Surroundings,
    ) -> Result<Self, Trouble> {
        if TcpStream::connect(address).await.is_ok() {
            return Err(Trouble::PortTaken {
                service: name.to_owned(),
                port: address.port(),
            });
        }
        let process = spawn(&plan.command, &surroundings)?;
        let service = Self {
            name: name.to_owned(),
            plan: plan.clone(),
            address,
            surroundings,
            process,
        };
        service.wait_until_ready().await?;
        Ok(service)
    }

    /// Kills all its processes without a word.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Stops the service, if it still runs, and starts it again.
    pub async fn restart(self) -> Result<Self, Trouble> {
        let Self {
            name,
            plan,
            address,
            surroundings,
            process,
        } = self;
        end(process).await?;
        Self::start(&name, &plan, address, surroundings).await
    }

    /// Stops the service.
    pub async fn end(self) -> Result<(), Trouble> {
        end(self.process).await
    }

    /// A look at its processes.
    pub fn look(&self) -> Look {
        self.process.look()
    }

    async fn wait_until_ready(&self) -> Result<(), Trouble> {
        let started = Instant::now();
        loop {
            if let Some(exit) = self.process.exit() {
                return Err(
                    self.trouble(format!("ended before it was ready, with {}", shown(exit)))
                );
            }
            let Err(last) = self.is_ready().await else {
                return Ok(());
            };
            if started.elapsed() > self.plan.ready_within {
                let waited = self.plan.ready_within.as_secs_f64();
                return Err(self.trouble(format!("{} within {waited} s{last}", self.not_ready())));
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Whether it is ready; if not, what it answered last, where that says more.
    async fn is_ready(&self) -> Result<(), String> {
        let ready = match &self.plan.ready {
            Ready::Port => TcpStream::connect(self.address).await.is_ok(),
            Ready::Get(path) => {
                let (mut browser, call) = (Browser::default(), Call::plain(Method::Get, path));
                let answer = send(&mut browser, self.address, &call);
                let answer = tokio::time::timeout(self.plan.ready_within, answer).await;
                match answer {
                    Ok(Ok(answer)) if answer.status >= 400 => {
                        return Err(format!(" (the last answer had status {})", answer.status));
                    }
                    Ok(Ok(_)) => true,
                    Ok(Err(error)) => return Err(format!(" ({error})")),
                    Err(_) => false,
                }
            }
            Ready::Log(text) => std::fs::read(self.process.stdout())
                .is_ok_and(|log| String::from_utf8_lossy(&log).contains(text)),
        };
        if ready { Ok(()) } else { Err(String::new()) }
    }

    fn not_ready(&self) -> String {
        match &self.plan.ready {
            Ready::Port => format!("did not listen on {}", self.address),
            Ready::Get(path) => format!("did not answer `GET {path}` with success"),
            Ready::Log(text) => format!("did not print \"{text}\""),
        }
    }

    fn trouble(&self, how: String) -> Trouble {
        Trouble::Command {
            what: format!("[service.{}] `{}`", self.name, self.plan.command.run),
            how,
            log: self.process.tail(LOG_LINES),
        }
    }
}

/// Starts a command of the scenario.
pub(crate) fn spawn(command: &Command, surroundings: &Surroundings) -> Result<Process, Trouble> {
    let places = &surroundings.places;
    let mut env: BTreeMap<String, String> = surroundings.env.iter().cloned().collect();
    for (name, value) in &command.env {
        env.insert(name.clone(), places.fill(value));
    }
    let mut spawn = Spawn::new(places.fill(&command.run), &command.directory);
    spawn.env = as_env(env);
    Ok(spawn.start()?)
}

/// Variables as a process gets them.
pub(crate) fn as_env(env: impl IntoIterator<Item = (String, String)>) -> Vec<(OsString, OsString)> {
    env.into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// How a process ended, in words.
pub(crate) fn shown(exit: Exit) -> String {
    match exit {
        Exit::Status(status) => format!("status {status}"),
        Exit::Signal(signal) => format!("signal {signal}"),
    }
}

/// Ends a process without holding up the runtime: gates of the same thread must answer its last statements.
async fn end(process: Process) -> Result<(), Trouble> {
    tokio::task::spawn_blocking(move || drop(process))
        .await
        .map_err(|_| Trouble::bug("a process could not be ended"))
}

/// The port that a service is to listen on: one that the system picks, unless the scenario names one itself.
pub(crate) fn choose_port(plan: &Plan) -> Result<u16, Trouble> {
    if let Some(port) = fixed_port(plan) {
        return Ok(port);
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .map_err(Trouble::system("finding a free port"))?;
    let address = listener
        .local_addr()
        .map_err(Trouble::system("finding a free port"))?;
    Ok(address.port())
}

/// A port written out in the scenario: only one lab can use it at a time.
pub(crate) fn fixed_port(plan: &Plan) -> Option<u16> {
    let command = &plan.command;
    let templated = command.run.contains("{port}")
        || command.env.values().any(|value| value.contains("{port}"));
    if templated {
        return None;
    }
    command.env.get("PORT").and_then(|port| port.parse().ok())
}
