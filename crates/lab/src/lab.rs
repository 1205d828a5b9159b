//! A lab: one copy of the scenario's databases, services, gates and actors, that runs one schedule at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use deadheat_explore::{Actor, Cursor, Run as Explored};
use deadheat_gate::{Gate, Points};
use deadheat_sql::Footprint;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::base::Base;
use crate::blueprint::Blueprint;
use crate::cast::Cast;
use crate::difference::first_difference;
use crate::error::Trouble;
use crate::note::Notes;
use crate::part::Part;
use crate::profile::{Phase, Profile};
use crate::record::{End, Fault, Record, Table};
use crate::run::{Played, Run};
use crate::stage::Stage;
use crate::timer::Timer;
use crate::touched::Touched;
use crate::window::Window;

/// Serial runs in which the statements of the actors must come to repeat themselves.
const WARM_UPS: usize = 8;

/// One lab. All of it lives on the runtime (a single thread) on which it was built.
pub struct Lab {
    pub(crate) blueprint: Arc<Blueprint>,
    pub(crate) stage: Stage,
    pub(crate) cast: Cast,
    pub(crate) gates: Vec<Gate>,
    /// Where points in the code of services and commands are held.
    pub(crate) points: Vec<Points>,
    pub(crate) events: UnboundedSender<deadheat_gate::Event>,
    /// Where the services listen.
    pub(crate) services_at: BTreeMap<String, SocketAddr>,
    /// Whether nothing has run since the databases were last put back.
    pub(crate) fresh: bool,
    /// What the last run has written.
    touched: Touched,
    /// Whether a transaction of any run was serializable.
    serializable: bool,
    profile: Profile,
}

/// How a run is to be made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Sequences are moved on first, each by its own offset, so that generated values show themselves.
    pub advance: bool,
    /// The actors run one after the other: what they send is remembered.
    pub serial: bool,
    /// Tables that are known to be written: reads of others are no steps. Not for serial runs, from which it is learned.
    pub known: Option<Arc<Touched>>,
    /// Actors that do not take part.
    pub absent: Vec<Actor>,
    /// The part of the scenario that the run is made of, if not all: then actors are numbered within it, everywhere.
    pub part: Option<Arc<Part>>,
    /// The written tables are read after every step, for whoever wants to see them change.
    pub look: bool,
}

impl Lab {
    /// Builds a lab: copies the databases, starts the services, makes the requests that come before.
    ///
    /// # Errors
    /// When a service does not come up, a request before the runs fails, or the sandbox does.
    pub async fn build(blueprint: Arc<Blueprint>) -> Result<Self, Trouble> {
        let (events, heard) = unbounded_channel();
        let (say, said) = unbounded_channel();
        let stage = Stage::new(
            Arc::clone(&blueprint.learned),
            Timer::new().map_err(Trouble::system("making a timer"))?,
            heard,
            say,
            said,
        );
        let mut lab = Self {
            cast: Cast {
                actors: Vec::new(),
                most_faults: 0,
            },
            gates: Vec::new(),
            points: Vec::new(),
            services_at: BTreeMap::new(),
            blueprint,
            stage,
            events,
            fresh: true,
            touched: Touched::default(),
            serializable: false,
            profile: Profile::default(),
        };
        let turns = Arc::clone(&lab.blueprint.turns);
        let turn = turns.take(false).await;
        lab.furnish().await?;
        drop(turn);
        Ok(lab)
    }

    /// What the databases hold at the start of every run, table by table: what the last run left is put back first.
    ///
    /// # Errors
    /// When a database cannot be put back or read.
    pub async fn start_tables(&mut self) -> Result<BTreeMap<String, Table>, Trouble> {
        let turns = Arc::clone(&self.blueprint.turns);
        let _turn = turns.take(self.serializable).await;
        self.put_back(false).await?;
        let mut tables = BTreeMap::new();
        for base in &self.stage.bases {
            tables.extend(base.all_tables().await?);
        }
        Ok(tables)
    }

    /// How many sequences the databases have, at most.
    pub fn sequences(&self) -> usize {
        let of = |base: &Base| base.sequences();
        self.stage.bases.iter().map(of).max().unwrap_or(0)
    }

