//! Who waits for whom: the actors that wait for the message that is being handled.

use std::sync::Arc;

tokio::task_local! {
    /// Set while an actor handles a message.
    static CHAIN: Chain;
}

/// The actor that handles a message, the one whose call that is, and so on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain(Option<Arc<Link>>);

#[derive(Debug)]
struct Link {
    actor: u64,
    before: Chain,
}

impl Chain {
    /// That of the message that is being handled here; empty outside of actors.
    pub fn here() -> Self {
        CHAIN.try_with(Clone::clone).unwrap_or_default()
    }

    /// With one more actor at its end.
    pub fn with(self, actor: u64) -> Self {
        let before = self;
        Self(Some(Arc::new(Link { actor, before })))
    }

    pub fn has(&self, actor: u64) -> bool {
        let mut chain = self;
        while let Some(link) = &chain.0 {
            if link.actor == actor {
                return true;
            }
            chain = &link.before;
        }
        false
    }

    /// Handles a message with this chain.
    pub async fn scope<F: Future>(self, handling: F) -> F::Output {
        CHAIN.scope(self, handling).await
    }
}
