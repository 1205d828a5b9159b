//! Actors of Rust tests that crash, or are given up, while they have something under way at a real database.

use deadheat::Lab;
use deadheat::task::{Options, Report, check};
use deadpool_postgres::{Manager, Pool, PoolError};
use tokio_postgres::NoTls;

const SHOP: &str = "tests/rust_postgres/shop.sql";

fn options(name: &str) -> Options {
    Options {
        name: name.to_owned(),
        ..Options::default()
    }
}

fn exhausted<Fut: Future<Output = ()>>(name: &str, test: impl Fn(Lab) -> Fut) -> Report {
    let options = Options {
        exhaust: true,
        ..options(name)
    };
    check(&options, test).unwrap_or_else(|failure| panic!("{failure}"))
}

fn pool(lab: &Lab) -> Pool {
    let url = lab.postgres(SHOP);
    let manager = Manager::new(url.parse().expect("a URL"), NoTls);
    Pool::builder(manager).max_size(4).build().expect("a pool")
}

/// Where the task is left that an order brings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Inside,
    Behind,
}

async fn order(pool: Pool, task: Task) -> Result<(), PoolError> {
    let mut client = pool.get().await?;
    let order = client.transaction().await?;
    let insert = "insert into tasks values (1)";
    order.execute("insert into orders values (1)", &[]).await?;
    if task == Task::Inside {
        order.execute(insert, &[]).await?;
    }
    order.commit().await?;
    if task == Task::Behind {
        client.execute(insert, &[]).await?;
    }
    Ok(())
}

fn shop(lab: &Lab, task: Task) {
    let pool = pool(lab);
    let ordering = order(pool, task);
    lab.actor("shop", async { ordering.await.expect("an order") });
    lab.crash("shop");
}

#[test]
fn a_task_that_is_left_behind_the_commit_is_lost() {
    let failure = check(&options("task_behind"), |lab: Lab| async move {
        shop(&lab, Task::Behind);
    });
    insta::assert_snapshot!(failure.expect_err("it is lost"));
}

#[test]
fn a_task_that_is_part_of_the_transaction_is_not_lost() {
    exhausted("task_inside", |lab: Lab| async move {
        shop(&lab, Task::Inside);
    });
}

/// Numbers the next order, under a lock.
async fn next_order(pool: Pool) -> Result<(), PoolError> {
    let mut client = pool.get().await?;
    let order = client.transaction().await?;
    order.execute("lock table orders", &[]).await?;
    let next = "insert into orders select count(*) + 1 from orders";
    order.execute(next, &[]).await?;
    order.commit().await?;
    Ok(())
}

#[test]
fn who_waits_for_a_lock_gets_it_when_its_holder_crashes() {
    let options = Options {
        preemptions: Some(1),
        ..options("lock")
    };
    let report = check(&options, |lab: Lab| async move {
        let pool = pool(&lab);
        for name in ["ben", "tom"] {
            let ordering = next_order(pool.clone());
            lab.actor(name, async { ordering.await.expect("an order") });
        }
        lab.crash("ben");
    });
    report.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Ben sends an order, hangs up, and sends it again.
fn impatient(lab: &Lab, insert: &'static str) {
    let pool = pool(lab);
    lab.timeout("ben", move || {
        let pool = pool.clone();
        async move {
            let client = pool.get().await.expect("a connection");
            client.execute(insert, &[]).await.expect("an order")
        }
    });
}

#[test]
fn a_statement_goes_on_whose_client_has_given_up() {
    let failure = check(&options("given_up"), |lab: Lab| async move {
        impatient(&lab, "insert into tasks values (1)");
    });
    insta::assert_snapshot!(failure.expect_err("it comes twice"));
}

#[test]
fn an_order_with_a_key_comes_once_though_its_client_gives_up() {
    exhausted("with_key", |lab: Lab| async move {
        impatient(&lab, "insert into orders values (1) on conflict do nothing");
    });
}
