//! What PostgreSQL statements read, write and lock.
//!
//! Pure: text, parameters and a catalogue go in, footprints come out; nothing here talks to a server.

pub mod catalog;

pub use catalog::Catalog;
