//! Follows connections and transactions; makes a [`Statement`] of every execution.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use deadheat_gate::{Batch, Ran, Seen, Session, SqlError, TxStatus};

use super::known::{Known, Touched};
use super::target::Target;

/// A pause that ends a burst.
const PAUSE: Duration = Duration::from_millis(200);
/// So many equal reads in one burst are remarked upon, and ten times as many again.
const MANY: u64 = 5;

/// One execution of a statement.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// When it arrived.
    pub at: SystemTime,
    /// Number of the connection, counted from 1.
    pub connection: u32,
    /// Number of the transaction, counted from 1; none outside.
    pub transaction: Option<u64>,
    pub sql: Arc<str>,
    pub params: Vec<Option<String>>,
    pub touched: Touched,
    /// From its arrival to the last of its answer. Those of one batch share their time: the first one has it.
    pub time: Option<Duration>,
    /// Rows returned or changed, where the server says how many.
    pub rows: Option<u64>,
    pub error: Option<SqlError>,
    /// How often this read has run in the same burst.
    pub repeated: u64,
}

/// What there is to say.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    Statement(Box<Statement>),
    /// A read is repeated with other values again and again.
    Again {
        connection: u32,
        times: u64,
        sql: Arc<str>,
    },
    Connected {
        connection: u32,
        user: String,
        database: String,
        application: String,
    },
    Closed {
        connection: u32,
        reason: String,
    },
    Remark(String),
}

/// A connection.
struct Conn {
    handle: Session,
    number: u32,
    database: String,
    transaction: Option<u64>,
    burst: Burst,
}

/// What ran without a pause in between.
#[derive(Default)]
struct Burst {
    reads: BTreeMap<u64, u64>,
    last: Option<Instant>,
}

impl Burst {
    /// Counts a read; returns how often it has run.
    fn count(&mut self, shape: u64, now: Instant) -> u64 {
        if self
            .last
            .is_some_and(|last| now.duration_since(last) > PAUSE)
        {
            self.reads.clear();
        }
        self.last = Some(now);
        let times = self.reads.entry(shape).or_default();
        *times += 1;
        *times
    }
}

/// Follows everything that passes.
pub(super) struct Watch {
    known: Known,
    conns: BTreeMap<u32, Conn>,
    connections: u32,
    transactions: u64,
}

impl Watch {
    pub fn new(target: Target) -> Self {
        Self {
            known: Known::new(target),
            conns: BTreeMap::new(),
            connections: 0,
            transactions: 0,
        }
    }

    /// From now on nothing is asked of the server any more.
    pub fn end(&mut self) {
        self.known.end();
    }

    /// Takes note of what was seen, and returns what there is to say.
    pub async fn hear(&mut self, seen: Seen) -> Vec<Heard> {
        match seen {
            Seen::Opened { session, startup } => self.opened(session, &startup).await,
            Seen::Passed {
                session,
                batch,
                reply,
                at,
                took,
            } => self.passed(session, &batch, &reply, (at, took)).await,
            Seen::Lost { session, why } => self.lost(session, &why),
            Seen::Closed { session, reason } => self.closed(session, reason),
        }
    }

    async fn opened(&mut self, handle: Session, startup: &BTreeMap<String, String>) -> Vec<Heard> {
        let of = |key: &str| startup.get(key).cloned().unwrap_or_default();
        let database = startup
            .get("database")
            .cloned()
            .unwrap_or_else(|| of("user"));
        self.connections += 1;
        let remark = self.known.learn(&database).await;
        let heard = Heard::Connected {
            connection: self.connections,
            user: of("user"),
            database: database.clone(),
            application: of("application_name"),
        };
        let conn = Conn {
            number: self.connections,
            database,
            transaction: None,
            burst: Burst::default(),
            handle,
        };
        self.conns.insert(conn.handle.id(), conn);
        let remark = remark.map(Heard::Remark);
        remark.into_iter().chain([heard]).collect()
    }

    fn lost(&self, session: u32, why: &str) -> Vec<Heard> {
        let conn = self.conns.get(&session);
        conn.map(|conn| {
            Heard::Remark(format!(
                "connection {} goes on unread, because {why}",
                conn.number
            ))
        })
        .into_iter()
        .collect()
    }

