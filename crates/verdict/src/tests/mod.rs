//! Stories about runs and what is made of them.

mod canonical;
mod judged;
pub mod races;
mod saving;
pub mod story;
