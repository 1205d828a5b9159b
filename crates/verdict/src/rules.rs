//! What the scenario asks of a run, in the form the oracle needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use deadheat_lab::record::Table;
use thiserror::Error;

/// The `[check]` section, and what the tables held before anybody moved.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether the outcome must equal that of some serial order.
    pub serial: bool,
    /// Values that are never compared.
    pub mask: Vec<Mask>,
    /// Errors that may reach an actor: SQLSTATEs, HTTP statuses, or `5xx`.
    pub allow: BTreeSet<String>,
    /// Tables as they are before a run; a record that does not name a table left it like this. Needed for every table
    /// that some records name and others do not: without it these differ.
    pub start: BTreeMap<String, Table>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            serial: true,
            mask: Vec::new(),
            allow: BTreeSet::new(),
            start: BTreeMap::new(),
        }
    }
}

impl Rules {
    /// Whether an error with this code (SQLSTATE or HTTP status) may reach an actor.
    pub fn allows(&self, code: &str) -> bool {
        self.allow.contains(code)
            || (code.len() == 3 && self.allow.contains(&format!("{}xx", &code[..1])))
    }

    pub(crate) fn masks_column(&self, table: &str, column: &str) -> bool {
        self.mask.iter().any(|mask| match mask {
            Mask::Column {
                table: t,
                column: c,
            } => {
                c == column
                    && (t == "*" || t == table || table.strip_prefix("public.") == Some(t.as_str()))
            }
            _ => false,
        })
    }

    pub(crate) fn masks_json(&self, path: &str) -> bool {
        self.mask
            .iter()
            .any(|mask| matches!(mask, Mask::Json(p) if p == path))
    }

    pub(crate) fn masks_header(&self, name: &str) -> bool {
        self.mask
            .iter()
            .any(|mask| matches!(mask, Mask::Header(n) if n == name))
    }
}

/// A value that is not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mask {
    /// `players.joined_at`; `*.updated_at` for every table.
    Column {
        /// Table as the record names it, or without `public.`, or `*`.
        table: String,
        /// Column name.
        column: String,
    },
    /// `json:$.request_id`; indexes of arrays count as `[]`.
    Json(String),
    /// `header:set-cookie`, lower case.
    Header(String),
}

/// A mask that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no mask: write `table.column`, `json:$.path` or `header:name`")]
pub struct MaskError(String);

impl FromStr for Mask {
    type Err = MaskError;

    fn from_str(text: &str) -> Result<Self, MaskError> {
        if let Some(path) = text.strip_prefix("json:") {
            return if path.starts_with('$') {
                Ok(Self::Json(without_indexes(path)))
            } else {
                Err(MaskError(text.to_owned()))
            };
        }
        if let Some(name) = text.strip_prefix("header:") {
            return Ok(Self::Header(name.trim().to_lowercase()));
        }
        match text.rsplit_once('.') {
            Some((table, column)) if !table.is_empty() && !column.is_empty() => Ok(Self::Column {
                table: table.to_owned(),
                column: column.to_owned(),
            }),
            _ => Err(MaskError(text.to_owned())),
        }
    }
}

/// `$.a[3].b` and `$.a[*].b` become `$.a[].b`: what is learned of one element holds for all.
pub(crate) fn without_indexes(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => {
                inside = true;
                out.push('[');
            }
            ']' => {
                inside = false;
                out.push(']');
            }
            _ if inside => {}
            _ => out.push(c),
        }
    }
    out
}
