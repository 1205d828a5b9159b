//! Who is let in through a gate, and how.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::tls::ToClients;

/// A client that wants in: its startup packet has been read, and nothing of it has reached the server.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer<'a> {
    /// Parameters of the startup packet (`user`, `database`, `application_name`, …).
    pub startup: &'a BTreeMap<String, String>,
    /// It came by [`crate::Gate::connect`], not over the network.
    pub inside: bool,
}

impl Newcomer<'_> {
    /// The database it wants to go to: that of its user's name unless it says otherwise.
    pub fn database(&self) -> &str {
        let named = |key| self.startup.get(key).filter(|name| !name.is_empty());
        named("database")
            .or_else(|| named("user"))
            .map_or("", String::as_str)
    }
}

/// Decides about a newcomer; an error is what the client is told.
pub type Admit = Arc<dyn Fn(&Newcomer<'_>) -> Result<(), String> + Send + Sync>;

/// Who is let in, and how. The default lets everybody in, in plain text.
#[derive(Clone, Default)]
pub struct Door {
    /// Asked about every session before it is connected.
    pub admit: Option<Admit>,
    /// Encryption for the clients that ask for it.
    pub tls: Option<ToClients>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("admit", &self.admit.is_some())
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

impl Door {
    pub(crate) fn ask(&self, newcomer: &Newcomer<'_>) -> Result<(), String> {
        self.admit.as_ref().map_or(Ok(()), |admit| admit(newcomer))
    }
}
