//! A real driver through the gate: over TCP, inside the process, and through a gate without a lab.

mod common;

use common::{Lab, Policy, Server, in_time};
use deadheat_gate::{Gap, plain};
use tokio::net::TcpListener;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

async fn work(client: &mut Client) {
    client
        .batch_execute("drop table if exists w; create table w (id int primary key, v text)")
        .await
        .expect("ddl");
    for id in 1..=3 {
        let done = client
            .execute("insert into w values ($1, $2)", &[&id, &format!("v{id}")])
            .await
            .expect("insert");
        assert_eq!(done, 1);
    }
    let error = client
        .execute("insert into w values ($1, 'again')", &[&1])
        .await
        .expect_err("a duplicate");
    assert_eq!(error.code().expect("a code").code(), "23505");
    let transaction = client.transaction().await.expect("begin");
    transaction
        .execute("update w set v = 'changed' where id = $1", &[&2])
        .await
        .expect("update");
    let statement = transaction
        .prepare_typed("select id from w where v = $1", &[Type::TEXT])
        .await
        .expect("prepare");
    let portal = transaction
        .bind(&statement, &[&"changed"])
        .await
        .expect("bind");
    let rows = transaction.query_portal(&portal, 1).await.expect("rows");
    assert_eq!(rows[0].get::<_, i32>(0), 2);
    transaction.rollback().await.expect("rollback");
    let (one, two) = tokio::join!(
        client.query("select v from w where id = 2", &[]),
        client.query("select 1/0", &[])
    );
    assert_eq!(one.expect("rows")[0].get::<_, String>(0), "v2");
    assert_eq!(
        two.expect_err("an error").code().expect("a code").code(),
        "22012"
    );
    let messages = client
        .simple_query("select count(*) from w; select 2")
        .await
        .expect("a simple query");
    let rows = messages
        .iter()
        .filter(|message| matches!(message, SimpleQueryMessage::Row(_)))
        .count();
    assert_eq!(rows, 2);
}

fn config(port: u16, user: &str, database: &str) -> Config {
    let mut config = Config::new();
    config
        .host("127.0.0.1")
        .port(port)
        .user(user)
        .dbname(database);
    config
}

#[tokio::test]
async fn a_driver_over_tcp_with_scram() {
    let server = Server::shared();
    let database = server.database().await;
    let (direct, connection) = tokio_postgres::connect(&server.config(&database), NoTls)
        .await
        .expect("a connection");
    tokio::spawn(connection);
    direct
        .batch_execute(
            "set password_encryption = 'scram-sha-256'; create role with_password superuser login password 'secret'",
        )
        .await
        .expect("a role");
    for policy in [Policy::Bare, Policy::Gap] {
        let lab = Lab::open(server.tcp(), policy).await;
        let mut config = config(lab.gate.addr().port(), "with_password", &database);
        assert!(
            in_time(config.password("wrong").connect(NoTls))
                .await
                .is_err()
        );
        let (mut client, connection) = in_time(config.password("secret").connect(NoTls))
            .await
            .expect("a connection");
        tokio::spawn(connection);
        in_time(work(&mut client)).await;
        let seen = lab.seen.lock().expect("no panic");
        let gaps = seen
            .replies
            .iter()
            .filter(|reply| reply.gap == Gap::Open)
            .count();
        assert_eq!(gaps, if policy == Policy::Gap { 3 } else { 0 });
        let insert = seen
            .batches
            .iter()
            .find(|batch| batch.statements[0].sql.starts_with("insert"))
            .expect("an insert");
        let params: Vec<_> = insert.statements[0]
            .params
            .iter()
            .map(deadheat_gate::Param::text)
            .collect();
        assert_eq!(params, [Some("1".to_owned()), Some("v1".to_owned())]);
        let select = seen
            .replies
            .iter()
            .find(|reply| reply.columns == ["v"])
            .expect("a select");
        assert_eq!(select.rows, [[Some("v2".to_owned())]]);
    }
}

#[tokio::test]
async fn a_driver_inside_the_process() {
    let server = Server::shared();
    let database = server.database().await;
    let lab = Lab::open(server.unix(), Policy::Gap).await;
    let config = config(0, "postgres", &database);
    let (mut client, connection) = in_time(config.connect_raw(lab.gate.connect(9), NoTls))
        .await
        .expect("a connection");
    tokio::spawn(connection);
    in_time(work(&mut client)).await;
    let token = client.cancel_token();
    let (cancelled, slept) = tokio::join!(
        async {
            // The server knows the statement: a cancel before that would find nothing.
            let (watcher, connection) = tokio_postgres::connect(&server.config(&database), NoTls)
                .await
                .expect("direct");
            tokio::spawn(connection);
            let sleeps = "select from pg_stat_activity where wait_event = 'PgSleep'";
            while watcher.query(sleeps, &[]).await.expect("rows").is_empty() {}
            token.cancel_query_raw(lab.gate.connect(9), NoTls).await
        },
        client.batch_execute("select pg_sleep(600)"),
    );
    cancelled.expect("a cancel request");
    assert_eq!(
        slept.expect_err("an error").code().expect("a code").code(),
        "57014"
    );
}

#[tokio::test]
async fn a_driver_through_a_plain_gate() {
    let server = Server::shared();
    let database = server.database().await;
    for upstream in [server.tcp(), server.unix()] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let gate = tokio::spawn(plain(listener, upstream));
        let (mut client, connection) = in_time(config(port, "postgres", &database).connect(NoTls))
            .await
            .expect("a connection");
        tokio::spawn(connection);
        in_time(work(&mut client)).await;
        gate.abort();
    }
}
