//! One run: the sessions move one at a time, as a cursor says; each step becomes an event with its footprint.
//!
//! A step that waits is an event too, and what it does when it goes on belongs to the step that freed it. Nobody moves
//! before all others rest: each is idle, or waits for one that is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use deadheat_explore::{Actor, After, Cursor, End, Event, Run};
use deadheat_sql::catalog::{Catalog, TableKind};
use deadheat_sql::{Analyst, Bound, Facts, Footprint, Ledger};

use super::Limits;
use super::outcome::Outcome;
use crate::conduct::Stop;
use crate::connections::{Connections, Look, waits_on};
use crate::model::Spec;
use crate::reply::Reply;
use crate::server::Server;
use crate::table;
use crate::wire::WireError;

/// How long a wait is watched before it counts: the check for deadlocks that the server makes after 1 ms must be behind
/// it, or the session that closes a circle later is not the one that notices.
const WATCHED: Duration = Duration::from_millis(5);
/// After how long a circle of waits counts as lasting, which nobody looks for.
const CIRCLE: Duration = Duration::from_secs(1);

/// Makes connections.
pub type Connect<'a> = dyn Fn() -> Result<Server, WireError> + 'a;
/// Reads the catalogue of the database, once the spec's setup has been run.
pub type ReadCatalog<'a> = dyn Fn() -> Result<Catalog, String> + 'a;

/// Runs a spec again and again.
pub(super) struct Player<'a> {
    spec: &'a Spec,
    connect: &'a Connect<'a>,
    catalog: &'a ReadCatalog<'a>,
    limits: Limits,
    server: Server,
    analyst: Option<Analyst>,
    /// A step freed several sessions at once, which the server let go on in an order of its own.
    pub(super) freed_many: bool,
}

/// Where the sessions of a run are.
struct Stand {
    ledger: Ledger,
    /// The next step of each.
    next: Vec<usize>,
    /// Those that wait, and for whom.
    waiting: BTreeMap<usize, Vec<usize>>,
    outcome: Outcome,
}

/// A session came to its end of a step.
struct Came {
    session: usize,
    replies: Vec<Reply>,
}

impl<'a> Player<'a> {
    pub(super) fn new(
        spec: &'a Spec,
        connect: &'a Connect<'a>,
        catalog: &'a ReadCatalog<'a>,
        limits: Limits,
    ) -> Result<Self, Stop> {
        Ok(Self {
            spec,
            connect,
            catalog,
            limits,
            server: connect()?,
            analyst: None,
            freed_many: false,
        })
    }

    /// Runs the steps of these sessions.
    pub(super) fn play(
        &mut self,
        mut cursor: Cursor<Footprint>,
        who: &[usize],
    ) -> Result<(Run<Footprint>, Outcome), Stop> {
        let mut stand = self.set_up()?;
        let end = loop {
            let able = |session: &&usize| {
                stand.next[**session] < self.spec.sessions[**session].steps.len()
                    && !stand.waiting.contains_key(*session)
            };
            let enabled: Vec<Actor> = who
                .iter()
                .filter(able)
                .map(|session| actor(*session))
                .collect();
            match cursor.choose(&enabled) {
                Some(actor) => cursor.stepped(self.step(usize::from(actor.0), &mut stand)?),
                None if !enabled.is_empty() => break End::Cut,
                None if stand.waiting.is_empty() => break End::Finished,
                None => break End::Stuck,
            }
        };
        stand.outcome.stuck = stand.waiting.keys().copied().collect();
        stand.outcome.tables = self.tables()?;
        self.clear(&stand)?;
        Ok((cursor.finish(end), stand.outcome))
    }

