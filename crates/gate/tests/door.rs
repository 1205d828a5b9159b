//! Who is let in: a stranger's startup packet never reaches the server.

mod common;

use std::sync::Arc;

use common::{Lab, Policy, Server, Wire, cell, in_time, startup, tags};
use deadheat_gate::Door;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_client_of_another_scenario_is_turned_away() {
    let server = Server::shared();
    let (ours, theirs) = (server.database().await, server.database().await);
    let own = ours.clone();
    let door = Door {
        admit: Some(Arc::new(move |newcomer| {
            if newcomer.database() == own {
                Ok(())
            } else {
                Err(format!("not to {}", newcomer.database()))
            }
        })),
        ..Door::default()
    };
    let lab = Lab::behind(server.unix(), Policy::Gap, door).await;
    let mut wire = in_time(Wire::tcp(lab.gate.addr(), &ours)).await;
    assert_eq!(cell(&wire.run("select current_database()").await), ours);
    let mut watcher = Wire::tcp(server.addr(), "postgres").await;
    for inside in [false, true] {
        let stream: Box<dyn common::Stream> = if inside {
            Box::new(lab.gate.connect(1))
        } else {
            Box::new(TcpStream::connect(lab.gate.addr()).await.expect("a gate"))
        };
        let mut stranger = Wire::bare(stream);
        stranger.send(&startup("postgres", &theirs)).await;
        let said = in_time(stranger.until(b'Z')).await;
        assert_eq!(tags(&said), "E");
        assert_eq!(said[0].code().as_deref(), Some("28000"));
        assert_eq!(said[0].field(b'M'), Some(format!("not to {theirs}")));
        assert!(in_time(stranger.next()).await.is_none());
    }
    let count = format!("select sessions from pg_stat_database where datname = '{theirs}'");
    assert_eq!(cell(&watcher.run(&count).await), "0");
    assert_eq!(
        lab.seen.lock().expect("no panic").closed,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_gate_is_open_to_this_machine_only() {
    let server = Server::shared();
    let lab = Lab::open(server.unix(), Policy::Bare).await;
    assert!(lab.gate.addr().ip().is_loopback());
}
