//! The point gate: places in a program's own code where it waits to be chosen, named by lines on a socket.
//!
//! The protocol is in docs/points.md: `point ID NAME JSON`, answered by `go ID`. To the lab a point looks like a session
//! that sends a statement which touches nothing, [`text`] of it, so that all that holds for statements holds for points:
//! whose they are, when they are steps, how they are held. A point that waits has a session of its own, used again when
//! it has been passed: several may wait on one connection.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::event::{Batch, Event, Gap, Ran, Statement, TxStatus};
use crate::session::{CancelTo, Command, Session};

/// Longest line that is read: a name and a few values.
const LONGEST_LINE: u64 = 64 * 1024;

/// A point gate. Dropping it closes the listener and all connections: whoever waits passes.
#[derive(Debug)]
pub struct Points {
    addr: SocketAddr,
    _tasks: JoinSet<()>,
}

/// What the connections of a gate have in common.
struct Shared {
    tag: u32,
    /// The database that sessions are said to be connected to.
    database: String,
    events: UnboundedSender<Event>,
}

/// A point that is waiting to be passed.
struct Point {
    id: u64,
    text: Arc<str>,
}

impl Points {
    /// Listens on 127.0.0.1, on a port picked by the system. `tag` and `database` come back in [`Event::Opened`].
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn open(
        tag: u32,
        database: &str,
        events: UnboundedSender<Event>,
    ) -> io::Result<Points> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            tag,
            database: database.to_owned(),
            events,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, shared));
        Ok(Points {
            addr,
            _tasks: tasks,
        })
    }

    /// What `DEADHEAT_POINTS` is to be.
    pub fn address(&self) -> String {
        self.addr.to_string()
    }
}

/// The statement that stands for a point.
fn text(name: &str, values: &str) -> String {
    let values = if values == "{}" { "" } else { values };
    // What would end the comment is no part of any value that is worth a look.
    let values = values.replace("*/", "* /").replace("/*", "/ *");
    format!("select /* deadheat:point {name} {values} */").replace("  */", " */")
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the point gate was not accepted");
                tokio::time::sleep(crate::BREATH).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Serves one connection until it ends or says what it must not.
async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a point's answer may come late");
    }
    let (reader, writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let (answer, answers) = unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(write(writer, answers));
    // Dropping the set at the end ends the sessions of points that still wait.
    let free: Free = Arc::default();
    let mut line = String::new();
    loop {
        line.clear();
        let mut limited = (&mut reader).take(LONGEST_LINE);
        match limited.read_line(&mut line).await {
            Ok(count) if count > 0 && line.ends_with('\n') => {}
            _ => return,
        }
        let Some(point) = read(line.trim_end()) else {
            tracing::warn!(
                line = line.trim_end(),
                "closing a connection that names no point"
            );
            return;
        };
        let idle = lock(&free).pop();
        let slot = idle.unwrap_or_else(|| {
            let (slot, points) = unbounded_channel();
            let session = Slot::open(&shared, answer.clone());
            tasks.spawn(session.serve(points, slot.clone(), Arc::clone(&free)));
            slot
        });
        if slot.send(point).is_err() {
            return;
        }
    }
}

/// Sessions without a point.
type Free = Arc<Mutex<Vec<UnboundedSender<Point>>>>;

fn lock(free: &Free) -> std::sync::MutexGuard<'_, Vec<UnboundedSender<Point>>> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `point ID NAME JSON`.
fn read(line: &str) -> Option<Point> {
    let mut parts = line.splitn(4, ' ');
    if parts.next()? != "point" {
        return None;
    }
    let id = parts.next()?.parse().ok()?;
    let name = parts.next().filter(|name| !name.is_empty())?;
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    if !name.chars().all(fits) {
        return None;
    }
    let values = parts.next().filter(|values| values.starts_with('{'))?;
    Some(Point {
        id,
        text: text(name, values).into(),
    })
}

