//! Where a session stands with its transaction: what ReadyForQuery said last, and what has happened since.

use crate::event::TxStatus;

/// What the server has done since the last ReadyForQuery and still keeps to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsynced {
    Nothing,
    /// Executed in an implicit transaction: Sync will commit it.
    Work,
    /// Failed: everything up to the next Sync is skipped.
    Failed,
}

/// Status of a session's transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// As in the last ReadyForQuery that the client saw or will see.
    pub status: TxStatus,
    pub unsynced: Unsynced,
}

impl Default for Standing {
    fn default() -> Self {
        Standing {
            status: TxStatus::Idle,
            unsynced: Unsynced::Nothing,
        }
    }
}

impl Standing {
    /// As the client has to think of it.
    pub fn seen(self) -> TxStatus {
        match self.status {
            _ if self.unsynced == Unsynced::Failed => TxStatus::Failed,
            TxStatus::Idle if self.unsynced == Unsynced::Work => TxStatus::Open,
            status => status,
        }
    }

    /// A ReadyForQuery.
    pub fn ready(&mut self, status: TxStatus) {
        self.status = status;
        self.unsynced = Unsynced::Nothing;
    }

    /// No ReadyForQuery tells the status after a Flush: the command tags have to.
    pub fn flushed(&mut self, tags: &[String]) {
        self.unsynced = Unsynced::Work;
        for tag in tags {
            match tag.as_str() {
                "BEGIN" | "START TRANSACTION" => self.status = TxStatus::Open,
                // ROLLBACK may be one to a savepoint: the Sync will tell.
                "COMMIT" => {
                    self.status = TxStatus::Idle;
                    self.unsynced = Unsynced::Nothing;
                }
                _ => {}
            }
        }
    }
}
