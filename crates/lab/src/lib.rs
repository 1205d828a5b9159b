//! One run: reset, actors, steps, outcome.
//!
//! A [`Blueprint`] is a scenario whose databases are set up; a [`Lab`] is built from it and makes runs, one schedule
//! at a time, each of which leaves a [`record::Record`]. Everything of a lab lives on one thread: gates, drivers and
//! the run itself take turns there, so that what is heard has an order.
//!
//! `furnish` builds a lab, `stage` is what stays between runs (`locks` what it asks its databases), `cast` and `driver`
//! are the actors, `run` is the turn of one actor after the other.

mod again;
mod base;
mod blueprint;
mod cast;
mod conn;
mod cure;
mod difference;
mod driver;
mod error;
mod furnish;
mod guard;
mod http;
mod lab;
mod learned;
mod locks;
mod note;
mod outside;
mod part;
mod profile;
pub mod record;
mod run;
mod service;
mod stage;
mod tidy;
mod timer;
mod touched;
mod turns;
mod window;

pub use base::{FIRST_OFFSET, NEXT_OFFSET};
pub use blueprint::Blueprint;
pub use cure::{Advisory, Cure, has_one_key};
pub use difference::first_difference;
pub use error::{Difference, Trouble};
pub use lab::{Lab, Options};
pub use note::Notes;
pub use outside::{Ended, Outside};
pub use part::{Kept, Part};
pub use profile::Profile;
pub use touched::Touched;
pub use window::Window;
