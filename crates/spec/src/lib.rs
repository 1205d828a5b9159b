//! PostgreSQL's isolation specs, run as `isolationtester` runs them.
//!
//! A spec names sessions, their steps and the orders (permutations) in which the steps are run; the output is compared
//! with what is expected. [`parse`] reads one, [`permutations`] lists the orders, [`permutation`] runs one of them on
//! [`Connections`] and writes byte for byte what the original writes, [`check`] compares.
//!
//! ```text
//!  text ─ lexer ─ parse ─► Spec ─ permute ─► entries ─┐
//!                                                     ▼
//!  Connections (server, on wire) ◄──── conduct ──► output ── check ─► expected files
//! ```
//!
//! Only `wire` and `server` talk to anybody. The rest is tested without a database.

pub mod check;
mod conduct;
mod connections;
pub mod explore;
mod lexer;
mod model;
mod parse;
mod permute;
mod problem;
mod reply;
mod run;
mod server;
mod table;
pub mod wire;

pub use conduct::{Patience, Sink, Stop, Stream, permutation};
pub use connections::{Connections, Look};
pub use model::{Entry, Marker, Session, Spec, Step, StepId};
pub use parse::parse;
pub use permute::{interleavings, permutations};
pub use problem::Problem;
pub use reply::{Message, Notification, Reply, Table};
pub use run::{keeps_time, preamble, run};
pub use server::{Server, Terms, settings};
