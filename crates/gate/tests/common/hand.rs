//! A gate whose events the test answers by hand.

use std::sync::Arc;

use deadheat_gate::{Batch, Event, Gate, Ran, Release, Session};
use tokio::sync::mpsc;

use super::{Message, Server, Wire, gate, in_time, query};

/// A gate whose events the test answers by hand.
pub struct Hand {
    pub gate: Gate,
    pub events: mpsc::UnboundedReceiver<Event>,
    pub direct: Wire,
    pub database: String,
    _server: Arc<Server>,
}

impl Hand {
    pub async fn new() -> Hand {
        let server = Server::shared();
        let database = server.database().await;
        let mut direct = Wire::tcp(server.addr(), &database).await;
        direct
            .run("create table t (id int primary key, v text); insert into t values (1, 'one')")
            .await;
        let (gate, events) = gate(server.unix()).await;
        Hand {
            gate,
            events,
            direct,
            database,
            _server: server,
        }
    }

    pub async fn event(&mut self) -> Event {
        in_time(self.events.recv()).await.expect("the gate lives")
    }

    pub async fn open(&mut self) -> (Wire, Session) {
        let stream = self.gate.connect(3);
        let wire = Wire::on(Box::new(stream), &self.database).await;
        match self.event().await {
            Event::Opened {
                session,
                tag: 3,
                pid,
                startup,
            } => {
                assert_eq!(pid, wire.pid);
                assert_eq!(startup["user"], "postgres");
                (wire, session)
            }
            other => panic!("{other:?}"),
        }
    }

    pub async fn arrived(&mut self, of: &Session) -> Batch {
        match self.event().await {
            Event::Arrived { session, batch } if session == of.id() => batch,
            other => panic!("{other:?}"),
        }
    }

    pub async fn ran(&mut self, of: &Session) -> Ran {
        match self.event().await {
            Event::Ran { session, reply } if session == of.id() => reply,
            other => panic!("{other:?}"),
        }
    }

    /// Sends a simple Query through a session, run as it is.
    pub async fn plainly(&mut self, wire: &mut Wire, session: &Session, sql: &str) -> Vec<Message> {
        wire.send(&query(sql)).await;
        self.arrived(session).await;
        session.release(Release::default());
        self.ran(session).await;
        session.deliver();
        wire.until(b'Z').await
    }
}

/// Run it with a commit gap.
pub fn with_gap() -> Release {
    Release {
        gap: true,
        ..Release::default()
    }
}
