//! One run: one actor moves at a time.
//!
//! ```text
//!   explorer            Run                     gate                server
//!      │   choose        │                        │                    │
//!      │◄────────────────│                        │                    │
//!      │   actor         │  release(batch)        │                    │
//!      │────────────────►│───────────────────────►│───────────────────►│
//!      │                 │       Ran (held)       │◄───────────────────│
//!      │                 │◄───────────────────────│                    │
//!      │                 │  deliver               │                    │
//!      │                 │───────────────────────►│──► the actor's code runs, alone,
//!      │                 │       Arrived (held)   │◄── to its next statement: parked
//!      │   event         │◄───────────────────────│
//!      │◄────────────────│
//! ```
//!
//! [`step`] is one such turn; [`settle`] waits for the actor that runs to park, finish or stall; [`wait`] tells an
//! answer from a lock wait; [`attribute`] says whose a statement is; [`fault`] and [`kill`] let things go wrong;
//! [`enclose`] tries out one transaction for all statements.

mod attribute;
mod enclose;
mod fault;
mod kill;
mod settle;
mod step;
mod wait;

pub(crate) use attribute::{hash_of, joined};
pub(crate) use fault::Fault;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use deadheat_explore::{Actor, Cursor, End as Ending, Run as Explored};
use deadheat_gate::Gate;
use deadheat_scenario::Invariant;
use deadheat_sql::Footprint;

use crate::cast::Cast;
use crate::driver::Driver;
use crate::error::Trouble;
use crate::part::Part;
use crate::record::{End, Invariant as Found, LeftOpen, Reply, SqlError, Step, StepKind, Table};
use crate::stage::Stage;

/// Longest time that one actor may take from one parking place to the next before the run is given up.
const STEP_LIMIT: Duration = Duration::from_secs(30);

/// Where an actor is in this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It will start with its first step.
    NotStarted,
    /// It is the one that runs, or it is parked: `Seat::parked` tells.
    Ready,
    /// Its step waits in the database; the step's index and the session.
    Blocked { step: usize, session: u32 },
    /// It waits for something no gate sees.
    Stalled { step: usize },
    /// It is done, and the services are quiet.
    Finished,
}

/// Why an actor's next step is its crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doom {
    /// By this fault.
    Fault(Actor),
    /// Its service was killed; number of the session on which something was undone, 0 where nothing was.
    Killed(u32),
}

/// One actor in this run.
pub(crate) struct Seat {
    pub place: Place,
    /// Sessions with something of this actor held, in the order it arrived.
    pub parked: VecDeque<u32>,
    /// Whether its last reply has come.
    pub done: bool,
    /// Whether its driver waits to be told to go on.
    pub at_pause: bool,
    pub replies: Vec<Reply>,
    pub driver: Option<Driver>,
    /// Fingerprint of the last statement it sent.
    pub last: Option<u64>,
    /// Why its next step is its crash.
    pub doomed: Option<Doom>,
    /// Whether nobody is there to go on: its client has hung up, or what worked for it was killed.
    pub cut_off: bool,
    /// How the transaction around its statements was refused, as long as its reply has not been told so.
    pub not_committed: Option<SqlError>,
}

impl Seat {
    fn new() -> Self {
        Self {
            place: Place::NotStarted,
            parked: VecDeque::new(),
            done: false,
            at_pause: false,
            replies: Vec::new(),
            driver: None,
            last: None,
            doomed: None,
            cut_off: false,
            not_committed: None,
        }
    }

    /// Whether it was cut off and no statement of it is held any more: its next step is to go on from there, or to end.
    fn is_adrift(&self) -> bool {
        self.cut_off && self.parked.is_empty() && self.place == Place::Ready
    }
}

