//! Advisory locks: one a row where the statements name their rows by a key, else one for whole tables.

use std::collections::BTreeSet;

use deadheat_lab::record::{Statement, StepKind};
use deadheat_lab::{Advisory, Cure, has_one_key};
use deadheat_sql::{fingerprint_of, shorten};

use super::super::change::added;
use super::{Patient, Planner};

impl Planner<'_> {
    pub(super) fn advisory_lock(&mut self) {
        let rows = rows_of(&self.tables_of_the_cycle(), self.patient).or_else(|| {
            let (statement, row) = self.common_row()?;
            let (table, row) = row.split_once(' ')?;
            let locked = Locked {
                tables: BTreeSet::from([table.to_owned()]),
                shown: (table.to_owned(), row.to_owned()),
                before: Some(statement),
            };
            has_one_key(row).then_some(locked)
        });
        match rows {
            Some(locked) => self.lock_of_rows(locked),
            None => self.lock_of_tables(),
        }
    }

    /// What the race is about: the tables of its cycle, or of the steps that matter.
    fn tables_of_the_cycle(&self) -> BTreeSet<String> {
        let finding = self.patient.finding;
        let tables: BTreeSet<String> = finding.cycle.iter().map(|one| one.table.clone()).collect();
        if !tables.is_empty() {
            return tables;
        }
        let steps = finding.matters.iter();
        let steps = steps.filter_map(|step| self.patient.record.steps.get(*step));
        let accesses = steps.flat_map(|step| &step.accesses);
        accesses.map(|access| access.table.clone()).collect()
    }

    fn lock_of_rows(&mut self, locked: Locked) {
        let tables: Vec<&str> = locked.tables.iter().map(String::as_str).collect();
        let name = format!("advisory lock, one a row of {}", tables.join(", "));
        let cure = Cure {
            advisory: Some(Advisory::Rows(locked.tables.clone())),
            ..Cure::default()
        };
        if let Some(mut remedy) = self.inside(&name, cure) {
            remedy.round_trips += 1;
            let (table, row) = &locked.shown;
            let (column, value) = row.split_once('=').unwrap_or(("", row));
            let key = match value.parse::<i32>() {
                Ok(key) => key.to_string(),
                Err(_) => format!(
                    "hashtext('{}')",
                    value.trim_matches('\'').replace('\'', "''")
                ),
            };
            let lock = format!("select pg_advisory_xact_lock(hashtext('{table}'), {key})");
            let at = remedy.changes.len().min(1);
            remedy.changes.insert(at, added(lock));
            let before = locked.before.map_or_else(
                || "before the first statement that is about the row".to_owned(),
                |statement| format!("before `{}`", shorten(&statement.sql, 80)),
            );
            remedy.note = format!(
                "With the row's own {column}, in the same transaction, {before}. Transactions on other rows need not wait."
            );
            self.plan.remedies.push(remedy);
        }
    }

    fn lock_of_tables(&mut self) {
        let tables = self.tables_of_the_cycle();
        let what = tables.into_iter().collect::<Vec<_>>().join(", ");
        let cure = Cure {
            // Any key will do, as long as it is always the same.
            advisory: Some(Advisory::All((fingerprint_of(&what) >> 1).cast_signed())),
            ..Cure::default()
        };
        let name = format!("advisory lock, one for all of {what}");
        if let Some(mut remedy) = self.inside(&name, cure) {
            remedy.round_trips += 1;
            let lock = format!("select pg_advisory_xact_lock(hashtextextended('{what}', 0))");
            let at = remedy.changes.len().min(1);
            remedy.changes.insert(at, added(lock));
            "As the first statement of each transaction, before anything is read. The statements do not all name a row by \
             its key, so that it is one lock for the whole table: where the code knows what the rows belong to, that makes \
             a finer key."
                .clone_into(&mut remedy.note);
            self.plan.remedies.push(remedy);
        }
    }
}

/// Rows that advisory locks can be keyed by.
struct Locked {
    tables: BTreeSet<String>,
    /// A table and a row of it, to show.
    shown: (String, String),
    /// The statement that the lock goes before, where it is another than what the race is about.
    before: Option<Statement>,
}

/// The rows of these tables, if every statement of the race and of the serial orders that touches them names one by
/// a single column.
fn rows_of(tables: &BTreeSet<String>, patient: &Patient<'_>) -> Option<Locked> {
    let records = patient.serial.iter().chain([patient.record]);
    let steps = records.flat_map(|record| &record.steps);
    let steps = steps.filter(|step| !step.statements.is_empty() && step.kind == StepKind::Work);
    let mut shown = None;
    for access in steps.flat_map(|step| &step.accesses) {
        if !tables.contains(&access.table) {
            continue;
        }
        let row = access.row.as_ref().filter(|row| has_one_key(row))?;
        shown.get_or_insert((access.table.clone(), row.clone()));
    }
    Some(Locked {
        tables: tables.clone(),
        shown: shown?,
        before: None,
    })
}
