//! The machine that programs run on: one operation of one actor at a time.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use deadheat_explore::{Actor, After, Event, Footprint};

use super::rows::Rows;

/// What a step touched, as bits. Cells use the lower numbers; see [`Print`]'s makers for the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Print {
    pub reads: u128,
    pub writes: u128,
    /// Locks taken and messages received.
    pub takes: u128,
    /// Locks released and messages sent.
    pub gives: u128,
}

impl Print {
    pub fn read(bit: usize) -> Self {
        Self {
            reads: 1 << bit,
            ..Self::default()
        }
    }

    pub fn write(bit: usize) -> Self {
        Self {
            writes: 1 << bit,
            ..Self::default()
        }
    }

    pub fn and(self, other: Self) -> Self {
        Self {
            reads: self.reads | other.reads,
            writes: self.writes | other.writes,
            takes: self.takes | other.takes,
            gives: self.gives | other.gives,
        }
    }
}

impl Footprint for Print {
    fn conflicts(&self, other: &Self) -> bool {
        self.writes & (other.reads | other.writes) != 0 || self.reads & other.writes != 0
    }

    fn enables(&self, later: &Self) -> bool {
        self.gives & later.takes != 0
    }
}

/// What an actor can do in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    Read(usize),
    Write(usize, i64),
    /// Replies 1 if the cell held the second value, and then puts the third in its place; else 0.
    Swap(usize, i64, i64),
    /// Adds to a cell if it holds at least a value: what it touches depends on what it finds.
    AddIf(usize, i64, i64),
    /// Really disables: who wants a lock that is held is not enabled.
    Lock(usize),
    /// Lets go of a lock, if it is one's own.
    Unlock(usize),
    /// Puts a value at the end of a mailbox.
    Send(usize, i64),
    /// Takes the next value out of a mailbox; not enabled while there is none.
    Receive(usize),
    Sql(Sql),
    End,
}

/// Statements over rows, each a session of its own, at READ COMMITTED unless a snapshot was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sql {
    Select(usize),
    Set(usize, i64),
    Add(usize, i64),
    /// UPDATE … SET v = third WHERE v = second.
    SetWhere(usize, i64, i64),
    /// First statement of a REPEATABLE READ transaction.
    Snapshot,
    Commit,
    Rollback,
}

/// A program says what each actor does next, from the replies it has had.
pub type Program = Arc<dyn Fn(usize, &[i64]) -> Op + Send + Sync>;

pub const CELLS: usize = 128;

#[derive(Clone)]
pub struct Machine {
    program: Program,
    cells: Vec<i64>,
    /// Who holds each lock.
    locks: BTreeMap<usize, usize>,
    mailboxes: Vec<Mailbox>,
    rows: Rows,
    replies: Vec<Vec<i64>>,
    /// Whether steps keep to themselves what they enable.
    secretive: bool,
}

#[derive(Clone, Default)]
struct Mailbox {
    values: VecDeque<i64>,
    sent: usize,
    taken: usize,
}

/// A mailbox's two ends and its slots are bits of their own.
const SLOTS: usize = 14;

fn tail(mailbox: usize) -> usize {
    mailbox * (SLOTS + 2)
}

/// Told apart from the tail because senders and receivers do not get in each other's way.
fn head(mailbox: usize) -> usize {
    mailbox * (SLOTS + 2) + 1
}

fn slot(mailbox: usize, at: usize) -> usize {
    assert!(at < SLOTS, "mailboxes of the model are small");
    mailbox * (SLOTS + 2) + 2 + at
}

impl Machine {
    pub fn new(actors: usize, program: Program) -> Self {
        Self {
            program,
            cells: vec![0; CELLS],
            locks: BTreeMap::new(),
            mailboxes: vec![Mailbox::default(); 8],
            rows: Rows::new(actors),
            replies: vec![Vec::new(); actors],
            secretive: false,
        }
    }

    /// Footprints no longer say who enables whom: they are wrong, as a driver's may be.
    pub fn secretive(mut self) -> Self {
        self.secretive = true;
        self
    }

    pub fn with_cells(mut self, value: i64, cells: &[usize]) -> Self {
        for &cell in cells {
            self.cells[cell] = value;
        }
        self
    }

    pub fn actors(&self) -> usize {
        self.replies.len()
    }

    fn op(&self, actor: usize) -> Op {
        (self.program)(actor, &self.replies[actor])
    }

    fn is_done(&self, actor: usize) -> bool {
        !self.rows.is_waiting(actor) && self.op(actor) == Op::End
    }

    fn is_enabled(&self, actor: usize) -> bool {
        !self.rows.is_waiting(actor)
            && match self.op(actor) {
                Op::End => false,
                Op::Lock(lock) => !self.locks.contains_key(&lock),
                Op::Receive(mailbox) => !self.mailboxes[mailbox].values.is_empty(),
                _ => true,
            }
    }

    pub fn enabled(&self) -> Vec<Actor> {
        (0..self.actors())
            .filter(|&a| self.is_enabled(a))
            .map(actor)
            .collect()
    }