/// A run under way.
pub(crate) struct Run<'s> {
    pub stage: &'s mut Stage,
    pub cast: &'s Cast,
    pub gates: &'s [Gate],
    pub seats: Vec<Seat>,
    pub steps: Vec<Step>,
    /// The actor that moves now.
    pub current: Option<Actor>,
    /// Whether what is seen is remembered for attribution (the actors run alone).
    pub learning: bool,
    /// Sessions numbered so far.
    pub numbered: u32,
    /// The part of the scenario that takes part, if not all.
    pub part: Option<Arc<Part>>,
    /// Requests that were sent again.
    pub retries: u32,
    /// How many faults were chosen to happen.
    faults: u32,
    /// The faults that have happened.
    struck: BTreeSet<Actor>,
    /// The scenario's invariants.
    invariants: &'s [Invariant],
    /// Invariants found broken after a commit.
    broken: Vec<Found>,
    /// Whether the tables are read after every step, and what was seen.
    looking: bool,
    looks: Vec<BTreeMap<String, Table>>,
}

/// What a run came to, before the tables are read.
pub(crate) struct Played {
    pub steps: Vec<Step>,
    pub replies: Vec<Vec<Reply>>,
    pub end: End,
    /// Invariants found broken after a commit.
    pub broken: Vec<Found>,
    /// Transactions still open when all had finished.
    pub left_open: Vec<LeftOpen>,
    /// What of the tables was committed at the start and after each step, where asked for.
    pub looks: Vec<BTreeMap<String, Table>>,
    /// The faults that have happened.
    pub struck: BTreeSet<Actor>,
    pub explored: Explored<Footprint>,
}

impl<'s> Run<'s> {
    /// Prepares a run; nothing moves yet.
    pub fn new(
        stage: &'s mut Stage,
        cast: &'s Cast,
        gates: &'s [Gate],
        invariants: &'s [Invariant],
        learning: bool,
    ) -> Self {
        let seats = cast.actors.iter().map(|_| Seat::new()).collect();
        Self {
            stage,
            cast,
            gates,
            seats,
            steps: Vec::new(),
            current: None,
            learning,
            numbered: 0,
            part: None,
            retries: 0,
            faults: 0,
            struck: BTreeSet::new(),
            invariants,
            broken: Vec::new(),
            looking: false,
            looks: Vec::new(),
        }
    }

    /// Has only this part of the scenario take part.
    pub fn of_part(mut self, part: Option<Arc<Part>>) -> Self {
        if let Some(part) = part {
            for actor in self.actors() {
                if part.place(actor).is_none() {
                    self.seat_mut(actor).place = Place::Finished;
                }
            }
            self.part = Some(part);
        }
        self
    }

    /// Leaves these actors (of the part) out.
    pub fn without(mut self, absent: &[Actor]) -> Self {
        for actor in absent {
            let actor = self.actor_of(*actor);
            self.seat_mut(actor).place = Place::Finished;
        }
        self
    }

    /// Has the written tables read after every step.
    pub fn looking(mut self, looking: bool) -> Self {
        self.looking = looking;
        self
    }

    /// The actor that whoever chooses the schedule means.
    fn actor_of(&self, place: Actor) -> Actor {
        self.part.as_ref().map_or(place, |part| part.actor(place))
    }

    /// Plays the schedule that the cursor chooses to its end.
    pub async fn play(mut self, mut cursor: Cursor<Footprint>) -> Result<Played, Trouble> {
        self.look().await;
        self.stage.window.begin();
        let end = loop {
            let mut enabled = self.enabled();
            if enabled.is_empty() {
                self.last_chance().await?;
                enabled = self.enabled();
            }
            if enabled.is_empty() {
                break self.nobody_can_move();
            }
            if let Some(part) = &self.part {
                enabled = part.enabled(&enabled);
            }
            let Some(chosen) = cursor.choose(&enabled) else {
                break End::Cut;
            };
            let before = self.steps.len();
            let mover = self.actor_of(chosen);
            self.stage.window.moves(mover);
            let mut event = self.step(mover).await?;
            if self.is_looked_at(before) {
                event.footprint.merge(&Footprint::looked_at());
            }
            if let Some(part) = &self.part {
                event = part.event(event);
            }
            cursor.stepped(event);
            self.check_after_commit(before).await;
            self.look().await;
        };
        let ending = match &end {
            End::Finished => Ending::Finished,
            End::Stuck(_) => Ending::Stuck,
            End::Cut => Ending::Cut,
        };
        if end == End::Cut {
            self.drain().await?;
        }
        let left_open = self.dismiss(&end).await?;
        Ok(Played {
            steps: self.steps,
            replies: self.seats.into_iter().map(|seat| seat.replies).collect(),
            end,
            broken: self.broken,
            left_open,
            looks: self.looks,
            struck: self.struck,
            explored: cursor.finish(ending),
        })
    }

