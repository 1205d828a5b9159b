//! Replies taken apart: a head that must match, and leaves, each with the place where it is learned.

use deadheat_lab::record::{Reply, Table};
use serde_json::Value;

use crate::rules::{Rules, without_indexes};

/// A reply as a list of values.
pub(crate) struct Flat {
    /// The request, shortened to its shape: what is learned of it holds for every actor that sends the like.
    pub shape: String,
    /// Status, tag or SQLSTATE.
    pub head: String,
    /// Whether a number for a head counts rows.
    pub counts: bool,
    /// Values in order.
    pub leaves: Vec<Leaf>,
    /// Rows without an order: results of statements without ORDER BY.
    pub bag: Option<Bag>,
}

/// Rows of a result, in the shape of a table.
pub(crate) struct Bag {
    /// Column names.
    pub columns: Vec<String>,
    /// Rows.
    pub rows: Vec<Vec<Option<String>>>,
}

/// One value of a reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// Where it is learned (indexes left out).
    pub place: String,
    /// Where it is learned when nothing of it stays: the same, but for lines of text the line's number.
    pub exact: String,
    /// Where it is in this reply.
    pub at: String,
    /// Whether it is text or number that may move; `null`, `true`, `{}` are not.
    pub moves: bool,
    /// What it says; a masked value is `None`.
    pub text: Option<String>,
}

/// Headers that speak of the transport or of the time.
const DROPPED: [&str; 8] = [
    "date",
    "age",
    "expires",
    "last-modified",
    "content-length",
    "connection",
    "server",
    "keep-alive",
];

pub(crate) fn flatten(reply: &Reply, rules: &Rules) -> Flat {
    match reply {
        Reply::Http {
            request,
            status,
            headers,
            body,
        } => {
            let mut leaves = Vec::new();
            let (mut json, mut page) = (false, false);
            for (name, value) in headers {
                json |= name == "content-type" && value.contains("json");
                page |= name == "content-type" && value.starts_with("text/html");
                if !DROPPED.contains(&name.as_str()) {
                    let masked = rules.masks_header(name);
                    leaves.push(leaf(&format!("header {name}"), value, masked));
                }
            }
            // A page renders whatever it read, early or late: comparing it would accuse every reader of old data.
            if !page {
                content(body, json, rules, &mut leaves);
            }
            Flat {
                shape: format!("{} {status}", shape_of(request)),
                head: status.to_string(),
                counts: false,
                leaves,
                bag: None,
            }
        }
        Reply::NoAnswer { request, .. } => Flat {
            shape: shape_of(request),
            head: "no answer".to_owned(),
            counts: false,
            leaves: Vec::new(),
            bag: None,
        },
        Reply::Command {
            run,
            status,
            output,
        } => {
            let mut leaves = Vec::new();
            content(output, false, rules, &mut leaves);
            Flat {
                shape: run.clone(),
                head: format!("exit {status}"),
                counts: false,
                leaves,
                bag: None,
            }
        }
        Reply::Sql {
            sql,
            table,
            tag,
            error,
        } => sql_reply(sql, table, tag, error.as_ref().map(|e| e.code.as_str())),
    }
}

fn sql_reply(sql: &str, table: &Table, tag: &str, error: Option<&str>) -> Flat {
    let mut flat = Flat {
        shape: sql.to_owned(),
        head: error.map_or_else(|| tag.to_owned(), |code| format!("error {code}")),
        counts: true,
        leaves: Vec::new(),
        bag: None,
    };
    if crate::listing::orders(sql) {
        for (n, row) in table.rows.iter().enumerate() {
            for (column, cell) in table.columns.iter().zip(row) {
                flat.leaves.push(Leaf {
                    place: format!("column {column}"),
                    exact: format!("column {column}"),
                    at: format!("row {} {column}", n + 1),
                    moves: cell.is_some(),
                    text: Some(cell.clone().unwrap_or_else(|| "null".to_owned())),
                });
            }
        }
    } else if !table.columns.is_empty() {
        flat.bag = Some(Bag {
            columns: table.columns.clone(),
            rows: table.rows.clone(),
        });
    }
    flat
}

fn content(body: &str, json: bool, rules: &Rules, leaves: &mut Vec<Leaf>) {
    let looks = body.trim_start().starts_with(['{', '[']);
    match serde_json::from_str::<Value>(body) {
        Ok(value) if json || looks => walk(&value, "$", rules, leaves),
        _ => leaves.extend(lines(body)),
    }
}

fn lines(text: &str) -> Vec<Leaf> {
    text.lines()
        .enumerate()
        .map(|(n, line)| Leaf {
            place: "line".to_owned(),
            exact: format!("line {}", n + 1),
            at: format!("line {}", n + 1),
            moves: true,
            text: Some(line.trim_end().to_owned()),
        })
        .collect()
}

fn leaf(at: &str, text: &str, masked: bool) -> Leaf {
    Leaf {
        place: at.to_owned(),
        exact: at.to_owned(),
        at: at.to_owned(),
        moves: true,
        text: (!masked).then(|| text.to_owned()),
    }
}

fn walk(value: &Value, path: &str, rules: &Rules, leaves: &mut Vec<Leaf>) {
    let place = without_indexes(path);
    if rules.masks_json(&place) {
        leaves.push(leaf(path, "", true));
        return;
    }
    let fixed = |text: &str| Leaf {
        place: place.clone(),
        exact: place.clone(),
        at: path.to_owned(),
        moves: false,
        text: Some(text.to_owned()),
    };
    match value {
        Value::Null | Value::Bool(_) => leaves.push(fixed(&value.to_string())),
        Value::Number(number) => leaves.push(Leaf {
            moves: true,
            ..fixed(&number.to_string())
        }),
        // The quotes tell the text "7" from the number 7.
        Value::String(text) => leaves.push(Leaf {
            moves: true,
            ..fixed(&format!("\"{text}\""))
        }),
        Value::Array(items) => {
            leaves.push(fixed(&format!("[{}]", items.len())));
            for (n, item) in items.iter().enumerate() {
                walk(item, &format!("{path}[{n}]"), rules, leaves);
            }
        }
        Value::Object(fields) => {
            leaves.push(fixed("{}"));
            let mut names: Vec<_> = fields.keys().collect();
            names.sort();
            for name in names {
                walk(&fields[name], &format!("{path}.{name}"), rules, leaves);
            }
        }
    }
}

/// `POST /orders/17/pay` and `POST /orders/18/pay` are the same request as far as learning goes.
fn shape_of(request: &str) -> String {
    let mut out = String::new();
    for (n, part) in request.split('/').enumerate() {
        if n > 0 {
            out.push('/');
        }
        if part.bytes().any(|b| b.is_ascii_digit()) && !part.contains(' ') {
            out.push('#');
        } else {
            out.push_str(part);
        }
    }
    out
}
