//! What labs are made from: the scenario's databases, set up once and frozen, to be copied by every lab.

use std::collections::BTreeSet;
use std::sync::Arc;

use deadheat_explore::Actor;
use deadheat_sandbox::{Database, PrivateOptions, Server, Spawn, Template};
use deadheat_scenario::{Database as Plan, Scenario};

use crate::cure::Cure;
use crate::error::Trouble;
use crate::http::Browsers;
use crate::lab::Lab;
use crate::learned::Learned;
use crate::outside::{Outside, Players};
use crate::service::{LOG_LINES, as_env, fixed_port, shown};
use crate::turns::Turns;

/// A scenario whose databases are set up.
pub struct Blueprint {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) grounds: Arc<Vec<Ground>>,
    /// Cookies and saved values that every run starts with.
    pub(crate) browsers: Browsers,
    /// What is to be done otherwise than the code does it.
    pub(crate) cure: Arc<Cure>,
    /// Who plays the actors that are attached.
    pub(crate) players: Players,
    /// Whose turn it is on the servers.
    pub(crate) turns: Arc<Turns>,
    /// What is known of its actors.
    pub(crate) learned: Arc<Learned>,
}

/// One database of the scenario, as every lab finds it.
pub(crate) struct Ground {
    pub name: String,
    pub plan: Plan,
    template: Template,
    pub server: Server,
}

impl Blueprint {
    /// Starts the servers, makes the databases and sets them up.
    ///
    /// # Errors
    /// When no server can be had, or the setup fails: the file, line and statement are named.
    pub async fn draw(scenario: Arc<Scenario>, allow_remote: bool) -> Result<Self, Trouble> {
        let mut grounds = Vec::new();
        for (name, plan) in &scenario.databases {
            let server = match &plan.server {
                Some(url) => Server::named(url, allow_remote).await?,
                None => {
                    let options = PrivateOptions {
                        settings: plan.settings.clone(),
                    };
                    Server::private(&options).await?
                }
            };
            let database = server.create().await?;
            apply_settings(&database, plan).await?;
            set_up(&scenario, name, plan, &database).await?;
            let template = database.freeze().await?;
            grounds.push(Ground {
                name: name.clone(),
                plan: plan.clone(),
                template,
                server,
            });
        }
        let grounds = Arc::new(grounds);
        let drawn = Self {
            scenario,
            grounds,
            browsers: Browsers::new(),
            cure: Arc::default(),
            players: None,
            turns: Arc::default(),
            learned: Arc::default(),
        };
        drawn.with_before().await
    }

    /// The same, with its attached actors played by somebody.
    pub fn played_by(mut self, outside: Arc<dyn Outside>) -> Self {
        self.players = Some(outside);
        self
    }

    /// The actors of the scenario that stand for faults.
    pub fn faults(&self) -> BTreeSet<Actor> {
        let actors = self.scenario.actors.iter().enumerate();
        let faults = actors.filter(|(_, actor)| actor.fault.is_some());
        faults.map(|(n, _)| Actor(n as u16)).collect()
    }

    /// Another scenario on the same databases, as they were set up: what it says of databases itself is not looked at,
    /// but those it names must be there.
    pub fn with(&self, scenario: Arc<Scenario>) -> Self {
        let grounds = Arc::clone(&self.grounds);
        Self {
            scenario,
            grounds,
            browsers: self.browsers.clone(),
            cure: Arc::default(),
            players: self.players.clone(),
            turns: Arc::clone(&self.turns),
            learned: Arc::default(),
        }
    }

    /// Does what comes before the runs, once: all labs begin with the same tables and cookies. What services keep in
    /// their memory is not copied; that is what `each_run` is for.
    async fn with_before(self) -> Result<Self, Trouble> {
        if self.scenario.before.iter().all(|before| before.each_run) {
            return Ok(self);
        }
        let first = Arc::new(self);
        let (databases, browsers) = Lab::build(Arc::clone(&first)).await?.prepare().await?;
        let mut drawn = Arc::try_unwrap(first)
            .map_err(|_| Trouble::bug("the first lab is gone and still holds the blueprint"))?;
        let grounds = Arc::get_mut(&mut drawn.grounds)
            .ok_or_else(|| Trouble::bug("a blueprint that is being drawn was copied"))?;
        for (ground, database) in grounds.iter_mut().zip(databases) {
            let before = std::mem::replace(&mut ground.template, database.freeze().await?);
            before.drop().await?;
        }
        drawn.browsers = browsers;
        Ok(drawn)
    }

    /// How many labs can run side by side, if there is a limit: a port that is written out can be used once.
    pub fn most_labs(&self) -> Option<usize> {
        let fixed = |plan| fixed_port(plan).is_some();
        self.scenario.services.values().any(fixed).then_some(1)
    }

    /// One line a database: which server it is on.
    pub fn servers(&self) -> Vec<String> {
        self.grounds
            .iter()
            .map(|ground| ground.server.describe())
            .collect()
    }

    /// Versions of the servers, each once.
    pub fn versions(&self) -> Vec<String> {
        let mut versions: Vec<String> = self
            .grounds
            .iter()
            .map(|ground| ground.server.version())
            .collect();
        versions.dedup();
        versions
    }
}

impl Ground {
    /// A fresh copy of the database.
    pub async fn fork(&self) -> Result<Database, Trouble> {
        let database = self.template.fork().await?;
        apply_settings(&database, &self.plan).await?;
        Ok(database)
    }
}

/// A private server starts with the scenario's settings; on a server of the user's only the scratch database gets them.
async fn apply_settings(database: &Database, plan: &Plan) -> Result<(), Trouble> {
    if plan.server.is_none() {
        return Ok(());
    }
    for (name, value) in &plan.settings {
        database.set(name, value).await?;
    }
    Ok(())
}

async fn set_up(
    scenario: &Scenario,
    name: &str,
    plan: &Plan,
    database: &Database,
) -> Result<(), Trouble> {
    for file in &plan.setup {
        let origin = file.path.display().to_string();
        database.run_sql(&origin, &file.text).await?;
    }
    for sql in &plan.sql {
        let origin = format!("{} [database.{name}] sql", scenario.path.display());
        database.run_sql(&origin, sql).await?;
    }
    if let Some(command) = &plan.prepare {
        let mut spawn = Spawn::new(command, &scenario.folder);
        spawn.env = as_env(database.env(None));
        let process = spawn.start()?;
        let exit = process.exited().await?;
        if exit.code() != 0 {
            return Err(Trouble::Command {
                what: format!("[database.{name}] prepare `{command}`"),
                how: format!("ended with {}", shown(exit)),
                log: process.tail(LOG_LINES),
            });
        }
    }
    Ok(())
}
