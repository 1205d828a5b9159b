//! Scratch databases on a real private server: setup, snapshot, reset, schema changes, copies.

use std::collections::BTreeSet;

use deadheat_sandbox::{Database, Error, PrivateOptions, Server, Written};
use deadheat_sql::Catalog;
use deadheat_sql::catalog::{Action, Generated};

async fn server() -> Server {
    Server::private(&PrivateOptions::default())
        .await
        .expect("a private server starts")
}

async fn prepared(server: &Server, script: &str) -> (Database, Catalog) {
    let mut database = server.create().await.expect("a database is made");
    database
        .run_sql("setup.sql", script)
        .await
        .expect("the setup runs");
    let catalog = database.snapshot().await.expect("a snapshot is taken");
    (database, catalog)
}

async fn run(database: &Database, sql: &str) {
    database
        .control()
        .batch_execute(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

async fn text(database: &Database, sql: &str) -> String {
    let query = format!("select coalesce(string_agg(x::text, ' '), '') from ({sql}) as x");
    database
        .control()
        .query_one(&query, &[])
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
        .get(0)
}

fn tables(catalog: &Catalog, names: &[&str]) -> Written {
    let found: BTreeSet<u32> = catalog
        .tables
        .iter()
        .filter(|table| names.contains(&table.display_name().as_str()))
        .map(|table| table.oid)
        .collect();
    assert_eq!(found.len(), names.len(), "{names:?}");
    Written::Tables(found)
}

const SHOP: &str = "
    create table customers (id int generated always as identity primary key, name text unique);
    create table orders (
        id serial primary key,
        customer int not null references customers on delete cascade,
        net int,
        gross int generated always as (net * 2) stored,
        parent int references orders);
    create table audit (entry text);
    create function note() returns trigger language plpgsql as $$ begin
        insert into audit values (tg_op); return null; end $$;
    create trigger noted after insert or delete on orders for each row execute function note();
    insert into customers (name) values ('ben'), ('ada');
    insert into orders (customer, net, parent) values (1, 10, null), (2, 20, 1), (2, 5, 2);
    create sequence tickets;
";

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

#[tokio::test]
async fn a_schema_change_shows_and_harmless_things_do_not() {
    let server = server().await;
    let script = format!(
        "{SHOP} create materialized view totals as select sum(net) from orders; create type mood as enum ('ok');"
    );
    let (database, _) = prepared(&server, &script).await;
    let stamp = database.schema_stamp().await.expect("a stamp");
    for harmless in [
        "update orders set net = 1",
        "truncate orders",
        "truncate audit restart identity",
        "analyze",
        "vacuum",
        "create temp table scratch (id int primary key, t text)",
        "select nextval('tickets')",
        "begin; create table gone (id int); rollback",
    ] {
        for statement in harmless.split("; ") {
            run(&database, statement).await;
        }
        assert_eq!(
            database.schema_stamp().await.expect("a stamp"),
            stamp,
            "{harmless}"
        );
        database
            .reset(&Written::Everything)
            .await
            .expect("is put back");
        assert_eq!(
            database.schema_stamp().await.expect("a stamp"),
            stamp,
            "reset after {harmless}"
        );
    }
    let mut last = stamp;
    for change in [
        "create table extra (id int)",
        "alter table audit add column at int",
        "alter table audit alter column at set default 3",
        "alter table orders alter column net set not null",
        "create index on audit (at)",
        "alter table audit rename to journal",
        "create or replace function note() returns trigger language plpgsql as 'begin return null; end'",
        "alter table orders disable trigger noted",
        "alter table orders drop constraint orders_parent_fkey",
        "create view v as select 1 as one",
        "create or replace view v as select 2 as one",
        "alter type mood add value 'bad'",
        "alter sequence tickets increment 2",
        "refresh materialized view totals",
        "alter table orders enable row level security",
        "create schema other",
        "drop table extra",
    ] {
        run(&database, change).await;
        let now = database.schema_stamp().await.expect("a stamp");
        assert_ne!(now, last, "{change}");
        last = now;
    }
}

#[tokio::test]
async fn a_table_that_the_run_made_calls_for_a_copy() {
    let server = server().await;
    let (database, _) = prepared(&server, SHOP).await;
    run(&database, "create table extra (id int)").await;
    let oid: u32 = database
        .control()
        .query_one("select 'extra'::regclass::oid", &[])
        .await
        .expect("an oid")
        .get(0);
    let refused = database
        .reset(&Written::Tables([oid].into()))
        .await
        .expect_err("cannot be put back");
    assert!(matches!(refused, Error::CopyInstead(_)), "{refused}");
    run(&database, "alter table orders drop column net cascade").await;
    let refused = database
        .reset(&Written::Everything)
        .await
        .expect_err("cannot be put back");
    assert!(matches!(refused, Error::CopyInstead(_)), "{refused}");
    run(&database, "select 1").await;
}

#[tokio::test]
async fn copies_are_alike_and_apart() {
    let server = server().await;
    let (database, catalog) = prepared(&server, SHOP).await;
    let (client, connection) = tokio_postgres::connect(&database.url(None), tokio_postgres::NoTls)
        .await
        .expect("the address works");
    let served = tokio::spawn(connection);
    let template = database
        .freeze()
        .await
        .expect("freezes, though a service is still connected");
    assert!(served.await.expect("no panic").is_err() || client.is_closed());
    let (one, two) = (
        template.fork().await.expect("forks"),
        template.fork().await.expect("forks"),
    );
    run(
        &one,
        "delete from customers; insert into customers (name) values ('eve')",
    )
    .await;
    assert_eq!(
        text(&two, "select name from customers order by id").await,
        "(ben) (ada)"
    );
    let written = tables(&catalog, &["customers", "orders", "audit"]);
    one.reset(&written).await.expect("a copy has the snapshot");
    assert_eq!(
        text(&one, "select name from customers order by id").await,
        "(ben) (ada)"
    );
    let name = one.name().to_owned();
    one.drop().await.expect("drops");
    let left = text(
        &two,
        &format!("select datname from pg_database where datname = '{name}'"),
    )
    .await;
    assert_eq!(left, "");
}

#[tokio::test]
async fn the_catalogue_says_what_the_database_holds() {
    let server = server().await;
    let script = format!(
        "{SHOP} create view rich as select * from orders where net > 10;
         create unique index lower_name on customers (lower(name)) where name is not null;
         create schema other; create table other.t (a int, b int, primary key (b, a));"
    );
    let (database, catalog) = prepared(&server, &script).await;
    let named = |name: &str| {
        catalog
            .tables
            .iter()
            .find(|table| table.display_name() == name)
            .expect("is there")
    };
    let orders = named("orders");
    assert_eq!(orders.columns[3].generated, Generated::Stored);
    assert_eq!(
        named("customers").columns[0].generated,
        Generated::IdentityAlways
    );
    assert_eq!(
        orders.columns[0].default.as_deref(),
        Some("nextval('orders_id_seq'::regclass)")
    );
    let cascading = orders
        .foreign_keys
        .iter()
        .find(|key| key.columns == ["customer"])
        .expect("is there");
    assert_eq!(
        (cascading.parent, cascading.on_delete),
        (named("customers").oid, Action::Cascade)
    );
    assert_eq!(cascading.parent_columns, ["id"]);
    assert_eq!(
        (orders.triggers.len(), orders.triggers[0].function.as_str()),
        (1, "public.note")
    );
    assert!(orders.triggers[0].insert && orders.triggers[0].delete && !orders.triggers[0].update);
    assert_eq!(
        named("other.t").primary_key().expect("a key").columns,
        ["b", "a"]
    );
    let lower = named("customers")
        .unique
        .iter()
        .find(|key| key.name == "lower_name")
        .expect("is there");
    assert!(lower.expression && lower.partial && lower.columns.is_empty());
    assert_eq!(catalog.views[0].name, "rich");
    assert!(
        catalog
            .functions
            .iter()
            .any(|f| f.name == "note" && f.body.as_ref().is_some_and(|b| b.contains("audit")))
    );
    assert_eq!(
        (catalog.search_path.as_slice(), catalog.isolation.as_str()),
        (&["public".to_owned()][..], "read committed")
    );
    assert!(
        catalog
            .tables
            .iter()
            .all(|table| table.schema != "deadheat")
    );
    // A second snapshot takes the first one's place.
    let mut database = database;
    let again = database.snapshot().await.expect("a second snapshot");
    assert_eq!(again, catalog);
}

#[tokio::test]
async fn a_schema_of_the_users_is_not_taken_for_ours() {
    let server = server().await;
    let mut database = server.create().await.expect("a database is made");
    run(
        &database,
        "create schema deadheat; create table deadheat.mine (id int)",
    )
    .await;
    assert!(database.snapshot().await.is_err());
    run(&database, "select * from deadheat.mine").await;
}
