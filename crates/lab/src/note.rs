//! What a user should know of a lab's runs besides their outcome; each thing is noted once.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::{Record, Reply, SqlError};

/// Statements with varying values that are shown; more are counted.
const MOST_VARYING: usize = 5;

/// Notes gathered by one lab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    said: BTreeSet<String>,
    background: BTreeSet<String>,
    stalled: BTreeSet<String>,
    /// Statements that come with other values each time, by actor and what stays the same, and how they differ.
    varying: BTreeMap<(String, String), String>,
    /// What was asked for in serial runs, by actor, and how it was refused; `None` once it was not.
    refused: BTreeMap<(String, String), Option<String>>,
    /// Requests of one run that were sent again, at most.
    retries: u32,
    /// First statements of transactions that the lock of a cure could not be put before.
    not_locked: BTreeSet<String>,
    /// Why statements could not be put in one transaction.
    not_enclosed: BTreeSet<String>,
}

impl Notes {
    /// The notes in words, sorted.
    pub fn all(&self) -> impl Iterator<Item = String> {
        let refused = self.refused.iter().filter_map(|((actor, what), how)| {
            let how = how.as_ref()?;
            Some(format!("{actor}: `{what}` {how}, in every serial order; correct the scenario if that is not meant"))
        });
        let varying = self.varying.values().take(MOST_VARYING).cloned();
        let more = self.varying.len().saturating_sub(MOST_VARYING);
        let rest = (more > 0).then(|| {
            let (statements, come) = if more == 1 {
                ("statement", "comes")
            } else {
                ("statements", "come")
            };
            format!(
                "{more} more {statements} {come} with other values each time; they are masked, too"
            )
        });
        self.said
            .iter()
            .cloned()
            .chain(refused)
            .chain(varying)
            .chain(rest)
    }

    /// Statements that came while no actor ran, each once.
    pub fn background(&self) -> impl Iterator<Item = &str> {
        self.background.iter().map(String::as_str)
    }

    /// Actors that had to wait for something no gate sees: who gets it first is not explored.
    pub fn stalled(&self) -> impl Iterator<Item = &str> {
        self.stalled.iter().map(String::as_str)
    }

    /// Adds the notes of another lab.
    pub fn merge(&mut self, other: &Self) {
        self.said.extend(other.said.iter().cloned());
        self.stalled.extend(other.stalled.iter().cloned());
        self.background.extend(other.background.iter().cloned());
        self.retries = self.retries.max(other.retries);
        self.not_locked.extend(other.not_locked.iter().cloned());
        self.not_enclosed.extend(other.not_enclosed.iter().cloned());
        for (key, note) in &other.varying {
            self.varying
                .entry(key.clone())
                .or_insert_with(|| note.clone());
        }
        for ((actor, what), how) in &other.refused {
            self.asked(actor, what, how.clone());
        }
    }

    /// Looks through the replies of a serial run for what never works: that is hardly what was to be tested.
    pub(crate) fn ran_serially(&mut self, record: &Record) {
        for (actor, replies) in record.actors.iter().zip(&record.replies) {
            for reply in replies {
                let (what, how) = refusal(reply);
                self.asked(actor, what, how);
            }
        }
    }

    fn asked(&mut self, actor: &str, what: &str, how: Option<String>) {
        let what = deadheat_sql::shorten(what, 80);
        match self.refused.get_mut(&(actor.to_owned(), what.clone())) {
            Some(known) if how.is_none() => *known = None,
            Some(_) => {}
            None => {
                self.refused.insert((actor.to_owned(), what), how);
            }
        }
    }

    pub(crate) fn came_by_itself(&mut self, sql: &str) {
        self.background.insert(deadheat_sql::shorten(sql, 120));
    }

    pub(crate) fn foreign_database(&mut self, name: &str) {
        self.add(format!(
            "a connection to the database `{name}`, which is not of this scenario, was let through"
        ));
    }

    pub(crate) fn has_stalled(&mut self, actor: &str) {
        self.stalled.insert(actor.to_owned());
    }

    pub(crate) fn streamed(&mut self) {
        self.add(
            "a reply was too large to hold (16 MB): it was streamed, and its statement has no commit gap"
                .to_owned(),
        );
    }

    /// How often an actor's request was sent again in one run, at most.
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// A transaction that could not be made to take the lock of the cure that is tried, by its first statement.
    pub fn not_locked_first(&self) -> Option<&str> {
        self.not_locked.first().map(String::as_str)
    }

    /// Why an actor's statements could not be put in one transaction.
    pub fn not_enclosed_first(&self) -> Option<&str> {
        self.not_enclosed.first().map(String::as_str)
    }

    pub(crate) fn not_enclosed(&mut self, sql: &str, why: &str) {
        let sql = deadheat_sql::shorten(sql, 80);
        self.not_enclosed.insert(format!("`{sql}` {why}"));
    }

    pub(crate) fn retried(&mut self, times: u32) {
        self.retries = self.retries.max(times);
    }

    pub(crate) fn not_locked(&mut self, sql: &str) {
        self.not_locked.insert(deadheat_sql::shorten(sql, 80));
    }

    pub(crate) fn left_open(&mut self) {
        self.add("a transaction was still open when its actor had finished".to_owned());
    }

