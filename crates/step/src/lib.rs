//! Moving the actors of a run by hand: what is seen, and what the keys do. Pure: no terminal, no lab.
//!
//! Every move is a run of its own: the schedule so far is replayed with the new step behind it, and the run then goes on
//! by itself to its end. So a step is taken back by replaying without it, and what an actor would do next is known
//! because the run shows it: who is parked at a statement moves with just that statement, whenever it moves.
//!
//! [`Stepper`] takes keys and says what is to be done ([`Wish`]); whoever drives it does that and tells it what came of
//! it. [`Scene`] is what a run shows after so many steps.

mod scene;
mod stepper;

pub use scene::{Done, Row, Scene, Seat, Shown};
pub use stepper::{Key, Panel, Played, Stepper, Verdict, Wish};

#[cfg(test)]
mod tests;