    fn set_up(&mut self) -> Result<Stand, Stop> {
        for sql in &self.spec.setups {
            if let Some(Reply::Failed(message)) = self.server.control(sql)? {
                return Err(Stop::Died(format!("setup failed: {}", message.primary())));
            }
        }
        if self.analyst.is_none() {
            let catalog = (self.catalog)().map_err(Stop::Died)?;
            self.analyst = Some(Analyst::new(catalog));
        }
        let mut stand = Stand {
            ledger: Ledger::new(),
            next: vec![0; self.spec.sessions.len()],
            waiting: BTreeMap::new(),
            outcome: Outcome::default(),
        };
        for (session, one) in self.spec.sessions.iter().enumerate() {
            let Some(sql) = &one.setup else { continue };
            let reply = self.server.aside(session, sql)?;
            if let Some(Reply::Failed(message)) = &reply {
                let why = message.primary();
                return Err(Stop::Died(format!(
                    "setup of session {} failed: {why}",
                    one.name
                )));
            }
            self.server.notices(session);
            let replies: Vec<Reply> = reply.into_iter().collect();
            self.booked(&mut stand, session, sql, &replies, false);
            if self.limits.quick_deadlocks {
                self.server.aside(session, "SET deadlock_timeout = '1ms'")?;
            }
        }
        Ok(stand)
    }

    /// The footprint of what a session did.
    fn booked(
        &mut self,
        stand: &mut Stand,
        session: usize,
        sql: &str,
        replies: &[Reply],
        open: bool,
    ) -> Footprint {
        let Some(analyst) = &mut self.analyst else {
            return Footprint::everything();
        };
        let batch: [Bound; 1] = [(analyst.parse(sql), Vec::new())];
        let tags: Vec<String> = replies.iter().filter_map(tag).collect();
        let error = replies.iter().find_map(|reply| match reply {
            Reply::Failed(message) => Some(message.code()),
            _ => None,
        });
        let facts = Facts {
            error: error.as_deref(),
            tags: &tags,
            open_before: open,
            open_after: self.server.in_transaction(session),
            ..Facts::default()
        };
        stand.ledger.work(analyst, number(session), &batch, &facts)
    }

    fn step(&mut self, session: usize, stand: &mut Stand) -> Result<Event<Footprint>, Stop> {
        let open = self.server.in_transaction(session);
        let at = stand.next[session];
        stand.next[session] += 1;
        let sql = &self.spec.sessions[session].steps[at].sql;
        self.server.send(session, sql)?;
        let mut running: BTreeSet<usize> = stand.waiting.keys().copied().collect();
        running.insert(session);
        let (came, looks) = self.settle(running)?;
        let (mine, others): (Vec<Came>, Vec<Came>) =
            came.into_iter().partition(|one| one.session == session);
        let mut key = (at as u64) << 32;
        let mut after = After::Waiting;
        let mut footprint = if let Some(one) = mine.first() {
            key |= one
                .replies
                .iter()
                .map(weight)
                .fold(1, |sum, one| (sum * 31 + one) % 0x7fff_ffff);
            let is_last = stand.next[session] == self.spec.sessions[session].steps.len();
            after = if is_last {
                After::Finished
            } else {
                After::Ready
            };
            let footprint = self.booked(stand, session, sql, &one.replies, open);
            self.note(session, at, one, &mut stand.outcome);
            footprint
        } else {
            self.begins_to_wait(session, sql, &looks, stand)
        };
        let waits_for = stand.waiting.get(&session).cloned().unwrap_or_default();
        self.woken(&others, stand, &mut footprint);
        self.freed_many |= others.len() > 1;
        for look in looks.iter().filter(|look| look.session != session) {
            let before = stand.waiting.insert(look.session, look.by.clone());
            if before.as_ref() != Some(&look.by) {
                // It went on, and waits for somebody else now: what it has done meanwhile is not known.
                footprint = Footprint::everything();
            }
        }
        if self.limits.every {
            footprint = Footprint::everything();
        }
        Ok(Event {
            actor: actor(session),
            footprint,
            key,
            wakes: others.iter().map(|one| actor(one.session)).collect(),
            waits_for: waits_for.into_iter().map(actor).collect(),
            after,
        })
    }

