//! What a user should know of a lab's runs besides their outcome; each thing is noted once.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::{Record, Reply, SqlError};

/// Notes gathered by one lab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    notes: BTreeSet<String>,
    background: BTreeSet<String>,
    stalled: BTreeSet<String>,
    /// What was asked for in serial runs, by actor, and how it was refused; `None` once it was not.
    refused: BTreeMap<(String, String), Option<String>>,
}

impl Notes {
    /// The notes in words, sorted.
    pub fn all(&self) -> impl Iterator<Item = String> {
        let refused = self.refused.iter().filter_map(|((actor, what), how)| {
            let how = how.as_ref()?;
            Some(format!("{actor}: `{what}` {how}, in every serial order; correct the scenario if that is not meant"))
        });
        self.notes.iter().cloned().chain(refused)
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
        self.notes.extend(other.notes.iter().cloned());
        self.stalled.extend(other.stalled.iter().cloned());
        self.background.extend(other.background.iter().cloned());
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

    pub(crate) fn left_open(&mut self) {
        self.add("a transaction was still open when its actor had finished".to_owned());
    }

    pub(crate) fn varies(&mut self, actor: &str, one: &str, other: &str) {
        self.add(format!(
            "{actor} sends other values each time (a clock, a random source?): \
             {one} | {other}; they are masked"
        ));
    }

    fn add(&mut self, note: String) {
        self.notes.insert(note);
    }
}

/// What was asked for, and how it was refused, if it was. A client's own mistakes that a service may mean (400, 409,
/// 422) are none.
fn refusal(reply: &Reply) -> (&str, Option<String>) {
    match reply {
        Reply::Http { request, status, .. } => {
            let refused = matches!(status, 401 | 403 | 404 | 405 | 500..);
            (request, refused.then(|| format!("is answered with status {status}")))
        }
        Reply::NoAnswer { request, error } => (request, Some(format!("gets no answer ({error})"))),
        Reply::Command { run, status, .. } => {
            (run, (*status != 0).then(|| format!("ends with status {status}")))
        }
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
        }
    }

    #[test]
    fn what_never_works_is_noted() {
        let mut notes = Notes::default();
        notes.ran_serially(&answered(404));
        notes.ran_serially(&answered(404));
        let said: Vec<String> = notes.all().collect();
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with("ben: `GET /` is answered with status 404, in every serial order"));
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
}
