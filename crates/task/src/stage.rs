//! What the lab, its driver and the points share in one run.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use deadheat_explore::{Actor, Cursor};
use deadheat_point::{Call, Gate};

use crate::base::{Base, Flow, Mask, Told};
use crate::bell::House;
use crate::record::{Played, Wrong};
use crate::seat::{Held, Kind, Place, Seat, Where, Work};
use crate::thread::Thread;
use crate::touch::Touch;

/// Something that must be true after every step.
pub(crate) struct Always {
    /// `file:line` of where it is asked for.
    pub at: String,
    pub holds: Box<dyn Fn() -> bool>,
}

/// How a run is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    /// Steps are noted for a timeline.
    pub noted: bool,
    /// What actors return is wanted as text.
    pub shown: bool,
}

impl How {
    /// For what is told.
    pub const NOTED: Self = Self {
        noted: true,
        shown: true,
    };
    /// For what is compared.
    pub const SHOWN: Self = Self {
        noted: false,
        shown: true,
    };
}

/// What has moved at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    Nothing,
    /// What clients and server have said.
    Bytes,
    /// New clients have come.
    Clients,
}

/// What a run is to be.
pub(crate) struct Guide {
    pub cursor: Cursor<Touch>,
    /// Who has no part in it.
    pub absent: Vec<Actor>,
}

impl From<Cursor<Touch>> for Guide {
    fn from(cursor: Cursor<Touch>) -> Self {
        Self {
            cursor,
            absent: Vec::new(),
        }
    }
}

/// What the runs of a search share.
#[derive(Default)]
pub(crate) struct Ground {
    /// Whether runtimes have sockets; without a database they need none.
    pub io: Cell<bool>,
    pub base: OnceCell<Base>,
    /// Columns that differ from run to run of one schedule.
    pub mask: RefCell<Mask>,
    /// The most faults that a run may have.
    pub faults: Cell<u32>,
}

/// One run's.
pub(crate) struct Stage {
    pub how: How,
    pub ground: Rc<Ground>,
    /// Who has no part in the run.
    absent: Vec<Actor>,
    /// Whether this run has a database.
    pub at_base: Cell<bool>,
    /// Whose step is under way: what arrives at the gate is its.
    pub turn: Cell<Option<usize>>,
    /// Whose transactions are open, by session.
    pub owners: RefCell<BTreeMap<u32, usize>>,
    pub house: Arc<House>,
    pub seats: RefCell<Vec<Seat>>,
    pub always: RefCell<Vec<Always>>,
    pub state: RefCell<Vec<Box<dyn Fn() -> String>>>,
    /// Who is polled now.
    pub current: Cell<Option<usize>>,
    /// The run's guide until it has begun.
    pub cursor: RefCell<Option<Cursor<Touch>>>,
    /// What the run came to, once it is over.
    pub played: RefCell<Option<Played>>,
    /// Threads of the run.
    pub threads: RefCell<Vec<Rc<Thread>>>,
    /// Whether one of them has waited where nobody sees it.
    pub stalled: Cell<bool>,
    /// What went wrong in a place that cannot tell the driver.
    pub wrong: RefCell<Option<Wrong>>,
}

impl Stage {
    pub fn new(guide: Guide, how: How, ground: Rc<Ground>) -> Rc<Self> {
        Rc::new(Self {
            how,
            ground,
            absent: guide.absent,
            at_base: Cell::new(false),
            turn: Cell::new(None),
            owners: RefCell::default(),
            house: Arc::default(),
            seats: RefCell::default(),
            always: RefCell::default(),
            state: RefCell::default(),
            current: Cell::new(None),
            cursor: RefCell::new(Some(guide.cursor)),
            played: RefCell::default(),
            threads: RefCell::default(),
            stalled: Cell::new(false),
            wrong: RefCell::default(),
        })
    }

    /// Gives somebody a seat; he can be chosen from now on.
    pub fn seat(&self, name: Cow<'static, str>, kind: Kind, work: Work) {
        let mut seat = Seat::new(name, kind, work, &self.house);
        let mut seats = self.seats.borrow_mut();
        if self.absent.contains(&Actor(seats.len() as u16)) {
            seat.place = Place::Absent;
        }
        seats.push(seat);
    }