    pub fn is_finished(&self) -> bool {
        (0..self.actors()).all(|a| self.is_done(a))
    }

    /// The steps that a lock or an empty mailbox keeps from being made.
    pub fn pending(&self) -> Vec<(Actor, Print)> {
        let waiting = |a: &usize| !self.rows.is_waiting(*a) && !self.is_enabled(*a);
        let print = |a: usize| match self.op(a) {
            Op::Lock(lock) => Some((
                actor(a),
                Print {
                    takes: 1 << lock,
                    ..Print::write(lock)
                },
            )),
            Op::Receive(mailbox) => {
                let bit = slot(mailbox, self.mailboxes[mailbox].taken);
                Some((
                    actor(a),
                    Print {
                        takes: 1 << bit,
                        ..Print::read(bit).and(Print::write(head(mailbox)))
                    },
                ))
            }
            _ => None,
        };
        let told = (0..self.actors()).filter(|_| !self.secretive);
        told.filter(waiting).filter_map(print).collect()
    }

    /// Makes the next step of an enabled actor.
    pub fn step(&mut self, who: Actor) -> Event<Print> {
        let a = usize::from(who.0);
        let op = self.op(a);
        let mut wakes = Vec::new();
        let mut waits_for = Vec::new();
        let (print, reply) = match op {
            Op::Sql(sql) => {
                let effect = self.rows.run(a, sql);
                for (woken, reply) in &effect.woken {
                    self.replies[*woken].push(*reply);
                    wakes.push(actor(*woken));
                }
                waits_for = effect.waits_for.into_iter().map(actor).collect();
                (effect.print, effect.reply)
            }
            _ => self.plain(a, op),
        };
        let print = if self.secretive {
            Print {
                takes: 0,
                gives: 0,
                ..print
            }
        } else {
            print
        };
        self.replies[a].extend(reply);
        let after = match reply {
            None => After::Waiting,
            Some(_) if self.is_done(a) => After::Finished,
            Some(_) => After::Ready,
        };
        let mut key = DefaultHasher::new();
        (op, print, reply, &wakes, self.replies[a].len()).hash(&mut key);
        Event {
            actor: who,
            footprint: print,
            key: key.finish(),
            wakes,
            waits_for,
            after,
        }
    }

    fn plain(&mut self, actor: usize, op: Op) -> (Print, Option<i64>) {
        let (print, reply) = match op {
            Op::Read(cell) => (Print::read(cell), self.cells[cell]),
            Op::Write(cell, value) => {
                self.cells[cell] = value;
                (Print::write(cell), 0)
            }
            Op::Swap(cell, old, new) if self.cells[cell] == old => {
                self.cells[cell] = new;
                (Print::write(cell), 1)
            }
            Op::AddIf(cell, least, by) if self.cells[cell] >= least => {
                self.cells[cell] += by;
                (Print::write(cell), 1)
            }
            Op::Swap(cell, ..) | Op::AddIf(cell, ..) => (Print::read(cell), 0),
            Op::Lock(lock) => {
                self.locks.insert(lock, actor);
                (
                    Print {
                        takes: 1 << lock,
                        ..Print::write(lock)
                    },
                    0,
                )
            }
            Op::Unlock(lock) if self.locks.get(&lock) != Some(&actor) => (Print::default(), 0),
            Op::Unlock(lock) => {
                self.locks.remove(&lock);
                (
                    Print {
                        gives: 1 << lock,
                        ..Print::write(lock)
                    },
                    0,
                )
            }
            Op::Send(mailbox, value) => {
                let it = &mut self.mailboxes[mailbox];
                it.values.push_back(value);
                let bit = slot(mailbox, it.sent);
                it.sent += 1;
                (
                    Print {
                        gives: 1 << bit,
                        ..Print::write(tail(mailbox)).and(Print::write(bit))
                    },
                    0,
                )
            }
            Op::Receive(mailbox) => {
                let it = &mut self.mailboxes[mailbox];
                let value = it
                    .values
                    .pop_front()
                    .expect("an actor that receives nothing is not enabled");
                let bit = slot(mailbox, it.taken);
                it.taken += 1;
                (
                    Print {
                        takes: 1 << bit,
                        ..Print::read(bit).and(Print::write(head(mailbox)))
                    },
                    value,
                )
            }
            Op::Sql(_) | Op::End => unreachable!("not a plain step"),
        };
        (print, Some(reply))
    }

    pub fn cell(&self, cell: usize) -> i64 {
        self.cells[cell]
    }

    /// What is committed.
    pub fn row(&self, row: usize) -> i64 {
        self.rows.committed()[row]
    }

    /// What everybody was told and what is left, for telling outcomes apart.
    pub fn outcome(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        (
            &self.cells,
            &self.replies,
            self.rows.committed(),
            self.is_finished(),
        )
            .hash(&mut hash);
        hash.finish()
    }
}

pub fn actor(a: usize) -> Actor {
    Actor(u16::try_from(a).expect("few actors"))
}
