//! One run: one actor moves at a time.
//!
//! ```text
//!   cursor            driver                 actor             tasks of the runtime
//!     │   choose        │                      │                      │
//!     │◄────────────────│                      │                      │
//!     │   actor         │  poll                │                      │
//!     │────────────────►│─────────────────────►│  to its next await   │
//!     │                 │◄─────────────────────│  that must wait      │
//!     │                 │  quiet?                                     │
//!     │                 │────────────────────────────────────────────►│ until nobody can run
//!     │   event         │◄────────────────────────────────────────────│
//!     │◄────────────────│
//! ```
//!
//! Who was woken can be chosen. When nobody can, time passes, up to the first timer that lets somebody go on; that
//! belongs to the step before.

use std::future::poll_fn;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use deadheat_explore::{Actor, After, End, Event};

use crate::base::Table;
use crate::fault::Fault;
use crate::panics;
use crate::quiet::{Limit, quiet};
use crate::record::{Outcome, Played, Step, Wrong};
use crate::seat::{Kind, Place, Seat};
use crate::stage::{Moved, Stage};
use crate::tend::settle;
use crate::touch::Touch;
use crate::turn::Begun;

/// Longer than any timer that somebody waits for: when this one is the first, none is left. (The timers of the runtime
/// reach two years.)
pub(crate) const NEVER: Duration = Duration::from_hours(700 * 24);
/// Timers of tasks that go off in a row without letting any actor go on, after which none is expected to.
const IDLE_TIMERS: u64 = 10_000;
/// How long threads are waited for when nobody else can move.
const LAST_CHANCE: Duration = Duration::from_secs(1);
/// Time between two looks at them.
const LOOK_GAP: Duration = Duration::from_millis(1);
/// Steps of a run at most.
const STEPS: usize = 10_000;

/// Why a run stopped.
enum Stop {
    End(End),
    Wrong(Wrong),
}

/// What is asked of a run by closures that borrow from the test.
#[derive(Clone, Copy, Default)]
pub struct Checks<'a> {
    /// What must always be true, by `file:line`.
    pub always: &'a [(&'static str, &'a dyn Fn() -> bool)],
    /// State, as `Debug` shows it.
    pub state: &'a [&'a dyn Fn() -> String],
}

impl Checks<'_> {
    /// The first of the things that must always be true and is not.
    fn broken(&self, stage: &Stage) -> Option<String> {
        let here = self.always.iter().find(|(_, holds)| !holds());
        here.map(|(at, _)| (*at).to_owned()).or_else(|| {
            let always = stage.always.borrow();
            let there = always.iter().find(|one| !(one.holds)());
            there.map(|one| one.at.clone())
        })
    }

    fn state(&self, stage: &Stage) -> Vec<String> {
        let there = stage.state.borrow();
        let here = self.state.iter().map(|show| show());
        here.chain(there.iter().map(|show| show())).collect()
    }
}

/// Makes the run; leaves what it came to on the stage.
pub(crate) async fn drive(stage: &Stage, checks: &Checks<'_>) {
    let Some(mut cursor) = stage.cursor.borrow_mut().take() else {
        return;
    };
    let mut run = Driver {
        stage,
        checks,
        steps: Vec::new(),
        made: 0,
        finished: Vec::new(),
        able: Vec::new(),
        before: Vec::new(),
    };
    quiet().await;
    run.tend().await;
    let stop = loop {
        if let Some(wrong) = run.wrong() {
            break Stop::Wrong(wrong);
        }
        if run.made == 0 {
            // Later ones are looked for within the step that lets them go on.
            run.look().await;
        }
        if run.able.is_empty() {
            break run.nobody_can_move();
        }
        if run.made == STEPS {
            break Stop::Wrong(Wrong::Endless { steps: STEPS });
        }
        let Some(actor) = cursor.choose(&run.able) else {
            break Stop::End(End::Cut);
        };
        cursor.stepped(run.step(actor).await);
    };
    let (end, wrong) = match stop {
        Stop::End(end) => (end, None),
        Stop::Wrong(wrong @ Wrong::Stuck(_)) => (End::Stuck, Some(wrong)),
        Stop::Wrong(wrong) => (End::Cut, Some(wrong)),
    };
    run.tend().await;
    let (tables, unread) = run.tables(end);
    let wrong = wrong.or(unread);
    let outcome = run.outcome(end, &tables);
    let seats = stage.seats.borrow();
    let of_kind =
        |(index, seat): (usize, &Seat)| (seat.kind == Kind::Actor).then_some(Actor(index as u16));
    *stage.played.borrow_mut() = Some(Played {
        explored: cursor.finish(end),
        names: seats.iter().map(|seat| seat.name.clone()).collect(),
        actors: seats.iter().enumerate().filter_map(of_kind).collect(),
        steps: run.steps,
        finished: run.finished,
        crashed: crashed(&seats),
        twice: twice(&seats),
        outcome,
        tables,
        stalled: stage.stalled.get(),
        wrong,
    });
}

