//! Labs side by side, each on a thread of its own.
//!
//! A lab lives on one thread with its own runtime. All take their runs from one queue, in which a few wait so that no
//! lab stands still while the search thinks; which lab made a run makes no difference to the search.

mod queue;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use deadheat_explore::{Actor, Cursor, Run};
use deadheat_lab::record::{Record, Table};
use deadheat_lab::{Blueprint, Lab, Notes, Options, Part, Profile, Touched, Trouble, Window};
use deadheat_sandbox::{processors, stay_on};
use deadheat_sql::Footprint;
use deadheat_verdict::Written;

use self::queue::{Job, Queue};

/// Runs handed out for each lab: the one it makes, and one that waits.
const AHEAD: usize = 2;

/// What a lab has to say.
enum Told {
    Built(usize, Result<Start, Trouble>),
    Ran {
        ticket: u64,
        result: Result<(Record, Run<Footprint>), Trouble>,
        touched: Touched,
    },
}

/// A finished run.
pub struct Ran {
    /// The number that [`Labs::start`] gave it.
    pub ticket: u64,
    /// What it left, or why it failed; the lab has been made anew then.
    pub result: Result<(Record, Run<Footprint>), Trouble>,
    /// What it has written.
    pub touched: Touched,
}

/// Labs that are ready to run.
pub struct Labs {
    threads: Vec<JoinHandle<(Notes, Profile)>>,
    /// How many labs there are.
    count: usize,
    /// What each of them is doing.
    windows: Vec<Arc<Window>>,
    queue: Arc<Queue>,
    told: Receiver<Told>,
    tickets: u64,
    /// Runs under way or waiting.
    busy: usize,
    /// Results that came while something else was waited for.
    kept: VecDeque<Ran>,
    /// What runs were heard to write.
    heard: Touched,
    /// What runs of the search take as all that is written; reads of other tables are no steps in them.
    known: Option<Arc<Touched>>,
    /// The part of the scenario that runs are made of, if not all.
    part: Option<Arc<Part>>,
    /// The actors of the scenario that stand for faults.
    faults: BTreeSet<Actor>,
    /// Where every run starts.
    pub start: Start,
}

/// Where every run starts.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// What the databases hold.
    pub tables: BTreeMap<String, Table>,
    /// How many sequences a database has.
    pub sequences: usize,
    /// Names of the tables, by index of the database and oid.
    pub names: BTreeMap<(usize, u32), String>,
}

impl Labs {
    /// Builds `count` labs and warms them up.
    ///
    /// # Errors
    /// The first trouble of a lab.
    pub fn build(blueprint: &Arc<Blueprint>, count: usize) -> Result<Self, Trouble> {
        let (tell, told) = channel();
        let mut labs = Self {
            threads: Vec::new(),
            count,
            windows: Vec::new(),
            queue: Arc::default(),
            told,
            tickets: 0,
            busy: 0,
            kept: VecDeque::new(),
            heard: Touched::default(),
            known: None,
            part: None,
            faults: blueprint.faults(),
            start: Start::default(),
        };
        for (index, processor) in processors(count).into_iter().enumerate() {
            let queue = Arc::clone(&labs.queue);
            let blueprint = Arc::clone(blueprint);
            let tell = tell.clone();
            let window = Arc::new(Window::default());
            labs.windows.push(Arc::clone(&window));
            let thread = std::thread::Builder::new()
                .name(format!("lab-{index}"))
                .spawn(move || {
                    if let Some(processor) = processor {
                        stay_on(processor);
                    }
                    work((index, window), blueprint, &queue, &tell)
                })
                .map_err(|source| Trouble::System {
                    what: "starting a thread for a lab".to_owned(),
                    source,
                })?;
            labs.threads.push(thread);
        }
        for _ in 0..count {
            match labs.told.recv() {
                Ok(Told::Built(index, result)) => {
                    let start = result?;
                    if index == 0 {
                        labs.start = start;
                    }
                }
                Ok(Told::Ran { .. }) | Err(_) => {
                    return Err(Trouble::Bug("a lab ended while it was built".to_owned()));
                }
            }
        }
        Ok(labs)
    }

