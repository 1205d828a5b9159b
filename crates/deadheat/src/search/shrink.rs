//! A race that is found is made smaller: fewer actors, fewer requests, fewer preemptions, as long as the same thing
//! goes wrong.
//!
//! What is left out is tried on the labs that found the race, with a part of the scenario and the serial orders of that
//! part. First the race's own schedule is tried, without the steps of those who are left out; where few are left, a
//! short search follows. It ends when nothing more can be left out, or when its runs or its time are used up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use deadheat_explore::{Actor, Cursor, Progress, Run, fewer_switches};
use deadheat_lab::record::{End, Record};
use deadheat_lab::{Kept, Options, Part, Trouble, first_difference};
use deadheat_scenario::{Scenario, Work};
use deadheat_sql::Footprint;
use deadheat_verdict::{Finding, Rules, errors};

use super::{Budget, Hunt, Labs, Race, Searched, Stop, Watcher};

/// Runs that may be spent on one race.
const MOST_RUNS: u64 = 500;
/// Time that may be spent on the races of a search, if the search itself did not take longer.
const LEAST_TIME: Duration = Duration::from_secs(10);
/// Up to so many actors a search is made where the schedule alone does not show the race.
const SEARCHED_UP_TO: usize = 3;
/// Runs of such a search.
const SEARCH_RUNS: u64 = 30;

impl Searched {
    /// Makes the races smaller that were found.
    ///
    /// # Errors
    /// When a lab cannot run.
    pub fn shrink(
        &mut self,
        labs: &mut Labs,
        scenario: &Scenario,
        rules: &Rules,
        watcher: &mut dyn Watcher,
    ) -> Result<(), Trouble> {
        let before = labs.started();
        let ends = Instant::now() + self.time.max(LEAST_TIME);
        for race in &mut self.races {
            let mut shrinker = Shrinker {
                best: race.clone(),
                wanted: race.clone(),
                part: Part::all(scenario.actors.len()),
                most: labs.started() + MOST_RUNS,
                labs,
                scenario,
                rules,
                watcher,
                ends,
                cut_short: false,
            };
            let done = shrinker.all();
            shrinker.labs.play(None);
            match done {
                Ok(()) => {}
                Err(Stop::Trouble(trouble)) => return Err(trouble),
                // A smaller scenario that does not repeat is no better than the larger one that did.
                Err(Stop::Unrepeatable(_)) => shrinker.cut_short = true,
            }
            shrinker.say_what_is_left_out();
            self.shrinking.cut_short |= shrinker.cut_short;
            *race = shrinker.best;
        }
        self.shrinking.runs = labs.started() - before;
        Ok(())
    }
}

struct Shrinker<'a> {
    labs: &'a mut Labs,
    scenario: &'a Scenario,
    rules: &'a Rules,
    watcher: &'a mut dyn Watcher,
    /// The race as it was found.
    wanted: Race,
    /// The smallest so far, and who takes part in it.
    best: Race,
    part: Part,
    ends: Instant,
    /// Number of the last run that may be made.
    most: u64,
    cut_short: bool,
}

