//! The sessions of a spec on a server.

use std::time::{Duration, Instant};

use crate::connections::{Connections, Look};
use crate::model::Spec;
use crate::reply::{Message, Notification, Reply};
use crate::wire::{Session, Target, WireError};

/// What the statement that looks for waits is named.
const LOOK: &str = "isolationtester_waiting";

/// Connections of the sessions of one spec, and of whoever watches them.
pub struct Server {
    control: Session,
    sessions: Vec<Session>,
    start: Instant,
}

/// What settings a session may begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The user may change what only superusers may.
    pub superuser: bool,
    /// The server's major version.
    pub version: u32,
    /// How long a session waits before it looks for deadlocks; only superusers may say.
    pub deadlock_timeout: &'static str,
}

/// The settings that sessions begin with: those that pg_regress gives, so that output is the same everywhere (the time
/// zone was called PST8PDT before 2024). `name` is the spec's.
pub fn settings(name: &str, session: &str, terms: Terms) -> Vec<(String, String)> {
    let everybody = [
        ("DateStyle", "Postgres, MDY"),
        ("TimeZone", "America/Los_Angeles"),
        ("IntervalStyle", "postgres_verbose"),
        ("bytea_output", "hex"),
        ("timezone_abbreviations", "Default"),
        ("lc_monetary", "C"),
        ("lc_numeric", "C"),
        ("lc_time", "C"),
    ];
    // These as a server has them by default: our own look for deadlocks sooner, and count as they go.
    let since_15 = [("stats_fetch_consistency", "cache")];
    let of_15 = since_15.into_iter().filter(|_| terms.version >= 15);
    let superusers = [
        ("lc_messages", "C"),
        ("deadlock_timeout", terms.deadlock_timeout),
    ];
    let of_superusers = superusers.into_iter().filter(|_| terms.superuser);
    let mut settings: Vec<(String, String)> = everybody
        .into_iter()
        .chain(of_15)
        .chain(of_superusers)
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    settings.push((
        "application_name".to_owned(),
        format!("isolation/{name}/{session}"),
    ));
    settings
}

impl Server {
    /// Connects the sessions of a spec.
    ///
    /// # Errors
    /// When the server refuses, or cannot say who waits.
    pub fn connect(
        spec: &Spec,
        name: &str,
        target: &Target,
        terms: Terms,
    ) -> Result<Self, WireError> {
        let begin = |session: &str| Session::begin(target, &settings(name, session, terms));
        let mut control = begin("control connection")?;
        let names = spec.sessions.iter().map(|session| session.name.as_str());
        let mut sessions = names
            .map(begin)
            .collect::<Result<Vec<Session>, WireError>>()?;
        control.finish()?;
        for session in &mut sessions {
            session.finish()?;
        }
        let pids: Vec<String> = sessions
            .iter()
            .map(|session| session.pid().to_string())
            .collect();
        let sql = format!(
            "SELECT pid, pg_catalog.pg_isolation_test_session_is_blocked(pid, '{{{}}}'), \
             pg_catalog.array_to_string(pg_catalog.pg_blocking_pids(pid) \
             OPERATOR(pg_catalog.||) pg_catalog.pg_safe_snapshot_blocking_pids(pid), ' ') \
             FROM pg_catalog.unnest($1::pg_catalog.int4[]) AS pid",
            pids.join(",")
        );
        if let Some(Reply::Failed(message)) = control.prepare(LOOK, &sql)? {
            return Err(WireError::Refused(message.primary()));
        }
        Ok(Self {
            control,
            sessions,
            start: Instant::now(),
        })
    }
}

impl Server {
    /// Whether a transaction is open in the session, as it was when its last query ended.
    pub(crate) fn in_transaction(&self, session: usize) -> bool {
        self.sessions[session].in_transaction()
    }

    /// Whether a connection has ended.
    pub(crate) fn is_broken(&self) -> bool {
        self.control.is_gone() || self.sessions.iter().any(Session::is_gone)
    }

    /// Runs a query on a session and waits for its last result.
    pub(crate) fn aside(&mut self, session: usize, sql: &str) -> Result<Option<Reply>, WireError> {
        self.sessions[session].run(sql)
    }

    /// Ends all sessions and waits until the server has, so that nothing of them is in the way of what comes next.
    pub fn close(mut self) {
        self.sessions.push(self.control);
        self.sessions.iter_mut().for_each(Session::leave);
        self.sessions.iter_mut().for_each(Session::left);
    }
}

impl Connections for Server {
    fn send(&mut self, session: usize, sql: &str) -> Result<(), WireError> {
        self.sessions[session].send(sql)
    }

    fn is_busy(&mut self, session: usize) -> Result<bool, WireError> {
        self.sessions[session].is_busy()
    }

    fn wait(&mut self, session: usize, most: Duration) -> Result<bool, WireError> {
        self.sessions[session].wait(most)
    }

    fn result(&mut self, session: usize) -> Result<Option<Reply>, WireError> {
        self.sessions[session].result()
    }

    fn notices(&mut self, session: usize) -> Vec<Message> {
        self.sessions[session].take_notices()
    }

    fn notifications(&mut self, session: usize) -> Result<Vec<Notification>, WireError> {
        self.sessions[session].take_notifications()
    }

    fn control(&mut self, sql: &str) -> Result<Option<Reply>, WireError> {
        let reply = self.control.run(sql);
        self.control.take_notices();
        reply
    }

    fn look(&mut self, sessions: &[usize]) -> Result<Vec<Look>, WireError> {
        let pids: Vec<String> = sessions
            .iter()
            .map(|one| self.sessions[*one].pid().to_string())
            .collect();
        let reply = self
            .control
            .execute(LOOK, &format!("{{{}}}", pids.join(",")))?;
        let rows = match reply {
            Some(Reply::Rows(table)) => table.rows,
            Some(Reply::Failed(message)) => return Err(WireError::Refused(message.primary())),
            _ => return Err(WireError::Closed),
        };
        Ok(rows.iter().filter_map(|row| self.seen(row)).collect())
    }

    fn cancel(&mut self, session: usize) -> Result<(), WireError> {
        self.sessions[session].cancel()
    }

    fn of_process(&self, pid: i32) -> Option<usize> {
        self.sessions
            .iter()
            .position(|session| session.pid() == pid)
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

impl Server {
    /// A row of the look.
    fn seen(&self, row: &[Option<Vec<u8>>]) -> Option<Look> {
        let [Some(pid), Some(blocked), Some(by)] = row else {
            return None;
        };
        let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<i32>().ok();
        let session = self.of_process(number(pid)?)?;
        let mut look = Look {
            session,
            blocked: blocked == b"t",
            ..Look::default()
        };
        for pid in by.split(|byte| *byte == b' ').filter(|pid| !pid.is_empty()) {
            match number(pid).and_then(|pid| self.of_process(pid)) {
                Some(one) => look.by.push(one),
                None => look.by_others = true,
            }
        }
        Some(look)
    }
}
