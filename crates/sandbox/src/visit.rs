//! A server that is only visited: its catalogues are read, and nothing is made there.

use deadheat_sql::Catalog;

use crate::admin::Target;
use crate::catalog;
use crate::error::Error;
use crate::named;
use crate::server::Address;

/// A server the user named, wherever it is.
#[derive(Clone, Debug)]
pub struct Visit {
    target: Target,
    address: Address,
}

impl Visit {
    /// Reads the address: `postgres://…`, or words as in `host=… port=…`.
    ///
    /// # Errors
    /// When it cannot be understood.
    pub fn to(url: &str) -> Result<Self, Error> {
        let (target, address) = named::parse(url, true)?;
        Ok(Self { target, address })
    }

    /// Where the server is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Where the server is and as whom it is visited, without the password.
    pub fn shown(&self) -> &str {
        &self.target.shown
    }

    /// Reads what a database holds. It waits for nobody's locks: whoever holds one may be waiting for the caller.
    ///
    /// # Errors
    /// When the server cannot be reached or lets nobody in on these terms, or a lock is in the way.
    pub async fn catalog(&self, database: &str) -> Result<Catalog, Error> {
        let client = self.target.connect(database).await?;
        client
            .batch_execute("SET lock_timeout = '50ms'")
            .await
            .map_err(Error::sql("read the catalogue"))?;
        catalog::read(&client).await
    }
}
