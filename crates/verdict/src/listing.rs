//! Which lists in a reply have no order of their own: they repeat, element by element, the rows of a query that asked for
//! none. The rows came as they lay, which depends on who came first to each of them, and means nothing.
//!
//! It is told from what the list holds, never from how it lies, so that two replies with the same elements are treated
//! alike. A list that a query with ORDER BY also gives keeps its order.

use std::collections::{BTreeMap, BTreeSet};

use deadheat_explore::Actor;
use deadheat_lab::record::{Record, Reply, Step};
use serde_json::Value;

/// The results of several rows that an actor was given.
pub(crate) struct Results<'r> {
    ordered: Vec<&'r Step>,
    loose: Vec<&'r Step>,
}

impl<'r> Results<'r> {
    /// Those of one actor in a run.
    pub fn of(record: &'r Record, actor: Actor) -> Self {
        let several =
            |step: &&Step| step.actor == actor && step.error.is_none() && step.rows.len() > 1;
        let (ordered, loose) = record
            .steps
            .iter()
            .filter(several)
            .partition(|step| step.statements.iter().any(|one| orders(&one.sql)));
        Self { ordered, loose }
    }

    /// Paths of the lists without an order in a reply, each up to its bracket: `$.players`.
    pub fn unordered(&self, reply: &Reply) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        let (Reply::Http { body: text, .. } | Reply::Command { output: text, .. }) = reply else {
            return out;
        };
        if self.loose.is_empty() {
            return out;
        }
        if let Ok(value) = serde_json::from_str(text) {
            self.look(&value, "$".to_owned(), &mut out);
        }
        out
    }

    fn look(&self, value: &Value, path: String, out: &mut BTreeSet<String>) {
        match value {
            Value::Array(items) if self.has_no_order(items) => {
                out.insert(path);
            }
            Value::Array(items) => {
                for (n, item) in items.iter().enumerate() {
                    self.look(item, format!("{path}[{n}]"), out);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    self.look(field, format!("{path}.{name}"), out);
                }
            }
            _ => {}
        }
    }

    fn has_no_order(&self, items: &[Value]) -> bool {
        let columns = columns(items);
        let holds = |step: &&&Step| lists(step, items.len(), &columns);
        items.len() > 1
            && self.loose.iter().any(|step| holds(&step))
            && !self.ordered.iter().any(|step| holds(&step))
    }
}

/// Whether the statement as a whole is told to order its rows: not a part of it in brackets.
pub(crate) fn orders(sql: &str) -> bool {
    let mut depth = 0_i32;
    let mut outside = String::new();
    for (n, part) in sql.split('\'').enumerate() {
        if n % 2 == 1 {
            continue;
        }
        for c in part.chars() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                c if depth == 0 => outside.push(c.to_ascii_lowercase()),
                _ => {}
            }
        }
        outside.push(' ');
    }
    let words: Vec<&str> = outside.split_whitespace().collect();
    words.windows(2).any(|pair| pair == ["order", "by"])
}

/// The scalars of the elements by where they stand in them, sorted; only where all elements have one.
fn columns(items: &[Value]) -> Vec<Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for item in items {
        let mut add = |place: String, value: &Value| {
            if let Some(text) = scalar(value) {
                all.entry(place).or_default().push(text);
            }
        };
        match item {
            Value::Object(fields) => fields
                .iter()
                .for_each(|(name, value)| add(name.clone(), value)),
            Value::Array(cells) => cells
                .iter()
                .enumerate()
                .for_each(|(n, value)| add(n.to_string(), value)),
            value => add(String::new(), value),
        }
    }
    let mut columns: Vec<Vec<String>> = all.into_values().collect();
    columns.retain(|column| column.len() == items.len());
    for column in &mut columns {
        column.sort_unstable();
    }
    columns
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Whether the rows of the step, in whatever order, have a column that is one of these. (A record keeps the first rows
/// only; the server's tag knows how many there were.)
fn lists(step: &Step, count: usize, columns: &[Vec<String>]) -> bool {
    let tag = step
        .tags
        .iter()
        .find_map(|tag| tag.strip_prefix("SELECT ")?.parse().ok());
    if tag.unwrap_or(step.rows.len()) != count {
        return false;
    }
    (0..step.columns.len()).any(|c| {
        let cells = step.rows.iter().map(|row| row.get(c).cloned().flatten());
        let Some(mut cells) = cells.collect::<Option<Vec<String>>>() else {
            return false;
        };
        cells.sort_unstable();
        columns.iter().any(|column| is_part(&cells, column))
    })
}

/// Whether the sorted few are among the sorted many, each as often.
fn is_part(few: &[String], many: &[String]) -> bool {
    let mut rest = many.iter();
    few.iter().all(|cell| rest.any(|other| other == cell))
}

#[cfg(test)]
mod tests {
    use super::orders;

    #[test]
    fn only_an_order_of_the_whole_counts() {
        assert!(orders("select id from t ORDER\n BY id limit 2"));
        assert!(orders("with a as (select 1) select * from a order by 1"));
        assert!(!orders("select id, rank() over (order by n) from t"));
        assert!(!orders("select array_agg(id order by id) from t"));
        assert!(!orders("select id from t where name = 'order by'"));
    }
}
