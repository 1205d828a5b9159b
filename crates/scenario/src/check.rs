//! `[check]`: when a run is wrong.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use toml::de::DeValue;

use crate::decode::{At, Context, Decode, Named, Node, Number};
use crate::jsonpath::JsonPath;
use crate::names::Names;
use crate::problem::Problem;
use crate::section::section;
use crate::sql::count_statements;

section! {
    /// When a run is wrong.
    struct CheckKeys {
        /// The outcome must equal that of some serial order of the actors.
        serial: bool = true,
        /// Queries that must return true, by name: SQL, or { sql = "…", each_commit = true }.
        invariants: Named<InvariantItem>,
        /// What may differ from run to run: "table.column" or "json:$.path" (in replies).
        mask: Vec<Mask>,
        /// Errors that may reach an actor: SQLSTATEs of five characters, or HTTP statuses.
        allow: Vec<Allow>,
    }
}

/// When a run is wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// Whether the outcome must equal that of some serial order.
    pub serial: bool,
    /// Queries that must return true, in the order of the file.
    pub invariants: Vec<Invariant>,
    /// What may differ from run to run.
    pub mask: Vec<Mask>,
    /// Errors that may reach an actor.
    pub allow: Vec<Allow>,
}

/// A query that must return true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Invariant {
    /// Its name.
    pub name: String,
    /// The query.
    pub sql: String,
    /// Whether it must hold after every commit, not only at the end.
    pub each_commit: bool,
    /// The database it is asked of.
    pub database: String,
}

/// What may differ from run to run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mask {
    /// A column.
    Column {
        /// The table, with its schema if the file gives one.
        table: String,
        /// The column.
        column: String,
    },
    /// A path in JSON replies.
    Json(JsonPath),
}

/// An error that may reach an actor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Allow {
    /// A SQLSTATE.
    Sqlstate(String),
    /// A status of an HTTP reply.
    Status(u16),
}

section! {
    /// A query that must return true.
    struct InvariantKeys {
        /// A query that returns true when all is well.
        sql: At<String>,
        /// Ask after every commit, not only at the end of a run.
        each_commit: bool = false,
        /// The database to ask; needed where there are several and none is called "main".
        database: Option<At<String>>,
    }
}

#[derive(Clone, Debug)]
pub(crate) struct InvariantItem(InvariantKeys);

impl Decode for InvariantItem {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        let keys = match (
            node.value.get_ref().is_str(),
            node.value.get_ref().is_table(),
        ) {
            (true, _) => {
                let sql = At::decode(node, cx)?;
                InvariantKeys {
                    sql,
                    each_commit: false,
                    database: None,
                    at: node.span(),
                }
            }
            (_, true) => InvariantKeys::decode(node, cx)?,
            _ => {
                node.wrong_type("SQL text or { sql = \"…\", each_commit = true }", cx);
                return None;
            }
        };
        if count_statements(&keys.sql.value) != 1 {
            let problem = Problem::at(keys.sql.span, "an invariant is one query");
            cx.report(
                problem
                    .help("write a query that returns true: \"select count(*) <= 4 from players\""),
            );
            return None;
        }
        Some(Self(keys))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = InvariantKeys::schema(generator);
        json_schema!({ "anyOf": [{ "type": "string" }, keys] })
    }
}

impl Decode for Mask {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        let text = String::decode(node, cx)?;
        let refuse = |help: String, cx: &mut Context| {
            let problem = Problem::at(node.span(), format!("`{text}` cannot be masked"));
            cx.report(problem.help(help));
            None
        };
        if let Some(path) = text.strip_prefix("json:") {
            return match JsonPath::parse(path) {
                Ok(path) => Some(Self::Json(path)),
                Err(error) => refuse(error.to_string(), cx),
            };
        }
        match text.rsplit_once('.') {
            Some((table, column))
                if ![table, column]
                    .iter()
                    .any(|part| part.is_empty() || part.contains([':', '$', ' '])) =>
            {
                Some(Self::Column {
                    table: table.into(),
                    column: column.into(),
                })
            }
            _ => refuse(
                "write \"table.column\", or \"json:$.path\" for a value in replies".into(),
                cx,
            ),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(json:\\$.*|[^:$ ]+\\.[^:$ ]+)$" })
    }
}

/// Statuses of HTTP replies.
type Status = Number<100, 599>;

impl Decode for Allow {
    fn decode(node: Node<'_>, cx: &mut Context) -> Option<Self> {
        if let DeValue::Integer(_) = node.value.get_ref() {
            return Status::decode(node, cx).map(|status| Self::Status(status.0 as u16));
        }
        let text = String::decode(node, cx)?;
        let status = text
            .parse()
            .ok()
            .filter(|status| text.len() == 3 && (100..=599).contains(status));
        if let Some(status) = status {
            return Some(Self::Status(status));
        }
        if text.len() == 5
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        {
            return Some(Self::Sqlstate(text));
        }
        let problem = Problem::at(
            node.span(),
            format!("`{text}` is neither a SQLSTATE nor an HTTP status"),
        );
        cx.report(problem.help("write \"40001\" (serialization failure), \"40P01\" (deadlock), \"23505\" (duplicate key) or \"503\""));
        None
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string", "pattern": "^([0-9A-Z]{5}|[1-5][0-9]{2})$" },
            { "type": "integer", "minimum": 100, "maximum": 599 },
        ] })
    }
}

impl CheckKeys {
    /// The checks, or the problems with them.
    pub fn resolve(&self, names: &Names, cx: &mut Context) -> Check {
        let mut invariants = Vec::new();
        for (name, InvariantItem(keys)) in &self.invariants.0 {
            let database = names.database(keys.database.as_ref(), keys.sql.span.clone(), cx);
            invariants.extend(database.map(|database| Invariant {
                name: name.value.clone(),
                sql: keys.sql.value.clone(),
                each_commit: keys.each_commit,
                database,
            }));
        }
        Check {
            serial: self.serial,
            invariants,
            mask: self.mask.clone(),
            allow: self.allow.clone(),
        }
    }
}

impl Default for Check {
    fn default() -> Self {
        Self {
            serial: true,
            invariants: Vec::new(),
            mask: Vec::new(),
            allow: Vec::new(),
        }
    }
}
