//! Measures what the design promises: the start of a server, the reset of three written tables, a copy from a
//! template, the schema stamp, a look at three processes with five threads each. Prints medians.
//!
//! `cargo run --release -p deadheat-sandbox --example figures`

use std::error::Error;
use std::time::{Duration, Instant};

use deadheat_sandbox::{PrivateOptions, Server, Spawn, Written};

const SCHEMA: &str = "
    create table customers (id serial primary key, name text not null unique);
    create table orders (id serial primary key, customer int references customers, total int, at timestamptz default now());
    create table lines (id serial primary key, \"order\" int references orders on delete cascade, item text, amount int);
    create index on orders (customer);
    create index on lines (\"order\");
    insert into customers (name) select 'customer ' || n from generate_series(1, 20) n;
    insert into orders (customer, total) select 1 + n % 20, n from generate_series(1, 20) n;
    insert into lines (\"order\", item, amount) select 1 + n % 20, 'item', n from generate_series(1, 40) n;
";

const RUN: &str = "
    insert into customers (name) values ('new');
    insert into orders (customer, total) values (21, 5);
    update lines set amount = amount + 1 where id < 4;
    delete from lines where id = 9";

/// A service of three processes with five threads each, all asleep.
const THREADS: &str = "exec python3 -c '
import os, threading, time
for _ in range(2):
    if os.fork() == 0: break
for _ in range(4): threading.Thread(target=time.sleep, args=(60,)).start()
time.sleep(60)
'";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let server = Server::private(&PrivateOptions::default()).await?;
    print("first start of a server", &mut [began.elapsed()]);
    let began = Instant::now();
    let second = Server::private(&PrivateOptions::default()).await?;
    print("second start of a server", &mut [began.elapsed()]);
    let began = Instant::now();
    drop(second);
    print("end of a server", &mut [began.elapsed()]);

    let mut start = server.create().await?;
    start.run_sql("schema", SCHEMA).await?;
    let catalog = start.snapshot().await?;
    let names = ["customers", "orders", "lines"];
    let written = catalog
        .tables
        .iter()
        .filter(|table| names.contains(&table.name.as_str()));
    let written = Written::Tables(written.map(|table| table.oid).collect());
    let template = start.freeze().await?;

    let mut forks = Vec::new();
    for _ in 0..10 {
        let began = Instant::now();
        let copy = template.fork().await?;
        forks.push(began.elapsed());
        copy.drop().await?;
    }
    print("copy from a template", &mut forks);

    let database = template.fork().await?;
    let runs = std::env::args()
        .nth(1)
        .map_or(Ok(1000), |count| count.parse::<usize>())?;
    let (mut resets, mut stamps) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        database.control().batch_execute(RUN).await?;
        let began = Instant::now();
        database.reset(&written).await?;
        resets.push(began.elapsed());
        let began = Instant::now();
        database.schema_stamp().await?;
        stamps.push(began.elapsed());
    }
    let (first, last) = (
        resets[..runs / 10].to_vec(),
        resets[runs - runs / 10..].to_vec(),
    );
    print("reset of three tables", &mut resets);
    print("  the first tenth", &mut first.clone());
    print("  the last tenth", &mut last.clone());
    print("schema stamp", &mut stamps);

    let service = Spawn::new(THREADS, ".").start()?;
    let give_up = Instant::now() + Duration::from_secs(20);
    while !(service.look().asleep && service.look().processes == 3) {
        if Instant::now() > give_up {
            return Err(format!(
                "the service did not come to rest: {:?} {}",
                service.look(),
                service.tail(5)
            )
            .into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut looks = Vec::new();
    for _ in 0..1000 {
        let began = Instant::now();
        std::hint::black_box(service.look());
        looks.push(began.elapsed());
    }
    print("look at 3 processes with 5 threads each", &mut looks);
    Ok(())
}

fn print(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    println!(
        "{what:42} {:>10.2?} (p95 {:.2?}, most {:.2?})",
        at(50),
        at(95),
        at(100)
    );
}