    /// Reads what of the written tables is committed, where that was asked for.
    async fn look(&mut self) {
        if self.looking {
            let seen = self.stage.rows_now().await;
            self.looks.push(seen);
        }
    }

    /// Whether invariants are evaluated after the step: when some must hold after every commit and it was one, which
    /// nobody reads and so commutes with others, but for those who look.
    fn is_looked_at(&self, step: usize) -> bool {
        let committed = self.steps.get(step).is_some_and(|step| {
            matches!(step.kind, StepKind::Commit | StepKind::GapCommit) && step.error.is_none()
        });
        committed && self.invariants.iter().any(|one| one.each_commit)
    }

    /// Evaluates the invariants that must hold after every commit, when the step was one.
    async fn check_after_commit(&mut self, step: usize) {
        if !self.is_looked_at(step) {
            return;
        }
        for invariant in self.invariants.iter().filter(|one| one.each_commit) {
            let (found, _) = self.stage.check(invariant, step).await;
            let known = self.broken.iter().any(|broken| broken.name == found.name);
            if !found.holds && !known {
                self.broken.push(found);
            }
        }
    }

    /// The actors that could move.
    pub fn enabled(&self) -> Vec<Actor> {
        self.actors()
            .filter(|actor| {
                let seat = self.seat(*actor);
                match seat.place {
                    Place::NotStarted => true,
                    Place::Ready => {
                        !seat.parked.is_empty() || seat.doomed.is_some() || seat.is_adrift()
                    }
                    _ => false,
                }
            })
            .collect()
    }

    /// What every actor that waits waits for.
    fn nobody_can_move(&self) -> End {
        let waiting: Vec<(Actor, String)> = self
            .actors()
            .filter_map(|actor| {
                let words = match self.seat(actor).place {
                    Place::Finished => return None,
                    Place::Blocked { step, .. } => {
                        let blockers: Vec<&str> = self.steps[step]
                            .blocked_by
                            .iter()
                            .map(|blocker| self.name(*blocker))
                            .collect();
                        format!("a lock that {} holds", blockers.join(" and "))
                    }
                    _ => "something outside the database: a mutex, a free connection of the pool, \
                          another process"
                        .to_owned(),
                };
                Some((actor, words))
            })
            .collect();
        if waiting.is_empty() {
            End::Finished
        } else {
            End::Stuck(waiting)
        }
    }

    pub(crate) fn actors(&self) -> impl Iterator<Item = Actor> + use<> {
        (0..self.seats.len() as u16).map(Actor)
    }

    pub(crate) fn seat(&self, actor: Actor) -> &Seat {
        &self.seats[usize::from(actor.0)]
    }

    pub(crate) fn seat_mut(&mut self, actor: Actor) -> &mut Seat {
        &mut self.seats[usize::from(actor.0)]
    }

    pub(crate) fn name(&self, actor: Actor) -> &str {
        &self.cast.actors[usize::from(actor.0)].name
    }

    /// Runs what is left of a cut run one actor after the other, so that the services are at rest again.
    /// Where nothing is at work that cannot be ended, all are stopped where they stand instead.
    async fn drain(&mut self) -> Result<(), Trouble> {
        if !self.cast.must_end_well() {
            return Ok(());
        }
        while let Some(actor) = self.enabled().first().copied() {
            if self.seat(actor).place == Place::NotStarted {
                self.seat_mut(actor).place = Place::Finished;
            } else {
                self.step(actor).await?;
            }
        }
        Ok(())
    }

    /// Ends the drivers and gives sessions back in the state in which the run found them; returns what was left open.
    async fn dismiss(&mut self, end: &End) -> Result<Vec<LeftOpen>, Trouble> {
        for seat in &mut self.seats {
            if let Some(driver) = seat.driver.take() {
                driver.end();
            }
        }
        self.stage.tidy(*end == End::Finished).await
    }
}
