//! Actors: what one of them does, it does alone.
//!
//! An actor has a state that nobody else reaches, and a mailbox. Whoever has its [`Address`] may [`Address::call`] it
//! and wait for the reply, or [`Address::cast`] a message and go on. It handles one message after the other, so that it
//! may check and act without anybody in between.
//!
//! - Mailboxes are bounded: who sends to a full one waits, at most as long as a call may take.
//! - A call that takes too long says whether it was begun: [`CallError::Withdrawn`] means that it never will be.
//! - An actor that calls itself, directly or by way of others, would wait for ever: [`CallError::SelfCall`].
//! - An actor that panics is made anew, with its mailbox, but not more often than its [`Settings`] allow.
//!
//! ```
//! # use deadheat_cure::actor::{self, CallError, Handle, Settings};
//! #[derive(Default)]
//! struct Lobby { players: Vec<String> }
//!
//! struct Join(String);
//!
//! impl Handle<Join> for Lobby {
//!     type Reply = Result<usize, &'static str>;
//!
//!     async fn handle(&mut self, Join(nick): Join) -> Self::Reply {
//!         if self.players.len() == 4 {
//!             return Err("the game is full");
//!         }
//!         self.players.push(nick);
//!         Ok(self.players.len())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), CallError> {
//! let lobby = actor::start(async || Ok(Lobby::default()), Settings::default());
//! assert_eq!(lobby.call(Join("ben".to_owned())).await?, Ok(1));
//! # Ok(()) }
//! ```
//!
//! # State and messages in one transaction
//!
//! The state of such an actor is gone with its process, and there is one of it in each. A [`Durable`] actor has its
//! state in the database: every message is handled in a transaction of its own (a *turn*), in which the state is read
//! and locked, changed and written. What the turn sends to other actors, and the tasks that it enqueues, are part of the
//! same transaction, and the reply is given after its commit: nobody ever hears of something that did not happen, and
//! nothing that happened is lost. See [`Receive`].

mod address;
mod chain;
mod durable;
mod run;
mod turn;

pub use address::{Address, CallError, CastError, Handle};
pub use durable::{Durable, Receive, Seat, Sent, durable, send};
pub use run::{Settings, start};
pub use turn::{Turn, turn};