    /// The run's database, if it has one.
    pub fn base(&self) -> Option<&Base> {
        self.ground.base.get().filter(|_| self.at_base.get())
    }

    /// Lets flow what the gate has to say, and books what arrives there; what has moved.
    pub fn flow(&self) -> Result<Moved, String> {
        let Some(base) = self.base() else {
            return Ok(Moved::Nothing);
        };
        let turn = self.turn.get();
        let flow = base.flow(turn.is_some())?;
        let mut seats = self.seats.borrow_mut();
        let mut owners = self.owners.borrow_mut();
        for told in flow.told {
            match told {
                Told::Arrived { session, text } => {
                    // Who has finished does not go on with a transaction that he left open.
                    let owner = owners.get(&session).copied();
                    let owner = owner.filter(|owner| !seats[*owner].has_finished());
                    if let Some(owner) = owner.or(turn) {
                        let held = Held::Statement { session, text };
                        seats[owner].held.push_back(held);
                    }
                }
                Told::Withdrawn { session } => {
                    owners.remove(&session);
                    for seat in seats.iter_mut() {
                        seat.held.retain(|held| held.session() != session);
                        seat.blocked.retain(|blocked| *blocked != session);
                    }
                }
            }
        }
        Ok(match flow {
            Flow { joined: true, .. } => Moved::Clients,
            Flow { moved: true, .. } => Moved::Bytes,
            _ => Moved::Nothing,
        })
    }

    /// Those that could move.
    pub fn able(&self, into: &mut Vec<Actor>) {
        into.clear();
        let seats = self.seats.borrow();
        let able = seats.iter().enumerate().filter(|(_, seat)| seat.can_move());
        into.extend(able.map(|(index, _)| Actor(index as u16)));
    }

    /// Whether the run is under way.
    pub fn is_running(&self) -> bool {
        self.cursor.borrow().is_none() && self.played.borrow().is_none()
    }

    /// Lets go of everything that may hold the lab in turn.
    pub fn clear(&self) {
        // Dropped when nothing is borrowed: a future's destructor may use the lab.
        let threads = self.threads.take();
        for thread in &threads {
            thread.dismiss();
        }
        let seats = self.seats.take();
        drop(seats);
        drop(self.always.take());
        drop(self.state.take());
        if let Some(base) = self.base() {
            // A thread may wait for an answer that will not come. What goes wrong here is told at the next run.
            let _ = base.end();
        }
        for thread in threads {
            thread.bury();
        }
    }

    /// Whether all actors are at their ends, and every fault was chosen; tasks in the background need not be.
    pub fn is_over(&self) -> bool {
        let seats = self.seats.borrow();
        let mut actors = seats.iter().filter(|seat| seat.kind != Kind::Task);
        actors.all(Seat::has_finished)
    }

    /// Whether anybody can move for whom time waits: no fault that was not chosen.
    pub fn is_anybody_able(&self) -> bool {
        let seats = self.seats.borrow();
        let mut able = seats.iter().filter(|seat| seat.can_move());
        able.any(|seat| !seat.is_open_fault())
    }

    /// Whether everybody is at his end but faults that were not chosen.
    pub fn is_all_done(&self) -> bool {
        let seats = self.seats.borrow();
        let mut actors = seats.iter().filter(|seat| seat.kind != Kind::Task);
        actors.all(|seat| seat.has_finished() || seat.is_open_fault())
    }
}

/// Points of actors are gates; who is no actor passes.
impl Gate for Stage {
    fn poll(&self, call: &Call, again: bool, context: &mut Context<'_>) -> Poll<()> {
        let Some(current) = self.current.get().filter(|_| !again) else {
            return Poll::Ready(());
        };
        let seat = &mut self.seats.borrow_mut()[current];
        seat.place = Place::Point(Where::from(call));
        seat.last_point = Some(call.name);
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn block(&self, call: &Call) {
        let Some(current) = self.current.get() else {
            return;
        };
        let who = self.seats.borrow()[current].name.to_string();
        let blocks = Wrong::Blocks {
            who,
            point: call.name,
        };
        self.wrong.borrow_mut().get_or_insert(blocks);
    }
}
