//! A page on this machine that is fed while something happens, and answers questions about it.
//!
//! Whoever has something to show is a [`Site`]: its page, its state as JSON, its answers. [`Server`] serves it on
//! loopback, on a port that the system picks, to whoever knows the token. Nothing here knows what is shown.
//!
//! ```text
//!   GET  /TOKEN/          the page
//!   GET  /TOKEN/events    the state, now and whenever it has changed (server-sent events, ten times a second at most)
//!   any  /TOKEN/…         a question to the site, with a JSON body or none
//!   anything else         403
//! ```

mod door;
mod events;
mod server;

use std::pin::Pin;

use serde_json::Value;

pub use server::Server;

/// A question to a site.
#[derive(Clone, Debug)]
pub struct Question {
    /// `GET`, `POST`, …
    pub method: String,
    /// What comes behind the token and its slash.
    pub path: String,
    /// The body; null if there is none.
    pub body: Value,
}

/// A question that gets no answer: an HTTP status, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Why, in a sentence.
    pub why: String,
}

impl Refusal {
    /// A refusal with this status.
    pub fn new(status: u16, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { status, why }
    }
}

/// An answer that may take its time.
pub type Answer = Pin<Box<dyn Future<Output = Result<Value, Refusal>> + Send>>;

/// What is shown.
pub trait Site: Send + Sync + 'static {
    /// The page, as HTML.
    fn page(&self) -> String;
    /// What is to be seen on it now, as JSON. Asked ten times a second for everybody who looks, never otherwise.
    fn state(&self) -> String;
    /// Answers a question.
    fn answer(&self, question: Question) -> Answer;
}
