//! The scenario's actors as this lab plays them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use deadheat_explore::Actor;
use deadheat_sandbox::Look;
use deadheat_scenario::{Command, FaultKind, Request, SqlStep};

use crate::again::Again;
use crate::driver::Driver;
use crate::error::Trouble;
use crate::outside::Players;
use crate::run::{Fault, Seat};
use crate::service::{Surroundings, spawn};
use crate::stage::Stage;

/// All actors, by [`Actor`] index.
pub(crate) struct Cast {
    pub actors: Vec<Role>,
    /// The most faults that a run may have.
    pub most_faults: u32,
}

/// One actor.
pub(crate) struct Role {
    pub name: String,
    pub script: Script,
    /// If it stands for a fault: which.
    pub fault: Option<Fault>,
}

/// What an actor does.
pub(crate) enum Script {
    Http(Vec<(Request, SocketAddr)>),
    Command {
        command: Command,
        surroundings: Surroundings,
    },
    Sql {
        steps: Vec<SqlStep>,
        /// Index of the lab's database.
        database: usize,
        /// Index of the lab's gate for it.
        gate: usize,
        /// Tag of its connections at the gate.
        tag: u32,
    },
    /// Somebody outside plays it.
    Attached {
        environment: Vec<(String, String)>,
        players: Players,
    },
    /// Nothing: it is the crash of another, or of a service.
    Crash,
}

impl Cast {
    /// Whether actors are at work where they cannot be ended, in services or outside: then a run cannot be broken off in the middle.
    pub fn must_end_well(&self) -> bool {
        self.actors
            .iter()
            .any(|role| matches!(role.script, Script::Http(_) | Script::Attached { .. }))
    }

    /// Whether the actor's code runs in processes that can be looked at.
    pub fn watched(&self, actor: Actor) -> bool {
        match &self.role(actor).script {
            Script::Http(_) | Script::Command { .. } => true,
            Script::Attached { players, .. } => {
                let player = players.as_ref();
                player.is_some_and(|player| player.look().is_some())
            }
            Script::Sql { .. } | Script::Crash => false,
        }
    }

    /// Whether the actor's code runs in a service.
    pub fn is_request(&self, actor: Actor) -> bool {
        matches!(self.role(actor).script, Script::Http(_))
    }

    /// The request that an actor makes which has had so many answers and leaves some requests out.
    pub fn request(
        &self,
        actor: Actor,
        answers: usize,
        without: &BTreeSet<usize>,
    ) -> Option<&(Request, SocketAddr)> {
        let Script::Http(requests) = &self.role(actor).script else {
            return None;
        };
        let made = requests.iter().enumerate();
        let made = made.filter(|(index, _)| !without.contains(index));
        made.map(|(_, request)| request).nth(answers)
    }

    /// Whether the actor may ask services, by requests of its own or in ways that nobody knows.
    pub fn may_ask(&self, actor: Actor) -> bool {
        !matches!(self.role(actor).script, Script::Sql { .. } | Script::Crash)
    }

    /// The fault that the actor stands for, if it does.
    pub fn fault(&self, actor: Actor) -> Option<Fault> {
        self.role(actor).fault
    }

    /// What may happen to the actor.
    pub fn faults_of(&self, actor: Actor) -> impl Iterator<Item = FaultKind> {
        let faults = self.actors.iter().filter_map(|role| role.fault);
        faults
            .filter(move |fault| fault.of == Some(actor))
            .map(|fault| fault.kind)
    }

    /// The actor that this one does the same as: itself, unless it is a second delivery.
    pub fn original(&self, actor: Actor) -> Actor {
        let fault = self.fault(actor);
        fault.and_then(|fault| fault.of).unwrap_or(actor)
    }

    /// Whether statements that come through a service's gate can be the actor's.
    pub fn through_service(&self, actor: Actor) -> bool {
        self.watched(actor)
    }

    fn role(&self, actor: Actor) -> &Role {
        &self.actors[usize::from(actor.0)]
    }

    /// Looks at the actors' own processes.
    pub fn looks(seats: &[Seat]) -> impl Iterator<Item = Look> {
        seats
            .iter()
            .filter_map(|seat| seat.driver.as_ref().and_then(Driver::look))
    }

    /// Gets the actor going, without some of its requests: it acts once it is told to go on.
    pub fn start(
        &self,
        actor: Actor,
        stage: &Stage,
        without: &BTreeSet<usize>,
    ) -> Result<Driver, Trouble> {
        let role = self.role(actor);
        let say = stage.say.clone();
        let again = Again::times(stage.cure.retries);
        Ok(match &role.script {
            Script::Http(requests) => {
                let known = &self.role(self.original(actor)).name;
                let browser = stage.browsers.get(known).cloned().unwrap_or_default();
                let made = requests.iter().enumerate();
                let made = made.filter(|(index, _)| !without.contains(index));
                let requests = made.map(|(_, request)| request.clone()).collect();
                Driver::http(actor, requests, browser, (say, again))
            }
            Script::Command {
                command,
                surroundings,
            } => {
                let process = spawn(command, surroundings)?;
                Driver::command(actor, command.run.clone(), process, say)
            }
            Script::Attached {
                environment,
                players,
            } => {
                let player = players.as_ref();
                let player = player.ok_or_else(|| Trouble::Unplayed(role.name.clone()))?;
                Driver::attached(actor, role.name.clone(), environment.clone(), (say, player))
            }
            Script::Crash => return Err(Trouble::bug("a crash has nothing to do")),
            Script::Sql { steps, .. } => {
                let client = stage
                    .clients
                    .get(&actor)
                    .ok_or_else(|| Trouble::bug("a SQL actor has no session"))?;
                Driver::sql(actor, steps.clone(), Arc::clone(client), (say, again))
            }
        })
    }
}