async fn write(mut writer: OwnedWriteHalf, mut answers: UnboundedReceiver<u64>) {
    while let Some(id) = answers.recv().await {
        if writer
            .write_all(format!("go {id}\n").as_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}

/// One session: points that wait one after the other.
struct Slot {
    id: u32,
    commands: UnboundedReceiver<Command>,
    shared: Arc<Shared>,
    answer: UnboundedSender<u64>,
    /// Whether a point is held that was not released.
    waiting: bool,
}

impl Slot {
    fn open(shared: &Arc<Shared>, answer: UnboundedSender<u64>) -> Self {
        let (session, commands) = Session::new(crate::next_session());
        let slot = Self {
            id: session.id(),
            commands,
            shared: Arc::clone(shared),
            answer,
            waiting: false,
        };
        slot.emit(Event::Opened {
            session,
            tag: shared.tag,
            pid: 0,
            startup: BTreeMap::from([("database".to_owned(), shared.database.clone())]),
        });
        slot
    }

    fn emit(&self, event: Event) {
        // Nobody listens any more: the lab is gone, and the gate with it in a moment.
        let _ = self.shared.events.send(event);
    }

    async fn serve(
        mut self,
        mut points: UnboundedReceiver<Point>,
        own: UnboundedSender<Point>,
        free: Free,
    ) {
        loop {
            let point = tokio::select! {
                point = points.recv() => point,
                command = self.commands.recv() => match command {
                    Some(command) => if self.at_rest(command) { continue } else { None },
                    None => None,
                },
            };
            let Some(point) = point else { return };
            if !self.hold(&point).await || self.answer.send(point.id).is_err() {
                return;
            }
            lock(&free).push(own.clone());
        }
    }

    /// Holds a point until it may be passed; `false` when the session is over instead.
    async fn hold(&mut self, point: &Point) -> bool {
        self.waiting = true;
        let session = self.id;
        let statement = Statement {
            sql: Arc::clone(&point.text),
            params: Vec::new(),
        };
        self.emit(Event::Arrived {
            session,
            batch: Batch {
                statements: vec![statement],
                status: TxStatus::Idle,
                simple: true,
                flush: false,
                implied: false,
            },
        });
        while let Some(command) = self.commands.recv().await {
            match command {
                Command::Release(_) | Command::StandIn => {
                    self.waiting = false;
                    self.emit(Event::Ran {
                        session,
                        reply: passed(),
                    });
                }
                Command::Deliver | Command::Refuse { .. } => {
                    self.waiting = false;
                    return true;
                }
                other => {
                    if !self.at_rest(other) {
                        return false;
                    }
                }
            }
        }
        false
    }

    /// Does what can be asked at any time; `false` when that ends the session.
    fn at_rest(&self, command: Command) -> bool {
        match command {
            Command::Close => return false,
            Command::Reset => self.emit(Event::Reset { session: self.id }),
            Command::Cancel(answer) => {
                // The asker may be gone.
                let _ = answer.send(CancelTo::Nobody);
            }
            Command::Release(_)
            | Command::StandIn
            | Command::CommitGap
            | Command::Deliver
            | Command::Refuse { .. }
            | Command::Precede(_)
            | Command::Enclose(_)
            | Command::Complete
            | Command::Cancelled
            | Command::Heard => {}
        }
        true
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.waiting {
            self.emit(Event::Withdrawn { session: self.id });
        }
        self.emit(Event::Closed {
            session: self.id,
            reason: "the connection of a point ended".to_owned(),
        });
    }
}

/// The answer to a point.
fn passed() -> Ran {
    Ran {
        status: TxStatus::Idle,
        tags: vec!["POINT".to_owned()],
        error: None,
        columns: Vec::new(),
        rows: Vec::new(),
        gap: Gap::None,
        probe: None,
        streamed: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_a_point_with_its_values() {
        let said = |line| read(line).map(|point| (point.id, point.text.to_string()));
        assert_eq!(
            said(r#"point 7 seat_checked {"free":true}"#),
            Some((
                7,
                r#"select /* deadheat:point seat_checked {"free":true} */"#.to_owned()
            ))
        );
        assert_eq!(
            said("point 1 before_save {}"),
            Some((1, "select /* deadheat:point before_save */".to_owned()))
        );
        for wrong in [
            "",
            "point",
            "point 1 a",
            "point x a {}",
            "go 1",
            "point 1 a*/b {}",
        ] {
            assert_eq!(said(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_value_ends_the_comment() {
        let text = text("p", r#"{"a":"*/ drop table t /*"}"#);
        assert_eq!(text.matches("*/").count(), 1);
        assert!(text.ends_with("*/"));
    }
}
