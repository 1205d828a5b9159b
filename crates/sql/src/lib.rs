//! What PostgreSQL statements read, write and lock.
//!
//! Pure: text, parameters and a catalogue go in, footprints come out; nothing here talks to a server.
//!
//! An [`Analyst`] parses texts against a [`Catalog`]; a [`Ledger`] follows the sessions of one run and makes the
//! [`Footprint`] of each step. What is not understood conflicts with everything: wrong in this direction costs time,
//! wrong in the other loses races.
//!
//! From text to footprint: `lexer` and `tree` read, `classify` says what kind of statement it is, `walk`, `scope` and
//! `dml` turn it into `effect`s with open parameters, the ledger applies those, `conflict` compares.

mod analyst;
mod builtins;
mod calls;
pub mod catalog;
mod classify;
mod conflict;
mod dml;
mod effect;
mod footprint;
mod held;
mod insert;
mod keys;
mod ledger;
mod lexer;
mod normal;
mod point;
mod probe;
mod relations;
mod reword;
mod rows;
mod schema;
mod scope;
mod statement;
mod terms;
mod tree;
mod triggers;
mod value;
mod walk;

pub use analyst::Analyst;
pub use catalog::Catalog;
pub use footprint::{Fate, Footprint};
pub use ledger::{Bound, Facts, Ledger, WrittenTables};
pub use normal::shorten;
pub use point::point;
pub use reword::{fingerprint_of, locking, raised, why_not_locking};
pub use statement::{Isolation, One, Parsed, TxEnd};