    /// Notes a statement once for each actor, however often its values differ.
    pub(crate) fn varies(&mut self, actor: &str, one: &str, other: &str) {
        let (first, second) = around_difference(one, other);
        self.varying
            .entry((actor.to_owned(), without_values(one)))
            .or_insert_with(|| {
                format!(
                    "{actor} sends other values each time (a clock, a random source?): \
                     {first} | {second}; they are masked"
                )
            });
    }

    fn add(&mut self, note: String) {
        self.said.insert(note);
    }
}

/// The first characters of two texts, and those around the place where they begin to differ.
fn around_difference(one: &str, other: &str) -> (String, String) {
    const HEAD: usize = 24;
    const BEFORE: usize = 10;
    const AFTER: usize = 24;
    let same = one
        .chars()
        .zip(other.chars())
        .take_while(|(a, b)| a == b)
        .count();
    let cut = |text: &str| {
        let all: Vec<char> = text.chars().collect();
        let from = same.saturating_sub(BEFORE);
        let to = all.len().min(same + AFTER);
        let mut out = String::new();
        if from > HEAD {
            out.extend(&all[..HEAD]);
            out.push('…');
            out.extend(&all[from..to]);
        } else {
            out.extend(&all[..to]);
        }
        if to < all.len() {
            out.push('…');
        }
        out
    };
    (cut(one), cut(other))
}

/// A statement without the texts and digits in it: what stays the same from time to time.
fn without_values(sql: &str) -> String {
    let outside = sql.split('\'').step_by(2).collect::<Vec<_>>().join("?");
    let words = outside
        .split_whitespace()
        .take_while(|word| !word.starts_with('['));
    let numberless = words.map(|word| word.replace(|c: char| c.is_ascii_digit(), ""));
    numberless.collect::<Vec<_>>().join(" ")
}

/// What was asked for, and how it was refused, if it was. A client's own mistakes that a service may mean (400, 409,
/// 422) are none.
fn refusal(reply: &Reply) -> (&str, Option<String>) {
    match reply {
        Reply::Http {
            request, status, ..
        } => {
            let refused = matches!(status, 401 | 403 | 404 | 405 | 500..);
            (
                request,
                refused.then(|| format!("is answered with status {status}")),
            )
        }
        Reply::NoAnswer { request, error } => (request, Some(format!("gets no answer ({error})"))),
        Reply::Command { run, status, .. } => (
            run,
            (*status != 0).then(|| format!("ends with status {status}")),
        ),
        Reply::Sql { sql, error, .. } => {
            let how = |error: &SqlError| format!("fails with {} {}", error.code, error.message);
            (sql, error.as_ref().map(how))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::End;

    fn answered(status: u16) -> Record {
        let reply = Reply::Http {
            request: "GET /".to_owned(),
            status,
            headers: Vec::new(),
            body: String::new(),
        };
        Record {
            actors: vec!["ben".to_owned()],
            steps: Vec::new(),
            replies: vec![vec![reply]],
            tables: BTreeMap::new(),
            invariants: Vec::new(),
            end: End::Finished,
            left_open: Vec::new(),
            looks: Vec::new(),
            faults: Vec::new(),
        }
    }

    #[test]
    fn what_never_works_is_noted() {
        let mut notes = Notes::default();
        notes.ran_serially(&answered(404));
        notes.ran_serially(&answered(404));
        let said: Vec<String> = notes.all().collect();
        assert_eq!(said.len(), 1);
        assert!(
            said[0].starts_with("ben: `GET /` is answered with status 404, in every serial order")
        );
    }

    #[test]
    fn what_works_once_in_any_lab_is_not() {
        let (mut one, mut other) = (Notes::default(), Notes::default());
        one.ran_serially(&answered(403));
        other.ran_serially(&answered(200));
        other.ran_serially(&answered(403));
        one.merge(&other);
        assert_eq!(one.all().count(), 0);
    }

    #[test]
    fn values_that_vary_are_shown_where_they_differ_once_a_statement() {
        let mut notes = Notes::default();
        let sql = |at: &str| {
            format!(
                "update analytics_userrecord set num_orders = 1, date_last_order = '{at}' where user_id = 1"
            )
        };
        notes.varies(
            "u1",
            &sql("2026-01-01 10:00:01"),
            &sql("2026-01-01 10:00:02"),
        );
        let mut other = Notes::default();
        other.varies(
            "u1",
            &sql("2026-01-01 10:00:03"),
            &sql("2026-01-01 10:00:04"),
        );
        notes.merge(&other);
        let said: Vec<String> = notes.all().collect();
        assert_eq!(
            said,
            [
                "u1 sends other values each time (a clock, a random source?): \
                 update analytics_userrec…01 10:00:01' where user_id = 1 | \
                 update analytics_userrec…01 10:00:02' where user_id = 1; they are masked"
            ]
        );
    }

    #[test]
    fn of_many_statements_with_varying_values_a_few_are_shown() {
        let mut notes = Notes::default();
        for table in ["a", "b", "c", "d", "e", "f", "g"] {
            notes.varies(
                "u1",
                &format!("insert into {table} values ('1')"),
                &format!("insert into {table} values ('2')"),
            );
        }
        let said: Vec<String> = notes.all().collect();
        assert_eq!(said.len(), 6);
        assert_eq!(
            said[5],
            "2 more statements come with other values each time; they are masked, too"
        );
    }
}
