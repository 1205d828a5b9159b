//! Where a search is seen while it goes on: on standard error, and on a page where that was asked for.

use std::sync::Arc;

use deadheat_explore::Progress;
use deadheat_lab::record::Record;
use deadheat_scenario::Scenario;

use super::saving::saved;
use crate::feed::Feed;
use crate::progress::Display;
use crate::search::{Budget, Labs, Race, Watcher};
use crate::signals::Interrupted;

/// What shows one search.
pub struct Screen<'a> {
    display: Display,
    feed: Option<&'a Feed>,
    scenario: Arc<Scenario>,
    seed: u64,
}

impl<'a> Screen<'a> {
    /// Begins to show a search.
    pub fn new(
        scenario: &Arc<Scenario>,
        budget: &Budget,
        feed: Option<&'a Feed>,
        interrupted: &Interrupted,
    ) -> Self {
        if let Some(feed) = feed {
            feed.begin(scenario, budget.random);
        }
        Self {
            display: Display::new(&scenario.title, interrupted),
            feed,
            scenario: Arc::clone(scenario),
            seed: budget.seed,
        }
    }

    /// Says what is being done beside the search.
    pub fn doing(&self, what: &str) {
        self.display.doing(what);
        if let Some(feed) = self.feed {
            feed.doing(what);
        }
    }

    /// The labs are ready.
    pub fn labs(&self, labs: &Labs) {
        if let Some(feed) = self.feed {
            feed.labs(labs.windows());
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.display.clear();
    }
}

impl Watcher for Screen<'_> {
    fn progress(&mut self, progress: &Progress, serial_runs: u64, races: usize) {
        self.display.progress(progress, serial_runs, races);
        if let Some(feed) = self.feed {
            feed.progress(progress, serial_runs);
        }
    }

    fn ran(&mut self, record: &Record) {
        self.display.ran(record);
    }

    fn found(&mut self, race: &Race) {
        if let Some(feed) = self.feed {
            let saved = saved(race, &self.scenario, self.seed);
            // It has no file yet: it is saved when it has been made smaller.
            let number = feed.races();
            feed.race(number, saved, "", (race.run, race.preemptions));
        }
    }

    fn stopped(&self) -> bool {
        self.display.stopped()
    }
}
