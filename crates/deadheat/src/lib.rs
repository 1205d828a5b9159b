//! Deadheat finds race conditions in services that keep their state in a database.
//!
//! This crate is the command line and what it is made of: `search` drives labs, explorer and oracle; `command` is one
//! module a command; `args` its words.

pub mod args;
pub mod command;
mod place;
mod problem;
mod progress;
pub mod search;
pub mod signals;
mod trouble;

pub use problem::lay_out as lay_out_problems;