    /// Names of the tables, as in [`Record::tables`], by index of the database and oid.
    pub fn table_names(&self) -> BTreeMap<(usize, u32), String> {
        let bases = self.stage.bases.iter().enumerate();
        bases
            .flat_map(|(index, base)| {
                base.shown_names()
                    .map(move |(oid, name)| ((index, oid), name))
            })
            .collect()
    }

    /// What a user should know besides outcomes.
    pub fn notes(&self) -> &Notes {
        &self.stage.notes
    }

    /// Has its runs be seen through this window.
    pub fn show_in(&mut self, window: Arc<Window>) {
        self.stage.window = window;
    }

    /// What the last run has written.
    pub fn touched(&self) -> &Touched {
        &self.touched
    }

    /// Where the time went.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Runs the actors one after the other until their statements repeat: caches fill, prepared statements are made,
    /// and the lab learns who sends what.
    ///
    /// # Errors
    /// [`Trouble::Unrepeatable`] when they never do.
    pub async fn warm_up(&mut self) -> Result<(), Trouble> {
        let all = (0..self.cast.actors.len() as u16).map(Actor);
        let (absent, order): (Vec<Actor>, Vec<Actor>) =
            all.partition(|actor| self.cast.fault(*actor).is_some());
        let serial = Options {
            serial: true,
            absent,
            ..Options::default()
        };
        let mut last: Option<Record> = None;
        let mut difference = None;
        for _ in 0..WARM_UPS {
            let (record, _) = self
                .run(Cursor::order(order.clone()), serial.clone())
                .await?;
            if let Some(last) = &last {
                difference = first_difference(last, &record);
                if difference.is_none() {
                    self.note_varying(last, &record);
                    return Ok(());
                }
            }
            last = Some(record);
        }
        Err(difference.map_or_else(
            || Trouble::bug("no warm-up run was made"),
            |difference| Trouble::Unrepeatable(Box::new(difference)),
        ))
    }

    /// Remembers the statements whose values differ between two runs of one schedule.
    fn note_varying(&mut self, one: &Record, other: &Record) {
        for (one, other) in one.steps.iter().zip(&other.steps) {
            if one.statements == other.statements {
                continue;
            }
            self.stage.learned.varies(one.actor, one.fingerprint);
            let differing = one
                .statements
                .iter()
                .zip(&other.statements)
                .find(|(one, other)| one != other);
            if let Some((one_statement, other_statement)) = differing {
                let name = &self.cast.actors[usize::from(one.actor.0)].name;
                self.stage.notes.varies(
                    name,
                    &one_statement.in_one_line(),
                    &other_statement.in_one_line(),
                );
            }
        }
    }

    /// Makes one run.
    ///
    /// # Errors
    /// When the sandbox fails or an actor never comes to rest; the lab must be [refurnished](Lab::refurnish) then.
    pub async fn run(
        &mut self,
        cursor: Cursor<Footprint>,
        options: Options,
    ) -> Result<(Record, Explored<Footprint>), Trouble> {
        if std::mem::take(&mut self.stage.cold) {
            Box::pin(self.warm_up()).await?;
        }
        let known = options.known.as_deref();
        let strict = known.is_some_and(Touched::is_serializable);
        self.serializable |= strict;
        let turns = Arc::clone(&self.blueprint.turns);
        let _turn = turns.take(self.serializable).await;
        let started = Instant::now();
        self.put_back(options.advance).await?;
        if strict {
            for base in &mut self.stage.bases {
                base.ledger.heed_places();
            }
        }
        self.profile.add(Phase::Reset, started.elapsed());
        let started = Instant::now();
        self.fresh = false;
        self.stage.known.clone_from(&options.known);
        let invariants = &self.blueprint.scenario.check.invariants;
        let played = Run::new(
            &mut self.stage,
            &self.cast,
            &self.gates,
            invariants,
            options.serial,
        )
        .of_part(options.part.clone())
        .without(&options.absent)
        .looking(options.look)
        .play(cursor)
        .await?;
        self.profile.add(Phase::Play, started.elapsed());
        let started = Instant::now();
        self.touched = Touched::default();
        for (index, base) in self.stage.bases.iter().enumerate() {
            base.touched(index, &mut self.touched);
        }
        self.serializable |= self.touched.is_serializable();
        let stuck = matches!(played.end, End::Stuck(_));
        let (mut record, explored) = self.record(played, options.serial).await?;
        if let Some(part) = &options.part {
            record = part.record(record);
        } else if options.serial {
            self.stage.notes.ran_serially(&record);
        }
        if stuck {
            self.furnish().await?;
        }
        self.profile.add(Phase::Outcome, started.elapsed());
        Ok((record, explored))
    }

