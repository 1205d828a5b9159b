//! Putting three written tables back.

use std::time::Instant;

use deadheat_sandbox::{PrivateOptions, Server, Written};

use crate::Fallible;
use crate::results::median;

const SCHEMA: &str = "
    create table customers (id serial primary key, name text not null unique);
    create table orders (id serial primary key, customer int not null references customers, total int);
    create table lines (id serial primary key, part_of int not null references orders, item text, amount int);
    create index on orders (customer);
    create index on lines (part_of);
    insert into customers (name) select 'customer ' || n from generate_series(1, 20) n;
    insert into orders (customer, total) select 1 + n % 20, n from generate_series(1, 20) n;
    insert into lines (part_of, item, amount) select 1 + n % 20, 'item', n from generate_series(1, 40) n;
";

/// What a run leaves in all three.
const RUN: &str = "
    insert into customers (name) values ('new');
    insert into orders (customer, total) values (21, 5);
    update lines set amount = amount + 1 where id < 4;
    delete from lines where id = 9";

const TIMES: usize = 1000;

/// Median time of a reset, in milliseconds.
pub fn measure() -> Fallible<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let server = Server::private(&PrivateOptions::default()).await?;
        let mut database = server.create().await?;
        database.run_sql("reset", SCHEMA).await?;
        let catalog = database.snapshot().await?;
        let written = ["customers", "orders", "lines"].map(|name| {
            let table = catalog.tables.iter().find(|table| table.name == name);
            table.map(|table| table.oid)
        });
        let written = Written::Tables(written.into_iter().flatten().collect());
        let mut times = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            database.control().batch_execute(RUN).await?;
            let started = Instant::now();
            database.reset(&written).await?;
            times.push(started.elapsed().as_secs_f64() * 1000.0);
        }
        database.drop().await?;
        Ok(median(&times))
    })
}
