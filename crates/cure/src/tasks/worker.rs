//! A worker: which queue it serves, with what, and how many tasks at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Config, Socket};

use super::handler::{Call, Handler, call};
use super::listen::{Listener, listener};
use super::runs::Runs;
use super::{Error, Task};
use crate::Pool;
use crate::retry::Policy;

/// Serves one queue: claims what is due and hands it to its handlers.
///
/// ```no_run
/// # use std::time::Duration;
/// # use deadheat_cure::{Pool, Tx, tasks::{Failure, Handler, Job, Task, Worker}};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Validate { demand: i64 }
/// # impl Task for Validate { const KIND: &'static str = "validate"; }
/// struct Market;
///
/// impl Handler<Validate> for Market {
///     async fn handle(&self, task: Validate, tx: &Tx, _: &Job) -> Result<(), Failure> {
///         let publish = "update demands set state = 'published' where id = $1 and state = 'open'";
///         tx.execute(publish, &[&task.demand]).await?;
///         Ok(())
///     }
/// }
///
/// # async fn example(pool: Pool, database: tokio_postgres::Config) {
/// let worker = Worker::new(pool, Market)
///     .handles::<Validate>()
///     .listen(database, tokio_postgres::NoTls)
///     .start();
/// tokio::signal::ctrl_c().await.ok();
/// worker.shutdown(Duration::from_secs(10)).await;
/// # }
/// ```
pub struct Worker<H> {
    pub(crate) shared: Shared<H>,
    listener: Option<Listener>,
}

/// What the loop and the tasks under way share.
pub(crate) struct Shared<H> {
    pub(crate) pool: Pool,
    pub(crate) handler: H,
    pub(crate) calls: BTreeMap<String, Call<H>>,
    pub(crate) queue: String,
    pub(crate) concurrency: usize,
    pub(crate) ahead: usize,
    pub(crate) lease: Duration,
    pub(crate) poll: Duration,
    pub(crate) pause: (Duration, Duration),
    pub(crate) policy: Policy,
}

impl<H: Send + Sync + 'static> Worker<H> {
    /// A worker on the queue `default`, four tasks at a time, leases of 30 seconds, that looks every second. The pool
    /// should have a connection for each task at a time, and one more.
    pub fn new(pool: Pool, handler: H) -> Self {
        Self {
            shared: Shared {
                pool,
                handler,
                calls: BTreeMap::new(),
                queue: "default".to_owned(),
                concurrency: 4,
                ahead: 0,
                lease: Duration::from_secs(30),
                poll: Duration::from_secs(1),
                pause: (Duration::from_secs(2), Duration::from_hours(1)),
                policy: Policy::default(),
            },
            listener: None,
        }
    }

    /// Does tasks of this type. Those of other types in the queue are left to others.
    #[must_use]
    pub fn handles<T>(mut self) -> Self
    where
        T: Task + 'static,
        H: Handler<T>,
    {
        self.shared.calls.insert(T::kind(), call::<H, T>);
        self
    }

    /// Another queue.
    #[must_use]
    pub fn queue(mut self, queue: &str) -> Self {
        queue.clone_into(&mut self.shared.queue);
        self
    }

    /// So many tasks at a time.
    #[must_use]
    pub fn concurrency(mut self, tasks: usize) -> Self {
        self.shared.concurrency = tasks.max(1);
        self
    }

    /// Claims so many tasks more than it can begin at once: fewer claims where tasks are short, but others cannot have
    /// these meanwhile. Their leases are renewed as well.
    #[must_use]
    pub fn ahead(mut self, tasks: usize) -> Self {
        self.shared.ahead = tasks;
        self
    }

    /// How long a task is out of others' reach after this worker was last heard of. It is renewed three times as often.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.shared.lease = lease;
        self
    }

    /// How often it looks for tasks without being notified: those whose time has come, and those of dead workers.
    #[must_use]
    pub fn poll(mut self, every: Duration) -> Self {
        self.shared.poll = every;
        self
    }

    /// After failure n a task rests for between nothing and `base` · 2ⁿ⁻¹, but `cap` at most.
    #[must_use]
    pub fn backoff(mut self, base: Duration, cap: Duration) -> Self {
        self.shared.pause = (base, cap);
        self
    }

    /// How the transactions of handlers are made, and tried again.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.shared.policy = policy;
        self
    }

    /// Is woken when a task is enqueued, over a connection of its own, which is made anew when it is lost.
    #[must_use]
    pub fn listen<T>(mut self, database: Config, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        self.listener = Some(listener(database, tls));
        self
    }

    /// Starts it in the background.
    pub fn start(self) -> Running {
        let wake = Arc::new(Notify::new());
        let (stop, stopped) = watch::channel(None);
        let listener = self
            .listener
            .map(|listen| tokio::spawn(listen(self.shared.queue.clone(), Arc::clone(&wake))));
        let runs = Runs::new(Arc::new(self.shared), wake);
        let worker = tokio::spawn(async move {
            runs.serve(stopped).await;
            if let Some(listener) = listener {
                listener.abort();
            }
        });
        Running { stop, worker }
    }

    /// Does what is due until nothing is, and those it has begun are done: for commands that are called from time to
    /// time, and for tests. How many it completed.
    ///
    /// # Errors
    /// [`Error::Database`] and [`Error::Transaction`] when it cannot claim.
    pub async fn drain(self) -> Result<usize, Error> {
        Runs::new(Arc::new(self.shared), Arc::default())
            .drain()
            .await
    }
}

/// A worker in the background. When it is dropped, the worker stops as if it were shut down with no time to spare.
#[derive(Debug)]
pub struct Running {
    stop: watch::Sender<Option<Duration>>,
    worker: JoinHandle<()>,
}

impl Running {
    /// Stops in good order: claims no more, gives tasks back that it has not begun, and waits for the others. Those
    /// that are not done after `grace` are dropped where they wait, which rolls back, and given back too.
    pub async fn shutdown(self, grace: Duration) {
        self.stop.send_replace(Some(grace));
        if let Err(error) = self.worker.await {
            tracing::error!(%error, "a worker did not stop in good order");
        }
    }
}
