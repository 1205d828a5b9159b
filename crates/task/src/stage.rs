//! What the lab, its driver and the points share in one run.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use deadheat_explore::{Actor, Cursor};
use deadheat_point::{Call, Gate};

use crate::bell::House;
use crate::record::{Played, Wrong};
use crate::seat::{Kind, Place, Seat, Where, Work};
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

/// One run's.
pub(crate) struct Stage {
    pub how: How,
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
    pub fn new(cursor: Cursor<Touch>, how: How) -> Rc<Self> {
        Rc::new(Self {
            how,
            house: Arc::default(),
            seats: RefCell::default(),
            always: RefCell::default(),
            state: RefCell::default(),
            current: Cell::new(None),
            cursor: RefCell::new(Some(cursor)),
            played: RefCell::default(),
            threads: RefCell::default(),
            stalled: Cell::new(false),
            wrong: RefCell::default(),
        })
    }

    /// Gives somebody a seat; he can be chosen from now on.
    pub fn seat(&self, name: Cow<'static, str>, kind: Kind, work: Work) {
        let seat = Seat::new(name, kind, work, &self.house);
        self.seats.borrow_mut().push(seat);
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
        for thread in threads {
            thread.bury();
        }
    }

    /// Whether all actors are at their ends; tasks in the background need not be.
    pub fn is_over(&self) -> bool {
        let seats = self.seats.borrow();
        let mut actors = seats.iter().filter(|seat| seat.kind == Kind::Actor);
        actors.all(Seat::has_finished)
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
