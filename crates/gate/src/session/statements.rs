//! Which prepared statements and portals a session has, so that an Execute can be shown as the text and the
//! parameters it will run.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::backend::Column;
use crate::event::Statement;
use crate::frontend::{Bind, Parse, Target, format_of};
use crate::param::Param;

/// A prepared statement.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub sql: Arc<str>,
    /// Types as given in Parse, 0 where the server is to infer them.
    declared: Vec<u32>,
    /// Types as the server described them.
    pub described: OnceLock<Vec<u32>>,
    /// Columns as the server described them; formats there are always text.
    pub columns: OnceLock<Vec<Column>>,
}

/// A prepared statement with its parameters.
#[derive(Debug)]
pub(crate) struct Portal {
    pub prepared: Arc<Prepared>,
    params: Vec<Param>,
    formats: Vec<i16>,
    /// Columns as the server described this portal.
    pub columns: OnceLock<Vec<Column>>,
}

/// The session's names.
///
/// Invariant: entries are made when the client's message is read, before the server has agreed; an [`Undo`] takes
/// back what the server refused or skipped.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    prepared: BTreeMap<String, Arc<Prepared>>,
    portals: BTreeMap<String, Arc<Portal>>,
}

/// What a name of a prepared statement stood for before a Parse or Close.
#[derive(Clone, Debug)]
pub(crate) struct Undo {
    pub name: String,
    before: Option<Arc<Prepared>>,
}

impl Statements {
    pub fn parse(&mut self, parse: Parse) -> Undo {
        let prepared = Arc::new(Prepared {
            sql: parse.sql.into(),
            declared: parse.types,
            described: OnceLock::new(),
            columns: OnceLock::new(),
        });
        let before = self.prepared.insert(parse.name.clone(), prepared);
        Undo {
            name: parse.name,
            before,
        }
    }

    pub fn close(&mut self, target: Target) -> Option<Undo> {
        match target {
            Target::Statement(name) => {
                let before = self.prepared.remove(&name);
                Some(Undo { name, before })
            }
            Target::Portal(name) => {
                self.portals.remove(&name);
                None
            }
        }
    }

    pub fn undo(&mut self, undo: Undo) {
        match undo.before {
            Some(before) => self.prepared.insert(undo.name, before),
            None => self.prepared.remove(&undo.name),
        };
    }

    pub fn bind(&mut self, bind: Bind) {
        let prepared = self.prepared(&bind.statement);
        let described = prepared.described.get();
        let params = bind
            .params
            .into_iter()
            .enumerate()
            .map(|(at, (format, value))| {
                let declared = prepared.declared.get(at).copied().filter(|oid| *oid != 0);
                let oid = declared
                    .or_else(|| described.and_then(|oids| oids.get(at)).copied())
                    .unwrap_or(0);
                Param { value, format, oid }
            });
        let params = params.collect();
        let portal = Portal {
            prepared,
            params,
            formats: bind.formats,
            columns: OnceLock::new(),
        };
        self.portals.insert(bind.portal, Arc::new(portal));
    }

    /// The statement of a name. One that was made in SQL (PREPARE) is shown as the SQL that would run it.
    pub fn prepared(&self, name: &str) -> Arc<Prepared> {
        self.prepared
            .get(name)
            .cloned()
            .unwrap_or_else(|| made_in_sql(format!("EXECUTE {}", quoted(name))))
    }

    /// The portal of a name. One that was made in SQL (DECLARE) is shown as the SQL that would read it.
    pub fn portal(&self, name: &str) -> Arc<Portal> {
        self.portals.get(name).cloned().unwrap_or_else(|| {
            let prepared = made_in_sql(format!("FETCH ALL FROM {}", quoted(name)));
            Arc::new(Portal {
                prepared,
                params: Vec::new(),
                formats: Vec::new(),
                columns: OnceLock::new(),
            })
        })
    }

    /// Portals live no longer than their transaction.
    pub fn transaction_over(&mut self) {
        self.portals.clear();
    }

    /// Forgets everything, as DISCARD ALL does.
    pub fn clear(&mut self) {
        self.prepared.clear();
        self.portals.clear();
    }
}

fn made_in_sql(sql: String) -> Arc<Prepared> {
    let sql = sql.into();
    Arc::new(Prepared {
        sql,
        declared: Vec::new(),
        described: OnceLock::new(),
        columns: OnceLock::new(),
    })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Portal {
    pub fn statement(&self) -> Statement {
        Statement {
            sql: self.prepared.sql.clone(),
            params: self.params.clone(),
        }
    }

    /// The columns its rows will have, as far as anybody asked the server.
    pub fn result(&self) -> Vec<Column> {
        if let Some(columns) = self.columns.get() {
            return columns.clone();
        }
        let mut columns = self.prepared.columns.get().cloned().unwrap_or_default();
        for (at, column) in columns.iter_mut().enumerate() {
            column.format = format_of(&self.formats, at);
        }
        columns
    }
}
