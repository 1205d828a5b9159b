//! A frozen scratch database that copies are made from.

use std::sync::Arc;

use crate::database::{Database, release};
use crate::error::Error;
use crate::server::Shared;
use crate::snapshot::Snapshot;

/// A frozen scratch database: made by [`Database::freeze`], copied by [`Template::fork`].
#[derive(Debug)]
pub struct Template {
    server: Arc<Shared>,
    name: String,
    snapshot: Option<Arc<Snapshot>>,
    released: bool,
}

impl Template {
    pub(crate) fn new(server: Arc<Shared>, name: String, snapshot: Option<Arc<Snapshot>>) -> Self {
        Self {
            server,
            name,
            snapshot,
            released: false,
        }
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A copy: rows, sequences, object ids and, if it was taken before the freeze, the snapshot.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn fork(&self) -> Result<Database, Error> {
        let name = self.server.create(&self.name).await?;
        let mut database = Database::open(&self.server, name).await?;
        database.snapshot.clone_from(&self.snapshot);
        Ok(database)
    }

    /// Drops it on the server.
    ///
    /// # Errors
    /// When the server refuses or is gone.
    pub async fn drop(mut self) -> Result<(), Error> {
        self.released = true;
        self.server.drop_database(&self.name).await
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        if !self.released {
            release(&self.server, &self.name);
        }
    }
}
