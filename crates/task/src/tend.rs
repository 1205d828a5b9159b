//! Tending the database while no actor moves: what the test itself asks of it passes, and time stands still until it is
//! answered.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;

use crate::quiet::{Limit, quiet};
use crate::stage::{Moved, Stage};

/// Waits until nothing of the runtime can run, with all that sockets have brought.
pub(crate) async fn settle() {
    // What the first wait has found to be ready has run when the second is over.
    quiet().await;
    quiet().await;
}

/// What tending has come to.
pub(crate) enum Tended {
    /// Something has moved: the test may be able to go on.
    Moved,
    /// There is nothing to tend, or it is at rest: time may pass.
    Nothing,
    /// It is not known yet.
    Waits,
    /// The database cannot be asked.
    Failed(String),
}

/// Tends the database of a run.
pub(crate) struct Tending<'s> {
    stage: &'s Rc<Stage>,
    settling: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// The database was at rest when the thread had slept fewer times than this.
    rests: Option<Limit>,
}

impl<'s> Tending<'s> {
    pub fn new(stage: &'s Rc<Stage>) -> Self {
        Self {
            stage,
            settling: None,
            rests: None,
        }
    }

    pub fn poll(&mut self, context: &mut Context<'_>) -> Tended {
        if self.stage.base().is_none() || self.stage.is_running() {
            self.settling = None;
            self.rests = None;
            return Tended::Nothing;
        }
        // Once at rest it is looked at again when time has passed and what that has set going has come to rest.
        if let Some(rests) = self
            .rests
            .take_if(|rests| !rests.is_reached(context.waker()))
        {
            self.rests = Some(rests);
            return Tended::Nothing;
        }
        self.rests = None;
        let settling = self.settling.get_or_insert_with(|| Box::pin(settle()));
        if settling.as_mut().poll(context).is_pending() {
            return Tended::Waits;
        }
        self.settling = None;
        match self.stage.flow() {
            Ok(Moved::Bytes | Moved::Clients) => Tended::Moved,
            Ok(Moved::Nothing) => {
                let rests = Limit::new(2);
                rests.is_reached(context.waker());
                self.rests = Some(rests);
                Tended::Nothing
            }
            Err(why) => Tended::Failed(why),
        }
    }
}
