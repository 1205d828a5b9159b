//! What a step of a task touched: nobody can know, so all steps conflict.
//!
//! Code between two awaits may use any memory that it shares with others, and what a channel or a mutex of an unmodified
//! library does is memory too. So every order of steps is a trace of its own, and an exhaustive search makes as many
//! runs as there are orders.

use deadheat_explore::Footprint;

/// The footprint of every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Touch;

impl Footprint for Touch {
    fn conflicts(&self, _: &Self) -> bool {
        true
    }
}
