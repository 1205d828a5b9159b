//! Writes that happen only while the row is as it was read.

use super::{Error, Stale, number, quoted};
use crate::Session;
use crate::driver::{Params, Value};

/// A table whose rows have a version that every change moves on.
///
/// ```no_run
/// # use deadheat_cure::{Client, guard::{self, Versioned}};
/// # async fn example(client: &Client, id: i32, read: i64) -> Result<(), guard::Error> {
/// let objects = Versioned::table("objects");
/// let area = 42;
/// match objects.update(client, &id, read, &[("area", &area)]).await {
///     Ok(version) => println!("now at version {version}"),
///     Err(guard::Error::Stale(stale)) => println!("edited meanwhile: {stale}"),
///     Err(error) => return Err(error),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Versioned {
    table: String,
    key: String,
    version: String,
}

impl Versioned {
    /// A table (or `schema.table`) with the primary key `id` and the version in `version`, an integer.
    pub fn table(name: &str) -> Self {
        Self {
            table: name.to_owned(),
            key: "id".to_owned(),
            version: "version".to_owned(),
        }
    }

    /// Another primary key.
    #[must_use]
    pub fn key(mut self, column: &str) -> Self {
        column.clone_into(&mut self.key);
        self
    }

    /// Another column for the version.
    #[must_use]
    pub fn version_in(mut self, column: &str) -> Self {
        column.clone_into(&mut self.version);
        self
    }

    /// Writes `values`, columns and what is to be in them, if the row still has version `read`; the version that it
    /// has then. Whoever changes the row otherwise must move its version on too.
    ///
    /// # Errors
    /// [`Error::Stale`] when the row has another version, [`Error::Missing`] when it is gone, [`Error::Database`].
    pub async fn update<S: Session>(
        &self,
        mut session: S,
        id: &dyn Value<S::Driver>,
        read: i64,
        values: &[(&str, &dyn Value<S::Driver>)],
    ) -> Result<i64, Error> {
        let sql = self.sql(values.iter().map(|(column, _)| *column));
        let mut params = Default::default();
        id.add(&mut params);
        params = params.int(&read);
        for (_, value) in values {
            value.add(&mut params);
        }
        if let Some(version) = number(&mut session, &sql, params).await? {
            return Ok(version);
        }
        let found = self.find(&mut session, id).await?;
        Err(Error::Stale(Stale {
            table: self.table.clone(),
            expected: read,
            found,
        }))
    }

    /// The version of a row.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no such row, [`Error::Database`].
    pub async fn read<S: Session>(
        &self,
        mut session: S,
        id: &dyn Value<S::Driver>,
    ) -> Result<i64, Error> {
        self.find(&mut session, id).await
    }

    async fn find<S: Session>(
        &self,
        session: &mut S,
        id: &dyn Value<S::Driver>,
    ) -> Result<i64, Error> {
        let (table, key, version) = self.quoted();
        let find = format!("select cast({version} as bigint) from {table} where {key} = $1");
        let mut params = Default::default();
        id.add(&mut params);
        let found = number(session, &find, params).await?;
        found.ok_or_else(|| Error::Missing {
            table: self.table.clone(),
        })
    }

    fn quoted(&self) -> (String, String, String) {
        let Self {
            table,
            key,
            version,
        } = self;
        (quoted(table), quoted(key), quoted(version))
    }

    fn sql<'a>(&self, columns: impl Iterator<Item = &'a str>) -> String {
        let (table, key, version) = self.quoted();
        let mut set = format!("{version} = {version} + 1");
        for (number, column) in (3..).zip(columns) {
            set += &format!(", {} = ${number}", quoted(column));
        }
        format!(
            "update {table} set {set} where {key} = $1 and {version} = cast($2 as bigint) \
             returning cast({version} as bigint)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_in_the_condition() {
        let table = Versioned::table("drawing.objects").key("no");
        assert_eq!(
            table.sql(["area", "name"].into_iter()),
            "update \"drawing\".\"objects\" set \"version\" = \"version\" + 1, \"area\" = $3, \"name\" = $4 \
             where \"no\" = $1 and \"version\" = cast($2 as bigint) returning cast(\"version\" as bigint)"
        );
    }
}