    /// Makes the lab anew after a run that failed.
    ///
    /// # Errors
    /// As [`Lab::build`].
    pub async fn refurnish(&mut self) -> Result<(), Trouble> {
        let turns = Arc::clone(&self.blueprint.turns);
        let _turn = turns.take(self.serializable).await;
        self.furnish().await
    }

    /// Ends everything the lab started and drops its databases.
    pub async fn end(mut self) {
        self.clear().await;
    }

    async fn record(
        &mut self,
        played: Played,
        serial: bool,
    ) -> Result<(Record, Explored<Footprint>), Trouble> {
        let mut tables = BTreeMap::new();
        let mut invariants = played.broken;
        if played.end != End::Cut {
            for base in &self.stage.bases {
                tables.extend(base.tables().await?);
            }
            let at = played.steps.len();
            for invariant in &self.blueprint.scenario.check.invariants {
                let (found, wrong) = self.stage.check(invariant, at).await;
                if let (Some(how), true) = (wrong, serial) {
                    return Err(Trouble::Invariant {
                        name: invariant.name.clone(),
                        sql: invariant.sql.clone(),
                        how,
                    });
                }
                invariants.push(found);
            }
        }
        let record = Record {
            actors: self
                .cast
                .actors
                .iter()
                .map(|role| role.name.clone())
                .collect(),
            steps: played.steps,
            replies: played.replies,
            tables,
            invariants,
            end: played.end,
            left_open: played.left_open,
            looks: played.looks,
            faults: self.faults(&played.struck),
        };
        Ok((record, played.explored))
    }

    /// The faults that a run may have had, and whether it had them.
    fn faults(&self, struck: &BTreeSet<Actor>) -> Vec<Fault> {
        let actors = self.cast.actors.iter().enumerate();
        let faults = actors.filter_map(|(n, role)| {
            let (actor, fault) = (Actor(n as u16), role.fault?);
            let happens = fault.of.is_some() || fault.service.is_some();
            happens.then_some(Fault {
                actor,
                kind: fault.kind,
                of: fault.of,
                struck: struck.contains(&actor),
            })
        });
        faults.collect()
    }

    /// Puts everything back to where every run starts.
    async fn put_back(&mut self, advance: bool) -> Result<(), Trouble> {
        let exactly = self.serializable;
        let misplaced = exactly && self.stage.bases.iter().any(|base| !base.exact);
        if advance || !self.fresh || misplaced {
            let mut same_schema = true;
            for base in &mut self.stage.bases {
                same_schema &= base.put_back(advance, exactly).await?;
            }
            if !same_schema {
                self.after_schema_change(advance, exactly).await?;
            }
        }
        self.reset_services().await?;
        self.before(true).await?;
        self.connect().await
    }

    /// The run changed the schema: only fresh copies of the databases are as before.
    async fn after_schema_change(&mut self, advance: bool, exactly: bool) -> Result<(), Trouble> {
        let scenario = &self.blueprint.scenario;
        if !scenario.services.is_empty() || !scenario.before.is_empty() {
            // Services hold connections to the old copy, and what came before the runs is in it.
            self.furnish().await?;
        } else {
            self.stage.clients.clear();
            let mut labels = Vec::new();
            for base in std::mem::take(&mut self.stage.bases) {
                labels.push(base.retire().await);
            }
            let blueprint = Arc::clone(&self.blueprint);
            for (ground, label) in blueprint.grounds.iter().zip(labels) {
                let mut base = blueprint.copy(ground, &label).await?;
                base.take_as_start().await?;
                self.stage.bases.push(base);
            }
            self.recast().await?;
        }
        if advance || exactly {
            for base in &mut self.stage.bases {
                base.put_back(advance, exactly).await?;
            }
        }
        Ok(())
    }
}
