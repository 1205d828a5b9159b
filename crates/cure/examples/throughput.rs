//! How many tasks a second this crate does, and graphile-worker, on one private server, in turn.
//!
//! `tools/bench-tasks` builds it and has it run, from the root of the repository; it prints the figures as JSON.

use std::process::Command;
use std::time::{Duration, Instant};

use deadheat_cure::schema::migrate;
use deadheat_cure::tasks::{Failure, Handler, Job, Task, Worker};
use deadheat_cure::{Pool, Source, Tx};
use deadheat_sandbox::{Database, PrivateOptions, Server};
use deadpool_postgres::Manager;
use serde::{Deserialize, Serialize};
use tokio_postgres::NoTls;

const TASKS: i64 = 10_000;
const CONCURRENCY: usize = 8;
const ROUNDS: usize = 5;
/// What a task does, where it does something.
const EFFECT: &str = "insert into done (n) values (1)";

#[derive(Serialize, Deserialize)]
struct Work {}

impl Task for Work {
    const KIND: &'static str = "work";
}

/// Does one statement for each task, or none.
struct Hand {
    effect: bool,
}

impl Handler<Work> for Hand {
    async fn handle(&self, _: Work, tx: &Tx, _: &Job) -> Result<(), Failure> {
        if self.effect {
            let effect = tx.prepare_cached(EFFECT).await?;
            tx.execute(&effect, &[]).await?;
        }
        Ok(())
    }
}

/// Who is measured.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    /// This crate; the number is how many tasks are claimed ahead.
    Cure(usize),
    Graphile,
}

const ALL: [(Who, &str); 3] = [
    (Who::Cure(0), "deadheat-cure"),
    (Who::Cure(64), "deadheat-cure, ahead(64)"),
    (Who::Graphile, "graphile-worker 0.16"),
];

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Source> {
    let server = Server::private(&PrivateOptions::default()).await?;
    let mut rates = vec![[Vec::new(), Vec::new()]; ALL.len()];
    for round in 0..ROUNDS {
        for (effect, does) in [(false, "nothing"), (true, "a row")] {
            for (at, (who, name)) in ALL.iter().enumerate() {
                let database = server.create().await?;
                database
                    .run_sql("bench", "create table done (n int)")
                    .await?;
                let took = match who {
                    Who::Cure(ahead) => cure(&database, *ahead, effect).await?,
                    Who::Graphile => graphile(&database, effect)?,
                };
                let rate = TASKS as f64 / took.as_secs_f64();
                eprintln!("round {round}: {name}, {does}: {rate:.0} a second");
                if effect {
                    let done = database
                        .control()
                        .query_one("select count(*) from done", &[]);
                    assert_eq!(done.await?.get::<_, i64>(0), TASKS, "each task once");
                }
                rates[at][usize::from(effect)].push(rate);
                database.drop().await?;
            }
        }
    }
    let bout = |at: usize, what: &str| {
        let runners = ALL
            .iter()
            .zip(&rates)
            .map(|((_, name), rates)| serde_json::json!({ "who": name, "rounds": rates[at] }));
        serde_json::json!({ "what": what, "runners": runners.collect::<Vec<_>>() })
    };
    let bouts = [
        bout(0, "a task does nothing"),
        bout(1, "a task writes a row"),
    ];
    let figures = serde_json::json!({ "count": TASKS, "at_once": CONCURRENCY, "bouts": bouts });
    println!("{figures}");
    Ok(())
}

async fn cure(database: &Database, ahead: usize, effect: bool) -> Result<Duration, Source> {
    let manager = Manager::new(database.url(None).parse()?, NoTls);
    let pool = Pool::builder(manager).max_size(CONCURRENCY + 2).build()?;
    migrate(&pool).await?;
    let client = pool.get().await?;
    let order = "insert into cure.tasks (queue, kind, payload, max_attempts, due)
        select 'default', 'work', '{}', 10, now() from generate_series(1, $1)";
    client.execute(order, &[&(TASKS as i32)]).await?;
    client.batch_execute("analyze").await?;
    let begun = Instant::now();
    let worker = Worker::new(pool, Hand { effect })
        .handles::<Work>()
        .concurrency(CONCURRENCY)
        .ahead(ahead)
        .start();
    let left = client
        .prepare("select exists (select from cure.tasks)")
        .await?;
    while client.query_one(&left, &[]).await?.get(0) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = begun.elapsed();
    worker.shutdown(Duration::from_secs(5)).await;
    Ok(took)
}

fn graphile(database: &Database, effect: bool) -> Result<Duration, Source> {
    let mut node = Command::new("node");
    node.arg("bench/tasks/graphile.mjs")
        .args([TASKS.to_string(), CONCURRENCY.to_string()])
        .arg(if effect { EFFECT } else { "" })
        .env("DATABASE_URL", database.url(None));
    let run = node.output()?;
    if !run.status.success() {
        return Err(String::from_utf8_lossy(&run.stderr).into());
    }
    let seconds = String::from_utf8(run.stdout)?.trim().parse()?;
    Ok(Duration::from_secs_f64(seconds))
}
