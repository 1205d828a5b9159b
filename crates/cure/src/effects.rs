//! What is deferred until a commit.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// Futures that have not begun, in the order in which they were deferred.
#[derive(Default)]
pub struct Effects(Vec<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Effects {
    pub fn push(&mut self, effect: impl Future<Output = ()> + Send + 'static) {
        self.0.push(Box::pin(effect));
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Drops all but the first `kept`.
    pub fn truncate(&mut self, kept: usize) {
        self.0.truncate(kept);
    }

    pub async fn run(self) {
        for effect in self.0 {
            effect.await;
        }
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} effects", self.0.len())
    }
}
