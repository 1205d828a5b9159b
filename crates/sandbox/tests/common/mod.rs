//! What the tests of databases share.

use std::collections::BTreeSet;

use deadheat_sandbox::{Database, PrivateOptions, Server, Written};
use deadheat_sql::Catalog;

pub async fn server() -> Server {
    Server::private(&PrivateOptions::default())
        .await
        .expect("a private server starts")
}

pub async fn prepared(server: &Server, script: &str) -> (Database, Catalog) {
    let mut database = server.create().await.expect("a database is made");
    database
        .run_sql("setup.sql", script)
        .await
        .expect("the setup runs");
    let catalog = database.snapshot().await.expect("a snapshot is taken");
    (database, catalog)
}

pub async fn run(database: &Database, sql: &str) {
    database
        .control()
        .batch_execute(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

pub async fn text(database: &Database, sql: &str) -> String {
    let query = format!("select coalesce(string_agg(x::text, ' '), '') from ({sql}) as x");
    database
        .control()
        .query_one(&query, &[])
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
        .get(0)
}

pub fn tables(catalog: &Catalog, names: &[&str]) -> Written {
    let found: BTreeSet<u32> = catalog
        .tables
        .iter()
        .filter(|table| names.contains(&table.display_name().as_str()))
        .map(|table| table.oid)
        .collect();
    assert_eq!(found.len(), names.len(), "{names:?}");
    Written::Tables(found)
}

pub const SHOP: &str = "
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
