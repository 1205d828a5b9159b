//! Deadheat finds race conditions in services that keep their state in a database.
//!
//! This crate is the command line and what it is made of: `search` drives labs, explorer and oracle; `command` is one
//! module a command; `args` its words.

pub mod args;
pub mod command;
mod problem;
mod progress;
pub mod search;
pub mod signals;
