//! Rows with PostgreSQL's row locks: a statement that has to wait is a step of its own, and goes on inside the
//! step that lets it.

use super::machine::{Print, Sql};

#[derive(Clone)]
pub struct Rows {
    rows: Vec<Row>,
    sessions: Vec<Session>,
}

#[derive(Clone, Default)]
struct Row {
    committed: i64,
    holder: Option<usize>,
    /// In the order they came. Invariant: empty while nobody holds the row.
    queue: Vec<usize>,
}

#[derive(Clone, Default)]
struct Session {
    /// Versions not committed yet, by row.
    written: Vec<(usize, i64)>,
    waits: Option<(usize, Sql)>,
    snapshot: Option<Vec<i64>>,
}

/// What a statement did.
pub struct Effect {
    pub print: Print,
    /// `None`: it waits.
    pub reply: Option<i64>,
    /// Who went on because of it, with the reply they got.
    pub woken: Vec<(usize, i64)>,
    pub waits_for: Vec<usize>,
}

/// Reply of a statement whose transaction was aborted.
const ABORTED: i64 = -1;
const ROWS: usize = 8;

fn value(row: usize) -> usize {
    row
}

fn lock(row: usize) -> usize {
    32 + row
}

fn waits(session: usize) -> usize {
    64 + session
}

impl Rows {
    pub fn new(sessions: usize) -> Self {
        Self {
            rows: vec![Row::default(); ROWS],
            sessions: vec![Session::default(); sessions],
        }
    }

    pub fn is_waiting(&self, session: usize) -> bool {
        self.sessions[session].waits.is_some()
    }

    pub fn committed(&self) -> Vec<i64> {
        self.rows.iter().map(|r| r.committed).collect()
    }

    pub fn run(&mut self, me: usize, sql: Sql) -> Effect {
        let done = |print, reply| Effect {
            print,
            reply: Some(reply),
            woken: Vec::new(),
            waits_for: Vec::new(),
        };
        match sql {
            Sql::Select(row) => {
                let print = if self.sessions[me].snapshot.is_some() {
                    Print::default()
                } else {
                    Print::read(value(row))
                };
                done(print, self.visible(me, row))
            }
            Sql::Snapshot => {
                self.sessions[me].snapshot = Some(self.committed());
                let all = (0..ROWS).map(|row| Print::read(value(row)));
                done(all.fold(Print::default(), Print::and), 0)
            }
            Sql::Commit => self.end(me, true, 0),
            Sql::Rollback => self.end(me, false, 0),
            Sql::Set(row, _) | Sql::Add(row, _) | Sql::SetWhere(row, ..) => {
                self.update(me, row, sql)
            }
        }
    }

    fn own(&self, me: usize, row: usize) -> Option<i64> {
        self.sessions[me]
            .written
            .iter()
            .rev()
            .find(|(r, _)| *r == row)
            .map(|(_, v)| *v)
    }

    fn visible(&self, me: usize, row: usize) -> i64 {
        let snapshot = self.sessions[me].snapshot.as_ref().map(|s| s[row]);
        self.own(me, row)
            .or(snapshot)
            .unwrap_or(self.rows[row].committed)
    }

    fn update(&mut self, me: usize, row: usize, sql: Sql) -> Effect {
        let seen = Print::read(value(row));
        if matches!(sql, Sql::SetWhere(_, old, _) if old != self.visible(me, row)) {
            return Effect {
                print: seen,
                reply: Some(0),
                woken: Vec::new(),
                waits_for: Vec::new(),
            };
        }
        let touched = seen.and(Print::write(lock(row)));
        match self.rows[row].holder.filter(|&holder| holder != me) {
            None => match self.apply(me, row, sql) {
                ABORTED => {
                    let effect = self.end(me, false, ABORTED);
                    Effect {
                        print: effect.print.and(touched),
                        ..effect
                    }
                }
                reply => Effect {
                    print: touched,
                    reply: Some(reply),
                    woken: Vec::new(),
                    waits_for: Vec::new(),
                },
            },
            Some(holder) => self.wait(me, row, sql, holder, touched),
        }
    }

    fn wait(&mut self, me: usize, row: usize, sql: Sql, holder: usize, touched: Print) -> Effect {
        let mut chain = vec![holder];
        let mut print = touched
            .and(Print::write(waits(me)))
            .and(Print::read(waits(holder)));
        while let Some((next, _)) = self.sessions[chain[chain.len() - 1]].waits {
            let holder = self.rows[next].holder.expect("what is waited for is held");
            print = print.and(Print::read(lock(next)));
            if holder == me {
                let effect = self.end(me, false, ABORTED);
                return Effect {
                    print: effect.print.and(print),
                    ..effect
                };
            }
            print = print.and(Print::read(waits(holder)));
            chain.push(holder);
        }
        self.rows[row].queue.push(me);
        self.sessions[me].waits = Some((row, sql));
        Effect {
            print,
            reply: None,
            woken: Vec::new(),
            waits_for: vec![holder],
        }
    }

    /// Takes the lock and writes, on the row as it is now; the reply.
    fn apply(&mut self, me: usize, row: usize, sql: Sql) -> i64 {
        let now = self.own(me, row).unwrap_or(self.rows[row].committed);
        if self.visible(me, row) != now {
            // A snapshot that somebody has overtaken: 40001.
            return ABORTED;
        }
        let new = match sql {
            Sql::Set(_, new) => new,
            Sql::Add(_, by) => now + by,
            Sql::SetWhere(_, old, new) if old == now => new,
            _ => return 0,
        };
        self.rows[row].holder = Some(me);
        self.sessions[me].written.push((row, new));
        1
    }

    /// Ends a transaction and lets those go on who waited for it.
    fn end(&mut self, me: usize, commit: bool, reply: i64) -> Effect {
        let mut effect = Effect {
            print: Print::default(),
            reply: Some(reply),
            woken: Vec::new(),
            waits_for: Vec::new(),
        };
        let session = &mut self.sessions[me];
        session.snapshot = None;
        let mut released: Vec<usize> = Vec::new();
        for (row, new) in std::mem::take(&mut session.written) {
            if commit {
                self.rows[row].committed = new;
                effect.print = effect.print.and(Print::write(value(row)));
            }
            if !released.contains(&row) {
                released.push(row);
            }
        }
        while let Some(row) = released.pop() {
            effect.print = effect.print.and(Print::write(lock(row)));
            self.rows[row].holder = None;
            while self.rows[row].holder.is_none() && !self.rows[row].queue.is_empty() {
                let next = self.rows[row].queue.remove(0);
                let (_, sql) = self.sessions[next].waits.take().expect("who queues waits");
                effect.print = effect
                    .print
                    .and(Print::read(value(row)))
                    .and(Print::write(waits(next)));
                let reply = self.apply(next, row, sql);
                effect.woken.push((next, reply));
                if reply == ABORTED {
                    let theirs = self.end(next, false, ABORTED);
                    effect.print = effect.print.and(theirs.print);
                    effect.woken.extend(theirs.woken);
                }
            }
        }
        effect
    }
}