    /// How many labs there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Through which each lab can be seen at work.
    pub fn windows(&self) -> &[Arc<Window>] {
        &self.windows
    }

    /// Whether a further run would soon be made.
    pub fn has_room(&self) -> bool {
        self.busy < AHEAD * self.count
    }

    /// Starts a run as soon as a lab is free; returns its ticket.
    pub fn start(&mut self, cursor: Cursor<Footprint>, mut options: Options) -> u64 {
        if !options.serial {
            options.known.clone_from(&self.known);
        }
        options.part.clone_from(&self.part);
        self.tickets += 1;
        self.queue.add(Job {
            ticket: self.tickets,
            cursor,
            options,
        });
        self.busy += 1;
        self.tickets
    }

    /// Takes the runs back that no lab has begun; their tickets.
    pub fn take_back(&mut self) -> Vec<u64> {
        let tickets = self.queue.empty();
        self.busy -= tickets.len();
        tickets
    }

    /// From now on, reads of tables that nothing heard so far has written are no steps.
    pub fn take_as_known(&mut self) {
        tracing::debug!(written = ?self.heard, "what runs of the search take as written");
        self.known = Some(Arc::new(self.heard.clone()));
    }

    /// From now on, just these tables are taken as written, whatever was heard.
    pub fn take_written(&mut self, written: &Written) {
        let tables = self.start.names.iter();
        let tables = tables
            .filter(|(_, name)| written.tables.contains(*name))
            .map(|(table, _)| *table)
            .collect();
        let known = Touched::of(tables, written.everything);
        let known = known.and_serializable(self.heard.is_serializable());
        self.known = Some(Arc::new(known));
    }

    /// What runs of the search take as all that is written, by name.
    pub fn written(&self) -> Written {
        let known = self.known.as_deref().cloned().unwrap_or_default();
        let names = known
            .tables()
            .filter_map(|table| self.start.names.get(&table).cloned());
        Written {
            tables: names.collect(),
            everything: known.is_everything(),
        }
    }

    /// From now on, runs are made of this part of the scenario.
    pub fn play(&mut self, part: Option<Part>) {
        self.part = part.map(Arc::new);
    }

    /// The actors that stand for faults, as they are numbered in what is played.
    pub fn faults(&self) -> BTreeSet<Actor> {
        let place = |actor: &Actor| match &self.part {
            Some(part) => part.place(*actor),
            None => Some(*actor),
        };
        self.faults.iter().filter_map(place).collect()
    }

    /// How many runs were started so far.
    pub fn started(&self) -> u64 {
        self.tickets
    }

    /// Takes into account what a run has written.
    pub fn hear_of(&mut self, touched: &Touched) {
        self.heard.add(touched);
    }

    /// Whether more is written than the runs of the search were told.
    pub fn is_outgrown(&self) -> bool {
        let mut known = self.known.as_deref().cloned().unwrap_or_default();
        self.known.is_some() && known.add(&self.heard)
    }

    /// Waits until no run is under way; their results are kept for [`Labs::wait`].
    ///
    /// # Errors
    /// When a lab's thread has ended.
    pub fn set_aside(&mut self) -> Result<(), Trouble> {
        while self.busy > 0 {
            let ran = self.hear()?;
            self.kept.push_back(ran);
        }
        Ok(())
    }

    /// Waits for a run under way to finish.
    ///
    /// # Errors
    /// When a lab's thread has ended.
    pub fn wait(&mut self) -> Result<Ran, Trouble> {
        match self.kept.pop_front() {
            Some(ran) => Ok(ran),
            None => self.hear(),
        }
    }

    fn hear(&mut self) -> Result<Ran, Trouble> {
        match self.told.recv() {
            Ok(Told::Ran {
                ticket,
                result,
                touched,
            }) => {
                self.busy -= 1;
                Ok(Ran {
                    ticket,
                    result,
                    touched,
                })
            }
            Ok(Told::Built(_, Err(trouble))) => Err(trouble),
            Ok(Told::Built(_, Ok(_))) | Err(_) => {
                Err(Trouble::Bug("a lab ended while it ran".to_owned()))
            }
        }
    }

