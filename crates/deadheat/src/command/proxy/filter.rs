//! Which statements are shown: by table, by text, by duration. All conditions must hold.

use std::time::Duration;

use super::watch::Statement;
use crate::args::Proxy;

/// What the user wants to see.
pub(super) struct Filter {
    tables: Vec<String>,
    texts: Vec<String>,
    slower: Option<Duration>,
}

impl Filter {
    pub fn new(proxy: &Proxy) -> Self {
        let lower = |words: &[String]| words.iter().map(|word| word.to_lowercase()).collect();
        Self {
            tables: lower(&proxy.table),
            texts: lower(&proxy.text),
            slower: proxy.slower,
        }
    }

    pub fn wants(&self, statement: &Statement) -> bool {
        let touches = |name: &String| {
            statement.touched.tables.iter().any(|(table, ..)| {
                let table = table.to_lowercase();
                table == *name || table.rsplit('.').next() == Some(name)
            })
        };
        let text = statement.sql.to_lowercase();
        (self.tables.is_empty() || self.tables.iter().any(touches))
            && (self.texts.is_empty() || self.texts.iter().any(|part| text.contains(part)))
            && self
                .slower
                .is_none_or(|least| statement.time.is_some_and(|time| time >= least))
    }
}