    /// Adds what those did whom a step freed.
    fn woken(&mut self, others: &[Came], stand: &mut Stand, footprint: &mut Footprint) {
        for one in others {
            stand.waiting.remove(&one.session);
            let at = stand.next[one.session] - 1;
            let sql = &self.spec.sessions[one.session].steps[at].sql;
            footprint.merge(&Footprint::woken(actor(one.session)));
            // It waited in a transaction, its own or the statement's.
            footprint.merge(&self.booked(stand, one.session, sql, &one.replies, true));
            self.note(one.session, at, one, &mut stand.outcome);
        }
    }

    fn begins_to_wait(
        &mut self,
        session: usize,
        sql: &str,
        looks: &[Look],
        stand: &mut Stand,
    ) -> Footprint {
        let by = looks
            .iter()
            .find(|look| look.session == session)
            .map_or_else(Vec::new, |look| look.by.clone());
        // Those it waits for, and those they wait for in turn.
        let mut chain = by.clone();
        let mut at = 0;
        while let Some(one) = chain.get(at) {
            for next in stand.waiting.get(one).cloned().unwrap_or_default() {
                if !chain.contains(&next) {
                    chain.push(next);
                }
            }
            at += 1;
        }
        let whom: Vec<Actor> = chain.into_iter().map(actor).collect();
        stand.waiting.insert(session, by);
        let Some(analyst) = &mut self.analyst else {
            return Footprint::everything();
        };
        let batch: [Bound; 1] = [(analyst.parse(sql), Vec::new())];
        stand
            .ledger
            .waiting(analyst, number(session), &batch, (actor(session), &whom))
    }

    /// Waits until everybody rests: who came to the end of a step, in that order, and how those look that wait.
    fn settle(&mut self, mut running: BTreeSet<usize>) -> Result<(Vec<Came>, Vec<Look>), Stop> {
        let start = self.server.now();
        let mut came = Vec::new();
        let mut rested = None;
        loop {
            for session in running.clone() {
                self.server.wait(session, Duration::ZERO)?;
                if self.server.is_busy(session)? {
                    continue;
                }
                let mut replies = Vec::new();
                while let Some(reply) = self.server.result(session)? {
                    replies.push(reply);
                }
                running.remove(&session);
                came.push(Came { session, replies });
                rested = None;
            }
            if running.is_empty() {
                return Ok((came, Vec::new()));
            }
            let asked: Vec<usize> = running.iter().copied().collect();
            let looks = self.server.look(&asked)?;
            let rests =
                |session: &usize| waits_on(&looks, *session, &|one| !running.contains(&one));
            let all_rest = asked.iter().all(rests);
            let passed = self.server.now().saturating_sub(start);
            let circle = passed > CIRCLE && looks.iter().all(|look| look.blocked);
            if all_rest || circle {
                let begun = *rested.get_or_insert_with(|| self.server.now());
                let mut arrived = false;
                for session in &asked {
                    arrived |= self.server.wait(*session, Duration::ZERO)?;
                }
                let watched = self.server.now().saturating_sub(begun);
                if !arrived && watched >= WATCHED {
                    return Ok((came, looks));
                }
                if !arrived {
                    self.server
                        .wait(asked[0], WATCHED.saturating_sub(watched))?;
                }
            } else if passed > self.limits.step {
                let seconds = passed.as_secs();
                return Err(Stop::Died(format!(
                    "a step neither ended nor waited for a lock within {seconds} seconds"
                )));
            } else {
                // One that works, if there is one, will be heard of first.
                let works = looks.iter().find(|look| !look.blocked);
                let session = works.map_or(asked[0], |look| look.session);
                self.server.wait(session, Duration::from_millis(1))?;
            }
        }
    }

    /// Writes down what a step printed.
    fn note(&mut self, session: usize, at: usize, came: &Came, outcome: &mut Outcome) {
        let mut out = Vec::new();
        for notice in self.server.notices(session) {
            out.extend(table::in_full(&notice, false));
        }
        for reply in &came.replies {
            match reply {
                Reply::Rows(rows) => table::print(rows, &mut out),
                Reply::Failed(message) => {
                    if matches!(message.code().as_str(), "40001" | "40P01") {
                        outcome.aborted.insert(session);
                    }
                    table::error(message, &mut out);
                }
                Reply::Done(_) | Reply::Empty | Reply::Odd(_) => {}
            }
        }
        let name = self.spec.sessions[session].steps[at].name.clone();
        let text = String::from_utf8_lossy(&out).into_owned();
        outcome.steps.insert((session, at), (name, text));
    }