    /// Makes these runs while no other is under way, spread over the labs; their results in the order given.
    ///
    /// # Errors
    /// The first trouble of a run.
    pub fn run_all(
        &mut self,
        runs: Vec<(Cursor<Footprint>, Options)>,
    ) -> Result<Vec<(Record, Run<Footprint>)>, Trouble> {
        let mut waiting = runs.into_iter();
        let mut places: BTreeMap<u64, usize> = BTreeMap::new();
        let mut results: BTreeMap<usize, (Record, Run<Footprint>)> = BTreeMap::new();
        let mut started = 0;
        loop {
            while self.has_room() {
                let Some((cursor, options)) = waiting.next() else {
                    break;
                };
                places.insert(self.start(cursor, options), started);
                started += 1;
            }
            if places.is_empty() {
                return Ok(results.into_values().collect());
            }
            let ran = self.hear()?;
            let place = places
                .remove(&ran.ticket)
                .ok_or_else(|| Trouble::Bug("a lab answered what it was not asked".to_owned()))?;
            self.heard.add(&ran.touched);
            results.insert(place, ran.result?);
        }
    }

    /// Makes one run.
    ///
    /// # Errors
    /// Its trouble.
    pub fn run(
        &mut self,
        cursor: Cursor<Footprint>,
        options: Options,
    ) -> Result<(Record, Run<Footprint>), Trouble> {
        self.run_all(vec![(cursor, options)])?
            .pop()
            .ok_or_else(|| Trouble::Bug("a run left nothing".to_owned()))
    }

    /// Ends all labs; what they noted and where their time went.
    pub fn end(mut self) -> (Notes, Profile) {
        self.join()
    }

    fn join(&mut self) -> (Notes, Profile) {
        let mut notes = Notes::default();
        let mut profile = Profile::default();
        self.queue.close();
        for thread in self.threads.drain(..) {
            if let Ok((noted, spent)) = thread.join() {
                notes.merge(&noted);
                profile.merge(&spent);
            }
        }
        (notes, profile)
    }
}

impl Drop for Labs {
    fn drop(&mut self) {
        self.join();
    }
}

/// The life of one lab.
fn work(
    (index, window): (usize, Arc<Window>),
    blueprint: Arc<Blueprint>,
    queue: &Queue,
    tell: &Sender<Told>,
) -> (Notes, Profile) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(source) => {
            let what = "starting a lab's runtime".to_owned();
            let _ = tell.send(Told::Built(index, Err(Trouble::System { what, source })));
            return Default::default();
        }
    };
    let built = runtime.block_on(async {
        let mut lab = Lab::build(blueprint).await?;
        lab.show_in(window);
        let ready = match lab.warm_up().await {
            Ok(()) => lab.start_tables().await.map(|tables| Start {
                tables,
                sequences: lab.sequences(),
                names: lab.table_names(),
            }),
            Err(trouble) => Err(trouble),
        };
        match ready {
            Ok(start) => Ok((lab, start)),
            Err(trouble) => {
                lab.end().await;
                Err(trouble)
            }
        }
    });
    let mut lab = match built {
        Ok((lab, start)) => {
            let _ = tell.send(Told::Built(index, Ok(start)));
            lab
        }
        Err(trouble) => {
            let _ = tell.send(Told::Built(index, Err(trouble)));
            return Default::default();
        }
    };
    while let Some(job) = queue.next() {
        let result = runtime.block_on(async {
            let result = lab.run(job.cursor, job.options).await;
            if result.is_err() {
                lab.refurnish().await?;
            }
            result
        });
        let told = Told::Ran {
            ticket: job.ticket,
            result,
            touched: lab.touched().clone(),
        };
        if tell.send(told).is_err() {
            break;
        }
    }
    let left = (lab.notes().clone(), *lab.profile());
    runtime.block_on(lab.end());
    left
}
