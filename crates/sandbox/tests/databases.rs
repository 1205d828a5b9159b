//! Scratch databases on a real private server: setup, snapshot, reset.

mod common;

use common::{SHOP, prepared, run, server, tables, text};
use deadheat_sandbox::{Database, Error, PrivateOptions, Server, Written};

#[tokio::test]
async fn a_server_starts_in_its_own_folder_and_leaves_nothing() {
    let server = server().await;
    let log = server.log().expect("a private server has a log");
    assert!(log.exists());
    assert!(
        server
            .version()
            .starts_with(|first: char| first.is_ascii_digit()),
        "{}",
        server.version()
    );
    let database = server.create().await.expect("a database is made");
    for (setting, value) in [
        ("fsync", "off"),
        ("deadlock_timeout", "1ms"),
        ("autovacuum", "off"),
    ] {
        assert_eq!(
            text(&database, &format!("select current_setting('{setting}')")).await,
            format!("({value})")
        );
    }
    // By TCP too, as a service would come.
    let (client, connection) = tokio_postgres::connect(&database.url(None), tokio_postgres::NoTls)
        .await
        .expect("the address works");
    let served = tokio::spawn(connection);
    client.batch_execute("select 1").await.expect("it answers");
    drop(server);
    assert!(served.await.expect("no panic").is_err() || client.is_closed());
    assert!(!log.exists(), "the folder is gone");
}

#[tokio::test]
async fn settings_of_the_scenario_hold_and_ours_cannot_be_changed() {
    let with = |name: &str, value: &str| PrivateOptions {
        settings: [(name.to_owned(), value.to_owned())].into(),
    };
    let server = Server::private(&with("default_transaction_isolation", "repeatable read"))
        .await
        .expect("starts");
    let database = server.create().await.expect("a database is made");
    let isolation = text(
        &database,
        "select current_setting('default_transaction_isolation')",
    )
    .await;
    assert_eq!(isolation, "(\"repeatable read\")");
    let refused = Server::private(&with("deadlock_timeout", "5s"))
        .await
        .expect_err("is refused");
    assert!(matches!(refused, Error::Setting { .. }), "{refused}");
    let unknown = Server::private(&with("no_such_setting", "1"))
        .await
        .expect_err("does not start");
    assert!(unknown.to_string().contains("no_such_setting"), "{unknown}");
}

#[tokio::test]
async fn a_setup_error_says_where_it_is() {
    let server = server().await;
    let database = server.create().await.expect("a database is made");
    let script =
        "create table a (id int);\n\n-- the second\ninsert into a\n  values (1), (oops);\n";
    let error = database
        .run_sql("shop.sql", script)
        .await
        .expect_err("fails");
    assert_eq!(
        (error.line, error.column, error.code.as_deref()),
        (5, 16, Some("42703")),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .starts_with("shop.sql:5:16: column \"oops\" does not exist"),
        "{error}"
    );
    assert!(error.statement.starts_with("insert into a"));
    let open = database
        .run_sql("open.sql", "begin; create table b ();")
        .await
        .expect_err("fails");
    assert!(open.message.contains("inside a transaction"), "{open}");
    let psql = database
        .run_sql("dump.sql", "select 1;\n\\connect shop\n")
        .await
        .expect_err("fails");
    assert_eq!(psql.line, 2);
    assert!(psql.hint.is_some());
}

#[tokio::test]
async fn a_run_that_wrote_everywhere_is_forgotten() {
    let server = server().await;
    let (database, catalog) = prepared(&server, SHOP).await;
    let all = "select * from customers; select * from orders; select * from audit";
    let state = async |database: &Database| {
        let mut found = Vec::new();
        for query in all.split(';') {
            found.push(text(database, query).await);
        }
        found
    };
    let start = state(&database).await;
    let written = tables(&catalog, &["customers", "orders", "audit"]);
    for _ in 0..3 {
        run(
            &database,
            "insert into customers (name) values ('eve'); update orders set net = 7 where id = 2",
        )
        .await;
        run(
            &database,
            "delete from customers where id = 2; select nextval('tickets'); truncate audit",
        )
        .await;
        assert_ne!(state(&database).await, start);
        database.reset(&written).await.expect("is put back");
        assert_eq!(state(&database).await, start);
    }
    // The next ids are the same in every run, and a sequence that was never used is unused again.
    run(&database, "insert into customers (name) values ('eve')").await;
    assert_eq!(
        text(&database, "select id from customers where name = 'eve'").await,
        "(3)"
    );
    assert_eq!(text(&database, "select nextval('tickets')").await, "(1)");
    database
        .reset(&Written::Everything)
        .await
        .expect("is put back");
    assert_eq!(state(&database).await, start);
}

