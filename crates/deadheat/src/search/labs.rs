//! Labs side by side, each on a thread of its own.
//!
//! A lab lives on one thread with its own runtime. The search sends it one run at a time and hears what it left; which
//! lab made a run makes no difference to the search.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use deadheat_explore::{Cursor, Run};
use deadheat_lab::record::{Record, Table};
use deadheat_lab::{Blueprint, Lab, Notes, Options, Profile, Touched, Trouble};
use deadheat_sql::Footprint;

/// One run to make.
struct Job {
    ticket: u64,
    cursor: Cursor<Footprint>,
    options: Options,
}

/// What a lab has to say.
enum Told {
    Built(usize, Result<Start, Trouble>),
    Ran {
        lab: usize,
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

struct Worker {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<(Notes, Profile)>>,
}

/// Labs that are ready to run.
pub struct Labs {
    workers: Vec<Worker>,
    idle: Vec<usize>,
    told: Receiver<Told>,
    tickets: u64,
    /// Runs under way.
    busy: usize,
    /// Results that came while something else was waited for.
    kept: VecDeque<Ran>,
    /// What runs were heard to write.
    heard: Touched,
    /// What runs of the search take as all that is written; reads of other tables are no steps in them.
    known: Option<Arc<Touched>>,
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
}

impl Labs {
    /// Builds `count` labs and warms them up.
    ///
    /// # Errors
    /// The first trouble of a lab.
    pub fn build(blueprint: &Arc<Blueprint>, count: usize) -> Result<Self, Trouble> {
        let (tell, told) = channel();
        let mut labs = Self {
            workers: Vec::new(),
            idle: Vec::new(),
            told,
            tickets: 0,
            busy: 0,
            kept: VecDeque::new(),
            heard: Touched::default(),
            known: None,
            start: Start::default(),
        };
        for index in 0..count {
            let (jobs, orders) = channel();
            let blueprint = Arc::clone(blueprint);
            let tell = tell.clone();
            let thread = std::thread::Builder::new()
                .name(format!("lab-{index}"))
                .spawn(move || work(index, blueprint, &orders, &tell))
                .map_err(|source| Trouble::System {
                    what: "starting a thread for a lab".to_owned(),
                    source,
                })?;
            labs.workers.push(Worker {
                jobs: Some(jobs),
                thread: Some(thread),
            });
        }
        for _ in 0..count {
            match labs.told.recv() {
                Ok(Told::Built(index, result)) => {
                    let start = result?;
                    if index == 0 {
                        labs.start = start;
                    }
                    labs.idle.push(index);
                }
                Ok(Told::Ran { .. }) | Err(_) => {
                    return Err(Trouble::Bug("a lab ended while it was built".to_owned()));
                }
            }
        }
        labs.idle.sort_unstable_by(|one, other| other.cmp(one));
        Ok(labs)
    }

    /// How many labs there are.
    pub fn count(&self) -> usize {
        self.workers.len()
    }

    /// Whether a lab has nothing to do.
    pub fn has_idle(&self) -> bool {
        !self.idle.is_empty()
    }

    /// Starts a run on an idle lab; returns its ticket.
    ///
    /// # Panics
    /// When no lab is idle.
    pub fn start(&mut self, cursor: Cursor<Footprint>, mut options: Options) -> u64 {
        if !options.serial {
            options.known.clone_from(&self.known);
        }
        let lab = self.idle.pop().expect("the caller saw an idle lab");
        self.tickets += 1;
        let job = Job {
            ticket: self.tickets,
            cursor,
            options,
        };
        if let Some(jobs) = &self.workers[lab].jobs {
            // A lab that is gone is noticed when its answer is waited for.
            let _ = jobs.send(job);
        }
        self.busy += 1;
        self.tickets
    }

    /// From now on, reads of tables that nothing heard so far has written are no steps.
    pub fn take_as_known(&mut self) {
        tracing::debug!(written = ?self.heard, "what runs of the search take as written");
        self.known = Some(Arc::new(self.heard.clone()));
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
                lab,
                ticket,
                result,
                touched,
            }) => {
                self.idle.push(lab);
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
            while self.has_idle() {
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
        for worker in &mut self.workers {
            worker.jobs = None;
        }
        for worker in &mut self.workers {
            if let Some(Ok((noted, spent))) = worker.thread.take().map(JoinHandle::join) {
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
    index: usize,
    blueprint: Arc<Blueprint>,
    jobs: &Receiver<Job>,
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
        let ready = match lab.warm_up().await {
            Ok(()) => lab.start_tables().await.map(|tables| Start {
                tables,
                sequences: lab.sequences(),
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
    for job in jobs {
        let result = runtime.block_on(async {
            let result = lab.run(job.cursor, job.options).await;
            if result.is_err() {
                lab.refurnish().await?;
            }
            result
        });
        let told = Told::Ran {
            lab: index,
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