impl Shrinker<'_> {
    fn all(&mut self) -> Result<(), Stop> {
        self.those_of_the_cycle()?;
        loop {
            let actors = self.fewer_actors()?;
            let requests = self.fewer_requests()?;
            if !(actors || requests) || self.is_over() {
                break;
            }
        }
        self.fewer_preemptions()
    }

    /// Whether the effort is used up; remembers it.
    fn is_over(&mut self) -> bool {
        let over = self.watcher.stopped()
            || Instant::now() >= self.ends
            || self.labs.started() >= self.most;
        self.cut_short |= over;
        over
    }

    /// Often the actors of the cycle are all that it takes.
    fn those_of_the_cycle(&mut self) -> Result<(), Stop> {
        let finding = &self.best.finding;
        let mut involved: BTreeSet<Actor> = finding.cycle.iter().map(|edge| edge.from).collect();
        if involved.is_empty() {
            let steps = &self.best.record.steps;
            involved.extend(finding.matters.iter().map(|step| steps[*step].actor));
        }
        if involved.len() >= 2 && involved.len() < self.part.actors.len() {
            let mut part = self.part.clone();
            part.actors.retain(|kept| {
                self.part
                    .place(kept.actor)
                    .is_some_and(|at| involved.contains(&at))
            });
            self.drop_orphans(&mut part);
            self.attempt(part)?;
        }
        Ok(())
    }

    /// Leaves out one actor after the other, the latest first; returns whether any could be.
    fn fewer_actors(&mut self) -> Result<bool, Stop> {
        let mut fewer = false;
        for kept in self.part.actors.clone().iter().rev() {
            if self.part.actors.len() <= 2 {
                break;
            }
            let mut part = self.part.clone();
            part.actors.retain(|other| other.actor != kept.actor);
            self.drop_orphans(&mut part);
            fewer |= self.attempt(part)?;
        }
        Ok(fewer)
    }

    /// Faults of actors that are left out happen to nobody.
    fn drop_orphans(&self, part: &mut Part) {
        let actors = &self.scenario.actors;
        let actor = |kept: &Kept| &actors[usize::from(kept.actor.0)];
        let there: BTreeSet<&String> = part.actors.iter().map(|one| &actor(one).name).collect();
        part.actors.retain(|one| {
            let fault = actor(one).fault.as_ref();
            fault.is_none_or(|fault| fault.kind.is_of_service() || there.contains(&fault.of))
        });
    }

    /// Leaves out one request after the other; returns whether any could be.
    fn fewer_requests(&mut self) -> Result<bool, Stop> {
        let mut fewer = false;
        for (at, kept) in self.part.actors.clone().iter().enumerate() {
            let scenario = self.scenario;
            let Work::Requests(requests) = &scenario.actors[usize::from(kept.actor.0)].work else {
                continue;
            };
            for index in (0..requests.len()).rev() {
                let without = &self.part.actors[at].without;
                // Others may need what it saves; and who makes no request at all is to be left out as an actor.
                let needed = !requests[index].save.is_empty();
                if needed || without.contains(&index) || without.len() + 1 >= requests.len() {
                    continue;
                }
                let mut part = self.part.clone();
                part.actors[at].without.insert(index);
                fewer |= self.attempt(part)?;
            }
        }
        Ok(fewer)
    }

    /// Joins what an actor does apart, as long as preemptions are left.
    fn fewer_preemptions(&mut self) -> Result<(), Stop> {
        let schedule = |race: &Race| race.record.steps.iter().map(|step| step.actor).collect();
        let mut shorter = fewer_switches(schedule(&self.best));
        while self.best.preemptions > 1 {
            let Some(candidate) = shorter.candidate() else {
                return Ok(());
            };
            if self.is_over() {
                return Ok(());
            }
            self.labs.play(Some(self.part.clone()));
            if let Some(race) = self.follow(candidate)?
                && race.preemptions < self.best.preemptions
            {
                shorter.persisted(schedule(&race));
                self.best = race;
            }
        }
        Ok(())
    }

    /// Tries whether the race is there in this part of the scenario as well; if so, it is the best from now on.
    fn attempt(&mut self, part: Part) -> Result<bool, Stop> {
        if self.is_over() {
            return Ok(false);
        }
        tracing::debug!(?part, "does the race happen in this part alone?");
        let steps = self.best.record.steps.iter();
        let schedule = steps
            .filter_map(|step| part.place(self.part.actors[usize::from(step.actor.0)].actor))
            .collect();
        self.labs.play(Some(part.clone()));
        let mut found = self.follow(schedule)?;
        if found.is_none() && part.actors.len() <= SEARCHED_UP_TO {
            found = self.search(part.actors.len())?;
        }
        let Some(race) = found else {
            return Ok(false);
        };
        self.best = race;
        self.part = part;
        Ok(true)
    }

    /// The race that this schedule shows in the part that is played, if it is the one that is wanted.
    fn follow(&mut self, schedule: Vec<Actor>) -> Result<Option<Race>, Stop> {
        let (record, run) = self.once(schedule)?;
        if !self.may_be_it(&record) {
            return Ok(None);
        }
        let budget = Budget::none();
        let actors = record.actors.len();
        let mut quiet = Quiet(self.watcher);
        let mut hunt = Hunt::new(self.labs, actors, self.rules.clone(), &budget, &mut quiet);
        let finding = hunt.check().and_then(|mut check| check.finding(&record));
        let Some(finding) = unless_unrepeatable(finding)?.flatten() else {
            return Ok(None);
        };
        // The serial orders may have shown that more is written: then there are more steps now.
        let (again, run_again) = self.once(run.schedule())?;
        if !self.is_it(&finding) || first_difference(&record, &again).is_some() {
            return Ok(None);
        }
        Ok(Some(Race {
            run: self.wanted.run,
            preemptions: run_again.preemptions(),
            record,
            finding,
            written: self.labs.written(),
            left_out: Vec::new(),
            without_requests: BTreeMap::new(),
            history: None,
        }))
    }

    fn once(&mut self, schedule: Vec<Actor>) -> Result<(Record, Run<Footprint>), Stop> {
        let cursor = Cursor::replay(schedule);
        Ok(self.labs.run(cursor, Options::default())?)
    }

    /// Searches the part that is played for the race.
    fn search(&mut self, actors: usize) -> Result<Option<Race>, Stop> {
        let budget = Budget {
            preemptions: Some(self.wanted.preemptions.max(1)),
            runs: Some(SEARCH_RUNS),
            time: Some(self.ends.saturating_duration_since(Instant::now())),
            keep_going: true,
            ..Budget::none()
        };
        let mut quiet = Quiet(self.watcher);
        let hunt = Hunt::new(self.labs, actors, self.rules.clone(), &budget, &mut quiet);
        let races = hunt.search().map_err(Stop::from)?.races;
        Ok(races.into_iter().find(|race| self.is_it(&race.finding)))
    }

    /// Whether it is the same kind of race, and everything that was broken is broken.
    fn is_it(&self, finding: &Finding) -> bool {
        let wanted = &self.wanted.finding;
        let broken = |check: &String| finding.checks.contains(check);
        finding.kind == wanted.kind && wanted.checks.iter().all(broken)
    }

    /// Whether the run looks like it, before any serial order is made to tell.
    fn may_be_it(&self, record: &Record) -> bool {
        let mut checks = self.wanted.finding.checks.iter();
        checks.all(|check| match check.as_str() {
            "serial" => true,
            "errors" => !errors::reached(record).is_empty(),
            "stuck" => matches!(record.end, End::Stuck(_)),
            "left open" => !record.left_open.is_empty(),
            name => record
                .invariants
                .iter()
                .any(|one| one.name == name && !one.holds),
        })
    }

    /// Writes into the race what it happens without.
    fn say_what_is_left_out(&mut self) {
        let mut words = Vec::new();
        let actors = self.scenario.actors.iter().enumerate();
        let gone: Vec<String> = actors
            .filter(|(n, _)| self.part.place(Actor(*n as u16)).is_none())
            .map(|(_, actor)| actor.name.clone())
            .collect();
        if !gone.is_empty() {
            let actors = if gone.len() == 1 { "actor" } else { "actors" };
            let names = deadheat_verdict::words::list(&gone);
            words.push(format!("{} {actors}: {names}", gone.len()));
        }
        for kept in self
            .part
            .actors
            .iter()
            .filter(|kept| !kept.without.is_empty())
        {
            let actor = &self.scenario.actors[usize::from(kept.actor.0)];
            let Work::Requests(requests) = &actor.work else {
                continue;
            };
            for index in &kept.without {
                let (name, line) = (&actor.name, requests[*index].line());
                words.push(format!("{name}'s request {} ({line})", index + 1));
            }
            let counted = kept.without.iter().map(|index| index + 1).collect();
            self.best
                .without_requests
                .insert(actor.name.clone(), counted);
        }
        let fewer = self
            .wanted
            .preemptions
            .saturating_sub(self.best.preemptions);
        if fewer > 0 {
            let all = self.wanted.preemptions;
            words.push(format!("{fewer} of {all} preemptions"));
        }
        self.best.left_out = words;
    }
}

/// What does not repeat in a smaller scenario is not what was looked for.
fn unless_unrepeatable<T>(result: Result<T, Stop>) -> Result<Option<T>, Stop> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Stop::Unrepeatable(difference)) => {
            tracing::debug!(?difference, "a part of the scenario does not repeat");
            Ok(None)
        }
        Err(stop) => Err(stop),
    }
}

/// Passes on that the user wants an end, but not how far each small search is.
struct Quiet<'a>(&'a dyn Watcher);

impl Watcher for Quiet<'_> {
    fn progress(&mut self, _: &Progress, _: u64, _: usize) {}

    fn stopped(&self) -> bool {
        self.0.stopped()
    }
}
