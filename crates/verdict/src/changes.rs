//! What an UPDATE sets, read off its words: whether it keeps what the one before it wrote.

use std::collections::BTreeMap;

use deadheat_lab::record::{Record, Step};

use crate::errors::first_word;

/// Whether the later UPDATE leaves the earlier one's work as it is: it computes its columns from themselves
/// (`set n = n + 1`), or sets others than the earlier one. (That it sets them to the same says nothing: two who add one
/// to the same old value do so.) An UPDATE whose words are not understood keeps nothing.
pub(crate) fn keeps(record: &Record, earlier: usize, later: usize) -> bool {
    let sets = |n: usize| record.steps.get(n).and_then(assignments);
    let Some(later) = sets(later) else {
        return false;
    };
    let earlier = sets(earlier);
    let lost = |(column, value): (&String, &String)| {
        let set_before = earlier.as_ref().is_none_or(|all| all.contains_key(column));
        set_before && !mentions(value, column) && !is_clock(value)
    };
    !later.iter().any(lost)
}

/// The columns that the step's UPDATE sets, and to what, with its parameters put in; `None` if it is none.
fn assignments(step: &Step) -> Option<BTreeMap<String, String>> {
    let update = step
        .statements
        .iter()
        .find(|statement| first_word(&statement.sql) == "update")?;
    let text = crate::words::one_line(&update.sql).replace('"', "");
    let lower = text.to_ascii_lowercase();
    let start = lower.find(" set ")? + 5;
    let end = outside(&text[start..])
        .into_iter()
        .find(|at| {
            let rest = &lower[start + at..];
            [" where ", " from ", " returning "]
                .iter()
                .any(|word| rest.starts_with(word))
        })
        .map_or(text.len(), |at| start + at);
    let list = &text[start..end];
    let mut out = BTreeMap::new();
    let mut from = 0;
    let commas = outside(list)
        .into_iter()
        .filter(|at| list[*at..].starts_with(','));
    for to in commas.chain([list.len()]) {
        let (column, value) = list[from..to].split_once('=')?;
        let column = column.trim().rsplit('.').next().unwrap_or_default();
        if column.is_empty() || column.contains(['(', ')', ' ']) {
            return None;
        }
        let value = crate::words::with_params(value.trim(), &update.params);
        out.insert(column.to_lowercase(), value);
        from = to + 1;
    }
    Some(out)
}

/// Positions of the bytes that are neither in a text nor in brackets.
fn outside(text: &str) -> Vec<usize> {
    let (mut depth, mut quoted) = (0_i32, false);
    let mut out = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ if !quoted && depth == 0 => out.push(at),
            _ => {}
        }
    }
    out
}

/// Whether the expression uses the column.
fn mentions(value: &str, column: &str) -> bool {
    let unquoted: Vec<&str> = value.split('\'').step_by(2).collect();
    unquoted
        .join(" ")
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .any(|word| word.eq_ignore_ascii_case(column))
}

/// Whether it is a time, of which the later one is right.
fn is_clock(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    ["now()", "current_timestamp", "clock_timestamp()"]
        .iter()
        .any(|clock| lower.contains(clock))
        || crate::pattern::without_clocks(value).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::story::Story;

    fn keep(earlier: &str, later: &str) -> bool {
        let record = Story::of(&["a", "b"]).sql(0, earlier).sql(1, later).done();
        keeps(&record, 0, 1)
    }

    #[test]
    fn who_counts_on_keeps_the_count() {
        for sql in [
            "update seats set taken = taken + 1 where id = 1",
            "UPDATE \"stock\" SET \"allocated\"=\"stock\".\"allocated\" + $1 WHERE id = 1",
            "update t set n=n-1, seen = now()",
        ] {
            assert!(keep(sql, sql), "{sql}");
        }
    }

    #[test]
    fn who_sets_what_was_set_loses_it() {
        assert!(!keep("update t set n = 1", "update t set n = 1"));
        assert!(!keep("update t set n = 1", "update t set n = 2"));
        assert!(!keep(
            "update page set text = 'a', version = version + 1",
            "update page set text = 'b', version = version + 1"
        ));
        assert!(!keep(
            "update t set a = f(1, 2), b = 'x'",
            "update t set b = 'y, b'"
        ));
    }

    #[test]
    fn who_sets_something_else_or_a_later_time_loses_nothing() {
        assert!(keep("update t set a = 1", "update t set b = 2"));
        assert!(keep(
            "update t set seen = '2026-01-01 10:00:00', n = n + 1",
            "update t set seen = '2026-01-01 10:00:01', n = n + 1"
        ));
    }

    #[test]
    fn what_is_not_understood_keeps_nothing() {
        assert!(!keep("delete from t", "insert into t values (1)"));
        assert!(!keep("update t set n = 1", "select add_one()"));
        assert!(!keep("delete from t where id = 1", "update t set n = 2"));
        assert!(!keep(
            "update t set (a, b) = (1, 2)",
            "update t set (a, b) = (2, 3)"
        ));
    }
}