/// A run under way.
pub(crate) struct Driver<'s> {
    pub(crate) stage: &'s Stage,
    checks: &'s Checks<'s>,
    steps: Vec<Step>,
    /// How many steps were made.
    pub(crate) made: usize,
    pub(crate) finished: Vec<Actor>,
    /// Who can move.
    able: Vec<Actor>,
    /// Who could move before the last step.
    before: Vec<Actor>,
}

impl Driver<'_> {
    /// Moves `actor` to its next stop, and whoever is no actor until he waits.
    async fn step(&mut self, actor: Actor) -> Event<Touch> {
        self.made += 1;
        let Begun { from, ran } = match (self.fault(actor).await, self.stage.base()) {
            (Some(begun), _) => begun,
            (None, Some(base)) => self.turn(actor, base).await,
            (None, None) => {
                let from = self.poll(actor);
                self.rest().await;
                Begun { from, ran: None }
            }
        };
        mem::swap(&mut self.able, &mut self.before);
        let time_passed = self.look().await;
        let woken = |other: &Actor| *other != actor && !self.before.contains(other);
        let woke: Vec<Actor> = self.able.iter().copied().filter(woken).collect();
        let seats = self.stage.seats.borrow();
        let seat = &seats[usize::from(actor.0)];
        let after = if seat.has_finished() {
            After::Finished
        } else if self.able.contains(&actor) {
            After::Ready
        } else {
            After::Waiting
        };
        let key = key(after, &woke, (seat.last_point, ran.as_ref()), seats.len());
        if self.stage.how.noted {
            self.steps.push(Step {
                actor,
                from,
                to: seat.place.clone(),
                ran,
                returned: seat.returned.clone(),
                woke: woke.clone(),
                able: after == After::Ready && !time_passed,
                time_passed,
            });
        }
        Event {
            actor,
            footprint: Touch,
            key,
            wakes: woke,
            waits_for: Vec::new(),
            after,
        }
    }

    /// Polls the actor once; returns where it was.
    pub(crate) fn poll(&mut self, actor: Actor) -> Place {
        let index = usize::from(actor.0);
        let (mut work, waker, from) = {
            let seat = &mut self.stage.seats.borrow_mut()[index];
            let from = mem::replace(&mut seat.place, Place::Await);
            seat.last_step = Some(self.made);
            seat.bell.still();
            let Some(work) = seat.work.take() else {
                return from;
            };
            (work, seat.waker.clone(), from)
        };
        self.stage.current.set(Some(index));
        let mut context = Context::from_waker(&waker);
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut context)));
        let returned = match polled {
            Ok(Poll::Pending) => {
                self.stage.seats.borrow_mut()[index].work = Some(work);
                None
            }
            Ok(Poll::Ready(returned)) => {
                // What the actor still held may wake others when it goes.
                drop(work);
                Some(returned)
            }
            Err(_) => {
                let seat = &mut self.stage.seats.borrow_mut()[index];
                seat.place = Place::Panic;
                let wrong = Wrong::Panicked {
                    who: Some(seat.name.to_string()),
                    message: panics::first().unwrap_or_default(),
                };
                self.stage.wrong.borrow_mut().get_or_insert(wrong);
                None
            }
        };
        self.stage.current.set(None);
        if returned.is_some() {
            let seat = &mut self.stage.seats.borrow_mut()[index];
            seat.returned = returned;
            seat.place = Place::End;
            self.finished.push(actor);
        }
        from
    }

    /// Waits until nobody runs that was not chosen: tasks, and threads that the step has freed.
    pub(crate) async fn rest(&self) {
        quiet().await;
        let loose = self.stage.loose_threads();
        if !loose.is_empty() {
            for thread in loose {
                thread.comes_to_rest();
            }
            quiet().await;
        }
    }

    /// Finds out who can move; time passes when nobody can and somebody should. Whether that let somebody go on.
    async fn look(&mut self) -> bool {
        let time_passes = !self.stage.is_anybody_able() && !self.stage.is_all_done();
        if time_passes {
            self.wait_for_threads().await;
            if !self.stage.is_anybody_able() {
                self.let_time_pass().await;
            }
        }
        self.stage.able(&mut self.able);
        time_passes && self.stage.is_anybody_able()
    }

    /// Nobody can move, but a thread may come back by itself, from where nobody sees it.
    async fn wait_for_threads(&mut self) {
        let start = Instant::now();
        while !self.stage.is_anybody_able()
            && start.elapsed() < LAST_CHANCE
            && !self.stage.loose_threads().is_empty()
        {
            std::thread::sleep(LOOK_GAP);
            quiet().await;
        }
    }

    /// Lets the clock run until somebody can move, or no timer is left.
    async fn let_time_pass(&self) {
        // With a database, what a timer has set going there is tended before the next timer's time comes.
        let (timers, times) = match self.stage.base() {
            Some(_) => (2, IDLE_TIMERS),
            None => (IDLE_TIMERS, 1),
        };
        let mut never = pin!(tokio::time::sleep(NEVER));
        let mut none_left = false;
        for _ in 0..times {
            let limit = Limit::new(timers);
            poll_fn(|context| {
                self.stage.house.listen(context.waker());
                none_left = never.as_mut().poll(context).is_ready();
                if self.stage.is_anybody_able() || limit.is_reached(context.waker()) || none_left {
                    self.stage.house.ignore();
                    return Poll::Ready(());
                }
                Poll::Pending
            })
            .await;
            quiet().await;
            self.tend().await;
            if none_left || self.stage.is_anybody_able() {
                return;
            }
        }
    }

    /// Lets pass what nobody's step has sent to the database.
    async fn tend(&self) {
        while self.stage.base().is_some() {
            settle().await;
            match self.stage.flow() {
                Ok(Moved::Bytes | Moved::Clients) => {}
                Ok(Moved::Nothing) => return,
                Err(why) => return self.fails(why),
            }
        }
    }

    /// What the run has left in the database, if it has come to its end.
    fn tables(&self, end: End) -> (Vec<Table>, Option<Wrong>) {
        match self.stage.base().filter(|_| end == End::Finished) {
            Some(base) => match base.tables() {
                Ok(tables) => (tables, None),
                Err(why) => (Vec::new(), Some(Wrong::Database(why))),
            },
            None => (Vec::new(), None),
        }
    }

    /// What is wrong as things stand.
    fn wrong(&self) -> Option<Wrong> {
        if let Some(wrong) = self.stage.wrong.borrow_mut().take() {
            return Some(wrong);
        }
        if let Some(message) = panics::first() {
            return Some(Wrong::Panicked { who: None, message });
        }
        match catch_unwind(AssertUnwindSafe(|| self.checks.broken(self.stage))) {
            Ok(broken) => broken.map(|check| Wrong::Broken {
                check,
                steps: self.made,
            }),
            Err(_) => Some(Wrong::Panicked {
                who: Some("what is to hold always".to_owned()),
                message: panics::first().unwrap_or_default(),
            }),
        }
    }

    fn nobody_can_move(&self) -> Stop {
        if self.stage.is_over() {
            return Stop::End(End::Finished);
        }
        let seats = self.stage.seats.borrow();
        let waiting = seats.iter().filter(|seat| !seat.has_finished());
        let line = |seat: &Seat| {
            let since = seat
                .last_step
                .map_or_else(|| "the start".to_owned(), |step| format!("step {step}"));
            let point = seat
                .last_point
                .map_or_else(String::new, |point| format!(", last seen at point {point}"));
            let kind = match seat.kind {
                Kind::Actor | Kind::Fault => "",
                Kind::Task => " (a task)",
            };
            let lock = if seat.blocked.is_empty() {
                ""
            } else {
                ", for a lock in the database"
            };
            format!("{}{kind} waits since {since}{lock}{point}", seat.name)
        };
        Stop::Wrong(Wrong::Stuck(waiting.map(line).collect()))
    }

    /// Values and state; a run that was cut has none.
    fn outcome(&self, end: End, tables: &[Table]) -> Outcome {
        if end != End::Finished {
            return Outcome::default();
        }
        let seats = self.stage.seats.borrow();
        let mask = self.stage.ground.mask.borrow();
        let actors = seats.iter().enumerate();
        let twice = twice(&seats);
        let returned = actors
            .filter(|(_, seat)| seat.kind == Kind::Actor)
            .filter(|(index, _)| !twice.contains(&Actor(*index as u16)))
            .filter_map(|(index, seat)| Some((Actor(index as u16), seat.returned.clone()?)))
            .collect();
        Outcome {
            returned,
            state: self.checks.state(self.stage),
            tables: tables
                .iter()
                .map(|table| (table.name.clone(), table.shown(&mask)))
                .collect(),
        }
    }
}

