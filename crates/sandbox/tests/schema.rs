//! Schema changes, copies and the catalogue, on a real private server.

mod common;

use common::{SHOP, prepared, run, server, tables, text};
use deadheat_sandbox::{Error, Written};
use deadheat_sql::catalog::{Action, Generated};

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

/// Statements are understood only together with the expressions that the server evaluates for them.
#[tokio::test]
async fn a_check_is_an_expression_that_a_select_can_have() {
    let server = server().await;
    let script = "create table line (id int primary key, quantity int check (quantity >= 0))";
    let (_database, catalog) = prepared(&server, script).await;
    assert_eq!(catalog.tables[0].checks, ["(quantity >= 0)"]);
    let parsed = deadheat_sql::Analyst::new(catalog).parse("insert into line values (1, 2)");
    assert!(parsed.explained());
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