    fn closed(&mut self, session: u32, reason: String) -> Vec<Heard> {
        let Some(conn) = self.conns.remove(&session) else {
            return Vec::new();
        };
        self.known.close(&conn.database, session);
        vec![Heard::Closed {
            connection: conn.number,
            reason,
        }]
    }

    async fn passed(
        &mut self,
        session: u32,
        batch: &Batch,
        reply: &Ran,
        (at, time): (Instant, Duration),
    ) -> Vec<Heard> {
        let Some(conn) = self.conns.get_mut(&session) else {
            return Vec::new();
        };
        conn.handle.heard();
        // A catalogue that has changed since is read again.
        let remark = self.known.learn(&conn.database).await;
        let mut heard: Vec<Heard> = remark.map(Heard::Remark).into_iter().collect();
        let at = SystemTime::now() - at.elapsed();
        if conn.transaction.is_none()
            && (batch.status != TxStatus::Idle || reply.status != TxStatus::Idle)
        {
            self.transactions += 1;
            conn.transaction = Some(self.transactions);
        }
        let transaction = conn.transaction;
        if reply.status == TxStatus::Idle {
            conn.transaction = None;
        }
        let touched = self.known.touched(&conn.database, session, batch, reply);
        let count = batch.statements.len();
        // What was answered before the error has a tag; what comes behind it did not run.
        let ended = match reply.error {
            Some(_) if count > 1 => (reply.tags.len() + 1).min(count),
            _ => count,
        };
        let together = batch.statements.iter().zip(touched).enumerate();
        for (number, (statement, touched)) in together.take(ended) {
            let repeated = if touched.reads {
                conn.burst.count(touched.shape, Instant::now())
            } else {
                0
            };
            if is_worth_saying(repeated) {
                heard.push(Heard::Again {
                    connection: conn.number,
                    times: repeated,
                    sql: Arc::clone(&statement.sql),
                });
            }
            let tags = if count == 1 {
                &reply.tags[..]
            } else {
                reply.tags.get(number..=number).unwrap_or_default()
            };
            let params = statement.params.iter();
            heard.push(Heard::Statement(Box::new(Statement {
                at,
                connection: conn.number,
                transaction,
                sql: Arc::clone(&statement.sql),
                params: params.map(deadheat_gate::Param::text).collect(),
                touched,
                time: (number == 0).then_some(time),
                rows: rows(tags),
                error: reply.error.clone().filter(|_| number + 1 == ended),
                repeated,
            })));
        }
        heard
    }
}

/// 5, 50, 500, … times.
fn is_worth_saying(times: u64) -> bool {
    let mut mark = MANY;
    while mark < times {
        mark *= 10;
    }
    times == mark
}

/// Rows that command tags speak of: `SELECT 3`, `INSERT 0 1`.
fn rows(tags: &[String]) -> Option<u64> {
    tags.iter()
        .filter_map(|tag| tag.rsplit(' ').next()?.parse::<u64>().ok())
        .reduce(u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::{Burst, PAUSE, is_worth_saying, rows};
    use std::time::Instant;

    #[test]
    fn rows_are_added_up_where_tags_have_them() {
        let tags = |all: &[&str]| all.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        assert_eq!(rows(&tags(&["SELECT 3", "INSERT 0 2"])), Some(5));
        assert_eq!(rows(&tags(&["BEGIN"])), None);
    }

    #[test]
    fn repetition_is_remarked_upon_now_and_then() {
        let said: Vec<u64> = (0..=600).filter(|times| is_worth_saying(*times)).collect();
        assert_eq!(said, [5, 50, 500]);
    }

    #[test]
    fn a_pause_ends_a_burst() {
        let mut burst = Burst::default();
        let start = Instant::now();
        assert_eq!(burst.count(7, start), 1);
        assert_eq!(burst.count(7, start + PAUSE), 2);
        assert_eq!(burst.count(8, start + PAUSE), 1);
        assert_eq!(burst.count(7, start + PAUSE * 3), 1);
    }
}
