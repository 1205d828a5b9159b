//! Stories about runs and what is made of them.

mod canonical;
mod cycles;
mod differing;
mod judged;
mod many;
pub mod races;
mod renaming;
mod saving;
pub mod story;