#[tokio::test]
async fn an_exact_reset_puts_every_row_where_it_was() {
    let server = server().await;
    let (database, catalog) = prepared(&server, SHOP).await;
    let place = "select o.ctid, c.ctid, pg_relation_size('orders'), pg_relation_size('orders_pkey'), \
                 (select string_agg(concat(relname, relpages, reltuples), ',' order by relname) from pg_class \
                  where relname in ('orders', 'orders_pkey', 'customers')) \
                 from orders o join customers c on c.id = o.customer order by o.id";
    let plan = async || {
        let explained = database
            .control()
            .simple_query("explain (costs off) select net from orders where id = 2")
            .await;
        format!("{:?}", explained.expect("is planned"))
    };
    let written = tables(&catalog, &["orders", "audit"]);
    database
        .reset_exactly(&Written::Everything)
        .await
        .expect("is put back");
    let (start, planned) = (text(&database, place).await, plan().await);
    assert!(planned.contains("Index Scan"), "{planned}");
    // Far more dead rows than a page has room for.
    for _ in 0..8 {
        run(
            &database,
            "insert into orders (customer, net) select 1, n from generate_series(1, 100) as n; \
             update orders set net = net + 1",
        )
        .await;
        database.reset_exactly(&written).await.expect("is put back");
        assert_eq!(text(&database, place).await, start);
        assert_eq!(plan().await, planned);
    }
    // What others clear away in time does not change plans either.
    for _ in 0..8 {
        run(
            &database,
            "insert into audit select 'x' from generate_series(1, 200)",
        )
        .await;
        database.reset(&written).await.expect("is put back");
        assert_eq!(plan().await, planned);
    }
}

#[tokio::test]
async fn tables_that_were_not_written_are_not_touched() {
    let server = server().await;
    let (database, catalog) = prepared(&server, SHOP).await;
    run(
        &database,
        "insert into audit values ('kept'); update customers set name = 'zoe' where id = 1",
    )
    .await;
    database
        .reset(&tables(&catalog, &["customers"]))
        .await
        .expect("is put back");
    assert_eq!(
        text(&database, "select name from customers order by id").await,
        "(ben) (ada)"
    );
    assert_eq!(
        text(&database, "select entry from audit where entry = 'kept'").await,
        "(kept)"
    );
    // Its children, by foreign keys that cascade, are still there.
    assert_eq!(text(&database, "select count(*) from orders").await, "(3)");
}

#[tokio::test]
async fn triggers_that_always_fire_stay_silent_during_a_reset() {
    let server = server().await;
    let script = format!("{SHOP} alter table orders enable always trigger noted;");
    let (database, catalog) = prepared(&server, &script).await;
    let before = text(&database, "select * from audit").await;
    let stamp = database.schema_stamp().await.expect("a stamp");
    run(&database, "update orders set net = 0").await;
    database
        .reset(&tables(&catalog, &["orders"]))
        .await
        .expect("is put back");
    assert_eq!(text(&database, "select * from audit").await, before);
    assert_eq!(
        text(&database, "select net from orders order by id").await,
        "(10) (20) (5)"
    );
    run(
        &database,
        "insert into orders (customer, net) values (1, 1)",
    )
    .await;
    assert_ne!(
        text(&database, "select * from audit").await,
        before,
        "the trigger fires again for others"
    );
    assert_eq!(database.schema_stamp().await.expect("a stamp"), stamp);
}

#[tokio::test]
async fn partitions_and_children_come_back_with_their_parent() {
    let server = server().await;
    let script = "
        create table events (day int, what text) partition by range (day);
        create table events_1 partition of events for values from (0) to (10);
        create table events_2 partition of events for values from (10) to (20);
        create table base (id int); create table derived (extra int) inherits (base);
        insert into events values (1, 'a'), (11, 'b'); insert into base values (1); insert into derived values (2, 3);";
    let (database, catalog) = prepared(&server, script).await;
    run(
        &database,
        "update events set day = 12 where day = 1; delete from base",
    )
    .await;
    database
        .reset(&tables(&catalog, &["events", "base"]))
        .await
        .expect("is put back");
    assert_eq!(
        text(
            &database,
            "select tableoid::regclass, day from events order by day"
        )
        .await,
        "(events_1,1) (events_2,11)"
    );
    assert_eq!(
        text(
            &database,
            "select tableoid::regclass, id from base order by id"
        )
        .await,
        "(base,1) (derived,2)"
    );
}

#[tokio::test]
async fn rows_keep_their_order_over_hundreds_of_resets_and_files_stay_small() {
    let server = server().await;
    let script = "create table t (id int primary key, filler text);
        insert into t select (n * 37) % 200, repeat('x', 300) from generate_series(1, 200) n;";
    let (database, catalog) = prepared(&server, script).await;
    let written = tables(&catalog, &["t"]);
    let start = text(&database, "select id from t").await;
    let size = "select pg_relation_size('t') / 8192";
    for _ in 0..200 {
        run(
            &database,
            "update t set filler = 'y' where id % 3 = 0; delete from t where id = 5",
        )
        .await;
        database.reset(&written).await.expect("is put back");
        assert_eq!(text(&database, "select id from t").await, start);
    }
    let pages: i64 = database
        .control()
        .query_one(size, &[])
        .await
        .expect("a size")
        .get(0);
    assert!(pages < 100, "{pages} pages for 200 rows of 300 bytes");
}

#[tokio::test]
async fn advanced_sequences_give_other_ids_and_nothing_else() {
    let server = server().await;
    let script = format!("{SHOP} create sequence small maxvalue 5;");
    let (database, _) = prepared(&server, &script).await;
    database
        .advance_sequences(1000, 10)
        .await
        .expect("advances");
    run(&database, "insert into customers (name) values ('eve')").await;
    assert_eq!(
        text(&database, "select id from customers where name = 'eve'").await,
        "(1003)"
    );
    assert_eq!(
        text(&database, "select nextval('tickets'), nextval('small')").await,
        "(1021,1)"
    );
    database
        .reset(&Written::Everything)
        .await
        .expect("is put back");
    assert_eq!(
        text(&database, "select nextval('tickets'), nextval('small')").await,
        "(1,1)"
    );
}
