//! One run: reset, actors, steps, outcome.

pub mod record;
