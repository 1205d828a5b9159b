//! What a user should know of a lab's runs besides their outcome; each thing is noted once.

use std::collections::BTreeSet;

/// Notes gathered by one lab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    notes: BTreeSet<String>,
    background: BTreeSet<String>,
}

impl Notes {
    /// The notes in words, sorted.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().map(String::as_str)
    }

    /// Statements that came while no actor ran, each once.
    pub fn background(&self) -> impl Iterator<Item = &str> {
        self.background.iter().map(String::as_str)
    }

    /// Adds the notes of another lab.
    pub fn merge(&mut self, other: &Self) {
        self.notes.extend(other.notes.iter().cloned());
        self.background.extend(other.background.iter().cloned());
    }

    pub(crate) fn came_by_itself(&mut self, sql: &str) {
        self.background.insert(deadheat_sql::shorten(sql, 120));
    }

    pub(crate) fn foreign_database(&mut self, name: &str) {
        self.add(format!(
            "a connection to the database `{name}`, which is not of this scenario, was let through"
        ));
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
