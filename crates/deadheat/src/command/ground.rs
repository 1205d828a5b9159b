//! What every command that runs labs begins with: read the scenario, sweep, set up the databases, build the labs.

use std::path::Path;
use std::sync::Arc;

use deadheat_lab::{Blueprint, Outside, Trouble};
use deadheat_scenario::{Actor, Scenario, Work};

use crate::args::ServerFlags;
use crate::problem::Problem;
use crate::search::Labs;

/// A scenario with its databases set up.
pub struct Ground {
    pub scenario: Arc<Scenario>,
    pub blueprint: Arc<Blueprint>,
    /// The runtime on which the servers' own connections live; it must outlive them.
    _runtime: tokio::runtime::Runtime,
}

impl Ground {
    /// Reads a scenario.
    pub fn read(path: &Path) -> Result<Arc<Scenario>, Problem> {
        Ok(Arc::new(deadheat_scenario::load(path)?))
    }

    /// Sets its databases up.
    pub fn prepare(scenario: Arc<Scenario>, flags: &ServerFlags) -> Result<Self, Problem> {
        let swept = deadheat_sandbox::sweep();
        if !swept.is_empty() {
            tracing::info!(?swept, "removed what a dead run had left");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| Problem::other(format!("cannot start: {error}"), None))?;
        let drawing = Blueprint::draw(Arc::clone(&scenario), flags.allow_remote_server);
        let drawn = runtime.block_on(drawing);
        let blueprint = drawn.map_err(|trouble| Problem::of(trouble, &scenario.path))?;
        let blueprint = Arc::new(blueprint);
        Ok(Self {
            scenario,
            blueprint,
            _runtime: runtime,
        })
    }

    /// The same, with its attached actors played by somebody.
    pub fn played_by(mut self, players: Option<Arc<dyn Outside>>) -> Self {
        if let Some(players) = players {
            self.blueprint = Arc::new(
                self.blueprint
                    .with(Arc::clone(&self.scenario))
                    .played_by(players),
            );
        }
        self
    }

    /// Builds labs: as many as are asked for, and can be.
    pub fn labs(&self, asked: Option<u16>) -> Result<Labs, Trouble> {
        Labs::build(&self.blueprint, self.count(asked))
    }

    /// How many labs there are to be.
    pub fn count(&self, asked: Option<u16>) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let attached = |actor: &Actor| matches!(actor.work, Work::Attached { .. });
        let most = if self.scenario.actors.iter().any(attached) {
            // Whoever plays them is looked at as a whole: two runs at once could not be told apart.
            1
        } else {
            self.blueprint.most_labs().unwrap_or(usize::MAX)
        };
        asked.map_or(cores, usize::from).min(most)
    }
}
