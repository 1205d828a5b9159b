//! The same statements in the same order over plain connections: what a run costs at the least.
//!
//! One client a database, with a connection an actor, on the server's Unix socket, as the gate's own. A statement that
//! waited in the lab is sent and not waited for until the step that freed it has been answered; nobody asks the server
//! whether it waits. Before every run the same reset puts the same tables back.

use std::future::poll_fn;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::time::{Duration, Instant};

use deadheat_explore::Actor;
use deadheat_lab::record::{Record, Step};
use deadheat_sandbox::{Address, PrivateOptions, Server, Template, Written};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::Fallible;
use crate::bed::Bed;

/// The answer to a statement that waits.
type Answer<'c> =
    Pin<Box<dyn Future<Output = Result<Vec<SimpleQueryMessage>, tokio_postgres::Error>> + 'c>>;

/// A run as it was in a lab: what was sent, in which order.
#[derive(Clone)]
pub struct Script {
    actors: usize,
    steps: Vec<Step>,
    tables: Vec<String>,
}

impl Script {
    fn of(record: &Record) -> Self {
        Self {
            actors: record.actors.len(),
            steps: record.steps.clone(),
            tables: record.tables.keys().cloned().collect(),
        }
    }

    /// Whether a statement waits in it.
    pub fn waits(&self) -> bool {
        self.steps.iter().any(|step| !step.blocked_by.is_empty())
    }

    /// Who moves, step by step.
    pub fn schedule(&self) -> Vec<Actor> {
        self.steps.iter().map(|step| step.actor).collect()
    }

    async fn play(&self, clients: &[Client]) -> Fallible<()> {
        let mut waiting: Vec<Option<Answer<'_>>> = (0..self.actors).map(|_| None).collect();
        for step in &self.steps {
            let actor = usize::from(step.actor.0);
            let last = step.statements.len().saturating_sub(1);
            for (at, statement) in step.statements.iter().enumerate() {
                let mut answer: Answer<'_> = Box::pin(clients[actor].simple_query(&statement.sql));
                if at == last && !step.blocked_by.is_empty() {
                    // The first poll sends it.
                    if poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx).is_pending())).await {
                        waiting[actor] = Some(answer);
                    }
                } else {
                    answer.await?;
                }
            }
            for freed in &step.wakes {
                if let Some(answer) = waiting[usize::from(freed.0)].take() {
                    answer.await?;
                }
            }
        }
        Ok(())
    }
}

/// All runs of a scenario's exhaustive search.
pub fn scripts(bed: &mut Bed) -> Fallible<Vec<Script>> {
    let mut scripts = Vec::new();
    bed.search(|record, _| scripts.push(Script::of(record)))?;
    Ok(scripts)
}

/// A scenario's database, without labs.
pub struct Straight {
    runtime: Runtime,
    server: Server,
    template: Arc<Template>,
    written: Written,
}

impl Straight {
    /// Sets the scenario's only database up.
    pub fn open(path: &str, scripts: &[Script]) -> Fallible<Self> {
        let scenario = deadheat_scenario::load(Path::new(path))?;
        let plan = scenario
            .databases
            .values()
            .next()
            .ok_or("it has no database")?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let (server, template, written) = runtime.block_on(async {
            let server = Server::private(&PrivateOptions::default()).await?;
            let mut database = server.create().await?;
            for sql in plan.setup.iter().map(|file| &file.text).chain(&plan.sql) {
                database.run_sql(path, sql).await?;
            }
            let catalog = database.snapshot().await?;
            let named = |name: &str| {
                scripts
                    .iter()
                    .any(|one| one.tables.iter().any(|it| it == name))
            };
            let tables = catalog.tables.iter().filter(|table| named(&table.name));
            let written = Written::Tables(tables.map(|table| table.oid).collect());
            let template = database.freeze().await?;
            Ok::<_, Box<dyn std::error::Error>>((server, template, written))
        })?;
        Ok(Self {
            runtime,
            server,
            template: Arc::new(template),
            written,
        })
    }

    /// Runs a second over `time`, made by so many clients side by side.
    pub fn sustained(&self, scripts: &[Script], clients: usize, time: Duration) -> Fallible<f64> {
        let barrier = Arc::new(Barrier::new(clients));
        let rates: Vec<Result<f64, String>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..clients)
                .map(|_| {
                    let barrier = Arc::clone(&barrier);
                    scope.spawn(move || {
                        self.one(scripts, &barrier, time)
                            .map_err(|error| error.to_string())
                    })
                })
                .collect();
            let ended = threads.into_iter().map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err("a client panicked".to_owned()))
            });
            ended.collect()
        });
        let mut sum = 0.0;
        for rate in rates {
            sum += rate?;
        }
        Ok(sum)
    }

    fn one(&self, scripts: &[Script], barrier: &Barrier, time: Duration) -> Fallible<f64> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let actors = scripts.first().map_or(0, |script| script.actors);
            let ready = async {
                let database = self.template.fork().await?;
                let mut clients = Vec::new();
                for _ in 0..actors {
                    clients.push(connect(self.server.address(), database.name()).await?);
                }
                Ok::<_, Box<dyn std::error::Error>>((database, clients))
            };
            let ready = ready.await;
            barrier.wait();
            let (database, clients) = ready?;
            let started = Instant::now();
            let mut runs = 0;
            while started.elapsed() < time {
                for script in scripts {
                    database.reset(&self.written).await?;
                    script.play(&clients).await?;
                    runs += 1;
                }
            }
            let rate = f64::from(runs) / started.elapsed().as_secs_f64();
            drop(clients);
            database.drop().await?;
            Ok(rate)
        })
    }
}

impl Drop for Straight {
    fn drop(&mut self) {
        // Where the template is dropped, a runtime must be at hand.
        let _guard = self.runtime.enter();
    }
}

async fn connect(address: &Address, database: &str) -> Fallible<Client> {
    let mut config = Config::new();
    config
        .user(&address.user)
        .dbname(database)
        .port(address.port);
    match &address.socket {
        Some(folder) => config.host_path(folder),
        None => config.host(&address.host),
    };
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            eprintln!("a connection ended: {error}");
        }
    });
    Ok(client)
}
