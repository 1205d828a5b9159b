//! Deadheat finds race conditions in services that keep their state in a database.
//!
//! This crate is the command line and what it is made of: `search` drives labs, explorer and oracle; `command` is one
//! module a command; `args` its words.
//!
//! It is also the library for Rust tests: [`macro@test`], [`Lab`] and [`point!`] are all that a test needs.

pub mod args;
mod browser;
pub mod command;
mod feed;
mod place;
mod problem;
mod progress;
pub mod search;
pub mod signals;
mod trouble;

pub use deadheat_macros::test;
pub use deadheat_point::point;
pub use deadheat_task as task;
pub use deadheat_task::Lab;
pub use problem::lay_out as lay_out_problems;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/rust-tests.md")]
mod book {}