    /// What the tables hold, as others see it.
    fn tables(&mut self) -> Result<BTreeMap<String, String>, Stop> {
        let mut found = BTreeMap::new();
        let Some(analyst) = &self.analyst else {
            return Ok(found);
        };
        let of_rows = |kind: TableKind| matches!(kind, TableKind::Plain | TableKind::Partitioned);
        let tables = analyst
            .catalog()
            .tables
            .iter()
            .filter(|table| of_rows(table.kind));
        let names: Vec<(String, String)> = tables
            .map(|table| (table.schema.clone(), table.name.clone()))
            .collect();
        // A table that a session has locked cannot be read, and that is an outcome too.
        self.server.control("SET lock_timeout = '200ms'")?;
        for (schema, name) in names {
            let quoted = |name: &str| name.replace('"', "\"\"");
            let sql = format!(
                "SELECT t::text FROM \"{}\".\"{}\" AS t ORDER BY t::text COLLATE \"C\"",
                quoted(&schema),
                quoted(&name)
            );
            let rows = match self.server.control(&sql)? {
                Some(Reply::Rows(rows)) => {
                    let values = rows.rows.iter().flatten().flatten();
                    let lines =
                        values.map(|value| String::from_utf8_lossy(value).into_owned() + "\n");
                    lines.collect()
                }
                Some(Reply::Failed(message)) => format!("cannot be read: {}\n", message.primary()),
                _ => String::new(),
            };
            found.insert(name, rows);
        }
        self.server.control("RESET lock_timeout")?;
        Ok(found)
    }

    /// Tears down, and leaves sessions as new ones are.
    fn clear(&mut self, stand: &Stand) -> Result<(), Stop> {
        for session in stand.waiting.keys() {
            self.server.cancel(*session)?;
            while self.server.result(*session)?.is_some() {}
        }
        for (session, one) in self.spec.sessions.iter().enumerate() {
            let statements = one
                .teardown
                .as_deref()
                .into_iter()
                .chain(["ROLLBACK", "DISCARD ALL"]);
            for sql in statements {
                match self.server.aside(session, sql) {
                    Ok(_) | Err(WireError::Closed) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            self.server.notices(session);
            self.server.notifications(session)?;
        }
        if self.server.is_broken() {
            self.server = (self.connect)()?;
        }
        if let Some(sql) = &self.spec.teardown
            && let Some(Reply::Failed(message)) = self.server.control(sql)?
        {
            return Err(Stop::Died(format!(
                "teardown failed: {}",
                message.primary()
            )));
        }
        Ok(())
    }
}

fn actor(session: usize) -> Actor {
    Actor(session as u16)
}

fn number(session: usize) -> u32 {
    session as u32
}

fn tag(reply: &Reply) -> Option<String> {
    match reply {
        Reply::Done(tag) => Some(tag.clone()),
        Reply::Rows(rows) => Some(rows.tag.clone()),
        Reply::Empty | Reply::Failed(_) | Reply::Odd(_) => None,
    }
}

/// What tells one reply from another, of what can be relied on when a run is repeated.
fn weight(reply: &Reply) -> u64 {
    match reply {
        Reply::Done(tag) => 2 + tag.bytes().map(u64::from).sum::<u64>(),
        Reply::Rows(rows) => 3 + 1000 * (rows.rows.len() as u64 + 1),
        Reply::Failed(message) => {
            5 + message
                .code()
                .bytes()
                .fold(0, |sum, byte| sum * 37 + u64::from(byte))
                % 0xffff
        }
        Reply::Empty | Reply::Odd(_) => 7,
    }
}