/// Those who have crashed.
fn crashed(seats: &[Seat]) -> Vec<Actor> {
    let seats = (0..).map(Actor).zip(seats);
    let crashed = seats.filter(|(_, seat)| seat.place == Place::Crashed);
    crashed.map(|(actor, _)| actor).collect()
}

/// Those who have come twice.
fn twice(seats: &[Seat]) -> Vec<Actor> {
    let struck = seats.iter().filter(|seat| seat.has_struck());
    let twice = struck.filter_map(|seat| seat.of.filter(|of| of.fault != Fault::Crash));
    twice.map(|of| Actor(of.victim as u16)).collect()
}

/// What must be the same when the step is made again: FNV-1a over how it ended.
fn key(
    after: After,
    woke: &[Actor],
    (point, ran): (Option<&str>, Option<&(String, String)>),
    seats: usize,
) -> u64 {
    let numbers = [after as u64, seats as u64, woke.len() as u64].into_iter();
    let woke = woke.iter().map(|actor| u64::from(actor.0));
    let point = point.unwrap_or_default().bytes().map(u64::from);
    let ran = ran.map_or("", |(text, _)| text).bytes().map(u64::from);
    numbers
        .chain(woke)
        .chain(point)
        .chain(ran)
        .fold(0xcbf2_9ce4_8422_2325, |hash, number| {
            (hash ^ number).wrapping_mul(0x0100_0000_01b3)
        })
}
