//! Databases that start over, and child processes kept on a leash.
//!
//! A [`Server`] is a private PostgreSQL server or one the user named; a [`Database`] is a scratch
//! database on it that remembers its start ([`Database::snapshot`]) and returns to it
//! ([`Database::reset`]); a [`Template`] is a frozen one that copies are made from. A [`Process`] is a
//! service or command that cannot outlive its run.
//!
//! Nothing made here is left behind: dropping ends it, [`end_all`] ends everything (for signals),
//! the kernel ends the rest when this process is killed, and [`sweep`] removes what remains then.
//! What belongs to a run is recognised by its mark (see `run`), never by guess.

mod admin;
mod binaries;
mod catalog;
mod database;
mod doctor;
mod error;
mod frozen;
mod initdb;
mod live;
mod look;
mod mark;
mod named;
mod pin;
mod private;
mod proc;
mod process;
mod reset;
mod run;
mod server;
mod setup;
mod snapshot;
mod spawner;
mod split;
mod stamp;
mod sweep;
mod template;
mod tls;
mod user;
mod visit;

pub use binaries::{Binaries, Place};
pub use database::Database;
pub use doctor::{Cache, Findings, doctor};
pub use error::{Error, SetupError};
pub use frozen::Frozen;
pub use live::{end_all, end_on_signals};
pub use look::{Look, Neighbour};
pub use pin::{keep_here, processors, stay_on};
pub use private::PrivateOptions;
pub use proc::is_at_work;
pub use process::{Exit, Process, Spawn};
pub use reset::Written;
pub use server::{Address, Server};
pub use sweep::{Report, sweep};
pub use template::Template;
pub use tls::Tls;
pub use visit::Visit;
