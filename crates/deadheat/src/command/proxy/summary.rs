//! Statements by shape: how often, how long, how many rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::watch::Statement;

/// Shapes that are told apart; a program that writes values into its statements must not fill the memory.
const SHAPES: usize = 10_000;
/// Repetitions in one burst from which they are worth a word.
const ON_END: u64 = 5;

/// Statements that differ only in values.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub sql: Arc<str>,
    pub count: u64,
    pub time: Duration,
    pub longest: Duration,
    pub rows: u64,
    /// The most times it was read in one burst, where that is many; 0 otherwise.
    pub on_end: u64,
}

/// What has passed.
#[derive(Debug, Default)]
pub(super) struct Summary {
    shapes: BTreeMap<u64, Shape>,
    errors: BTreeMap<String, u64>,
}

impl Summary {
    pub fn add(&mut self, statement: &Statement) {
        let full = self.shapes.len() >= SHAPES;
        let known = self.shapes.contains_key(&statement.touched.shape);
        // Those that find no room are counted as one.
        let (key, sql) = if full && !known {
            (0, Arc::from("(others)"))
        } else {
            (statement.touched.shape, Arc::clone(&statement.sql))
        };
        let shape = self.shapes.entry(key).or_insert_with(|| Shape {
            sql,
            count: 0,
            time: Duration::ZERO,
            longest: Duration::ZERO,
            rows: 0,
            on_end: 0,
        });
        let time = statement.time.unwrap_or_default();
        shape.count += 1;
        shape.time += time;
        shape.longest = shape.longest.max(time);
        shape.rows += statement.rows.unwrap_or(0);
        if statement.repeated >= ON_END {
            shape.on_end = shape.on_end.max(statement.repeated);
        }
        if let Some(error) = &statement.error {
            *self.errors.entry(error.code.clone()).or_default() += 1;
        }
    }

    pub fn statements(&self) -> u64 {
        self.shapes.values().map(|shape| shape.count).sum()
    }

    pub fn time(&self) -> Duration {
        self.shapes.values().map(|shape| shape.time).sum()
    }

    /// Those that took longest first.
    pub fn shapes(&self) -> Vec<&Shape> {
        let mut shapes: Vec<&Shape> = self.shapes.values().collect();
        shapes.sort_by_key(|shape| std::cmp::Reverse((shape.time, shape.count)));
        shapes
    }

    /// The errors, as the end of a sentence.
    pub fn errors(&self) -> String {
        let each = self.errors.iter();
        let each: Vec<String> = each
            .map(|(code, count)| format!("{count} × {code}"))
            .collect();
        if each.is_empty() {
            String::new()
        } else {
            format!("; errors: {}", each.join(", "))
        }
    }

    pub fn in_json(&self) -> Value {
        let shapes: Vec<Value> = self
            .shapes()
            .into_iter()
            .map(|shape| {
                json!({
                    "sql": &*shape.sql, "count": shape.count, "seconds": shape.time.as_secs_f64(),
                    "longest": shape.longest.as_secs_f64(), "rows": shape.rows, "on_end": shape.on_end,
                })
            })
            .collect();
        json!({
            "kind": "summary", "statements": self.statements(), "seconds": self.time().as_secs_f64(),
            "errors": self.errors, "shapes": shapes,
        })
    }
}
