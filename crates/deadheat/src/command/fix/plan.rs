//! Which cures there are for a race, what each changes, and why others are left out.
//!
//! They come in the order in which they are to be preferred: what costs the code least first.

mod advisory;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deadheat_explore::Actor;
use deadheat_lab::Cure;
use deadheat_lab::record::{Record, Statement, Step, Table};
use deadheat_report::{Change, NotTried};
use deadheat_scenario::{Scenario, Work};
use deadheat_sql::{Isolation, fingerprint_of, locking, why_not_locking};
use deadheat_verdict::Finding;
use deadheat_verdict::graph::Dependency;

use super::change::{added, raised, replaced};
use super::duplicates::duplicate;
use super::wrap::{Together, bare, scattered, wrapped};

/// How often a request is sent again at most.
const RETRIES: u32 = 5;

/// A race, and what is known of it.
pub struct Patient<'a> {
    pub scenario: &'a Arc<Scenario>,
    pub record: &'a Record,
    pub finding: &'a Finding,
    /// Serial orders without any cure.
    pub serial: &'a [Record],
    pub start: &'a BTreeMap<String, Table>,
}

/// A cure that can be tried.
#[derive(Clone, Debug)]
pub struct Remedy {
    /// What it is, in a few words.
    pub name: String,
    pub cure: Cure,
    pub scenario: Arc<Scenario>,
    /// Round trips that it adds to a transaction.
    pub round_trips: u32,
    /// Errors that the code must then expect.
    pub expected: Vec<&'static str>,
    pub changes: Vec<Change>,
    /// What else to know.
    pub note: String,
}

/// What is to be tried, and what is not.
pub struct Plan {
    pub remedies: Vec<Remedy>,
    pub not_tried: Vec<NotTried>,
}

impl Remedy {
    /// The scenario as it is.
    pub fn nothing(scenario: &Arc<Scenario>) -> Self {
        Self {
            name: "as it is".to_owned(),
            cure: Cure::default(),
            scenario: Arc::clone(scenario),
            round_trips: 0,
            expected: Vec::new(),
            changes: Vec::new(),
            note: String::new(),
        }
    }

    pub fn is_nothing(&self) -> bool {
        self.cure == Cure::default() && self.changes.is_empty()
    }

    /// Whether the code expects all of these errors once it is cured.
    pub fn expects(&self, errors: &[String]) -> bool {
        let expected = |error: &String| self.expected.iter().any(|code| error.contains(code));
        errors.iter().all(expected)
    }

    pub fn retries(&self) -> bool {
        self.cure.retries > 0
    }
}

/// Says what can be tried.
pub fn plan(patient: &Patient<'_>) -> Plan {
    let record = patient.record;
    let scattered = scattered(record);
    let one = if scattered.is_empty() {
        Err("every actor's steps are in one transaction already".to_owned())
    } else {
        wrapped(patient.scenario, record, &scattered)
    };
    let as_it_is = || Together {
        scenario: Arc::clone(patient.scenario),
        enclosed: BTreeSet::new(),
    };
    let base = match &one {
        Ok(together) => Ok((together.clone(), 2)),
        // A statement on its own is a transaction already, but a lock beside it needs one that is written out.
        Err(_) if scattered.is_empty() && bare(record) => Ok((as_it_is(), 2)),
        Err(_) if !bare(record) => Ok((as_it_is(), 0)),
        Err(why) => Err(why.clone()),
    };
    let mut planner = Planner {
        patient,
        base,
        plan: Plan {
            remedies: Vec::new(),
            not_tried: Vec::new(),
        },
    };
    planner.unique_index();
    planner.for_update();
    planner.first_row();
    planner.one_transaction(one);
    planner.advisory_lock();
    planner.level(Isolation::RepeatableRead);
    planner.level(Isolation::Serializable);
    planner.retry();
    planner.plan
}

struct Planner<'a> {
    patient: &'a Patient<'a>,
    /// The scenario with one transaction an actor, and the round trips that this costs; or why there is none.
    base: Result<(Together, u32), String>,
    plan: Plan,
}

impl Planner<'_> {
    fn not(&mut self, cure: &str, why: impl Into<String>) {
        self.plan.not_tried.push(NotTried {
            cure: cure.to_owned(),
            why: why.into(),
        });
    }

    /// A cure that needs transactions around it; `None`, said so, where there can be none.
    fn inside(&mut self, name: &str, cure: Cure) -> Option<Remedy> {
        match self.base.clone() {
            Ok((together, round_trips)) => {
                let changes = if round_trips > 0 {
                    vec![added("begin"), added("commit")]
                } else {
                    Vec::new()
                };
                Some(Remedy {
                    name: name.to_owned(),
                    cure: Cure {
                        enclosed: together.enclosed,
                        ..cure
                    },
                    scenario: together.scenario,
                    round_trips,
                    changes,
                    ..Remedy::nothing(self.patient.scenario)
                })
            }
            // Said where one transaction is not tried.
            Err(_) => {
                self.not(name, "it needs each actor's statements in one transaction");
                None
            }
        }
    }

    fn unique_index(&mut self) {
        let name = "unique index";
        let patient = self.patient;
        let Some(found) = duplicate(patient.record, patient.serial, patient.start) else {
            let why =
                "no row is there twice that is there once when the actors run one after the other";
            return self.not(name, why);
        };
        let (database, table) = match found.table.split_once(':') {
            Some((database, table)) => (database.to_owned(), table),
            None => {
                let first = patient.scenario.databases.keys().next();
                (first.cloned().unwrap_or_default(), found.table.as_str())
            }
        };
        let columns = found.columns.join(", ");
        let quoted: Vec<String> = found
            .columns
            .iter()
            .map(|column| format!("\"{}\"", column.replace('"', "\"\"")))
            .collect();
        let sql = format!("create unique index on {table} ({})", quoted.join(", "));
        self.plan.remedies.push(Remedy {
            name: format!("{name} on {table} ({columns})"),
            cure: Cure {
                schema: vec![(database, sql)],
                ..Cure::default()
            },
            expected: vec!["23505"],
            changes: vec![added(format!("create unique index on {table} ({columns})"))],
            note: "Whoever comes second is then refused with 23505 (unique violation): answer that as what it says, or \
                   insert with ON CONFLICT DO NOTHING."
                .to_owned(),
            ..Remedy::nothing(patient.scenario)
        });
    }

    /// The statements whose reads went stale.
    fn stale(&self) -> Vec<&Statement> {
        let edges = self.patient.finding.cycle.iter();
        let reads = edges.filter(|edge| edge.kind == Dependency::Rw);
        let steps = reads.filter_map(|edge| self.patient.record.steps.get(edge.from_step));
        steps.filter_map(|step| step.statements.last()).collect()
    }

    fn for_update(&mut self) {
        let name = "FOR UPDATE on what went stale";
        let stale = self.stale();
        if stale.is_empty() {
            return self.not(name, "no read went stale");
        }
        let mut changes = Vec::new();
        let mut fingerprints = BTreeSet::new();
        let mut why = None;
        for statement in stale {
            match why_not_locking(&statement.sql) {
                None => {
                    fingerprints.insert(fingerprint_of(&statement.sql));
                    push(&mut changes, statement);
                }
                Some(reason) => why = Some((statement.sql.clone(), reason)),
            }
        }
        if let (true, Some((sql, reason))) = (fingerprints.is_empty(), why) {
            let sql = deadheat_sql::shorten(&sql, 60);
            return self.not(name, format!("`{sql}`: {reason}"));
        }
        let cure = Cure {
            locking: fingerprints,
            ..Cure::default()
        };
        if let Some(mut remedy) = self.inside(name, cure) {
            remedy.changes.splice(
                remedy.changes.len().min(1)..remedy.changes.len().min(1),
                changes,
            );
            "The second one then waits for the first, and reads what it has written."
                .clone_into(&mut remedy.note);
            self.plan.remedies.push(remedy);
        }
    }

    /// A row that all actors of the cycle read before what went stale: locked, it lets them in one after the other.
    fn first_row(&mut self) {
        let name = "FOR UPDATE on a row that all read first";
        let Some((statement, row)) = self.common_row() else {
            return self.not(
                name,
                "the actors read no row in common, by its key, before what went stale",
            );
        };
        let cure = Cure {
            locking: BTreeSet::from([fingerprint_of(&statement.sql)]),
            ..Cure::default()
        };
        if let Some(mut remedy) = self.inside(&format!("{name} ({row})"), cure) {
            let at = remedy.changes.len().min(1);
            let mut changes = Vec::new();
            push(&mut changes, &statement);
            remedy.changes.splice(at..at, changes);
            "It stands for what it owns: whoever has it locked is alone with its rows, also with those that are not there \
             yet."
                .clone_into(&mut remedy.note);
            self.plan.remedies.push(remedy);
        }
    }

    fn common_row(&self) -> Option<(Statement, String)> {
        let stale: BTreeSet<u64> = self
            .stale()
            .iter()
            .map(|one| fingerprint_of(&one.sql))
            .collect();
        let cycle = &self.patient.finding.cycle;
        let actors: BTreeSet<Actor> = cycle.iter().map(|edge| edge.from).collect();
        let serial = self.patient.serial.first()?;
        let mut common: Option<BTreeMap<(u64, String), Statement>> = None;
        for actor in actors {
            let steps = serial.steps.iter().filter(|step| step.actor == actor);
            let is_stale = |step: &&Step| {
                step.statements
                    .iter()
                    .any(|one| stale.contains(&fingerprint_of(&one.sql)))
            };
            let before: BTreeMap<_, _> = steps
                .take_while(|step| !is_stale(step))
                .filter_map(row_read)
                .collect();
            common = Some(match common {
                None => before,
                Some(known) => known
                    .into_iter()
                    .filter(|(key, _)| before.contains_key(key))
                    .collect(),
            });
        }
        let ((_, row), statement) = common?.into_iter().next()?;
        Some((statement, row))
    }

    fn one_transaction(&mut self, one: Result<Together, String>) {
        let name = "one transaction for each actor";
        match one {
            Ok(together) => self.plan.remedies.push(Remedy {
                name: name.to_owned(),
                cure: Cure {
                    enclosed: together.enclosed,
                    ..Cure::default()
                },
                scenario: together.scenario,
                round_trips: 2,
                changes: vec![added("begin"), added("commit")],
                note: "Before the first statement, and behind the last; where there are several requests, for each of them."
                    .to_owned(),
                ..Remedy::nothing(self.patient.scenario)
            }),
            Err(why) => self.not(name, why),
        }
    }

    fn level(&mut self, level: Isolation) {
        let name = level.name().to_uppercase();
        let retrying = format!("{name}, with retry");
        let steps = &self.patient.record.steps;
        let at = |step: &Step| Isolation::read(&step.isolation).is_some_and(|at| at >= level);
        if steps
            .iter()
            .filter(|step| !step.isolation.is_empty())
            .all(at)
        {
            return self.not(&name, "every transaction runs at this level already");
        }
        let cure = Cure {
            level: Some(level),
            ..Cure::default()
        };
        let Some(mut remedy) = self.inside(&name, cure) else {
            return;
        };
        if bare(self.patient.record) && scattered(self.patient.record).is_empty() {
            remedy.round_trips = 0;
        }
        remedy.changes = match remedy.round_trips {
            0 => raised(self.patient.record, level),
            _ => vec![
                added(format!("begin isolation level {}", level.name())),
                added("commit"),
            ],
        };
        "Every transaction must then expect 40001 (serialization failure)."
            .clone_into(&mut remedy.note);
        let mut again = remedy.clone();
        self.plan.remedies.push(remedy);
        if self.commands() {
            return self.not(&retrying, "a command is not run again");
        }
        again.name = retrying;
        again.cure.retries = RETRIES;
        "The whole transaction is to be done again from its first statement when any statement of it, or its commit, fails \
         with 40001 or 40P01."
            .clone_into(&mut again.note);
        self.plan.remedies.push(again);
    }

    fn retry(&mut self) {
        let name = "retry after 40001 and 40P01";
        let refused = self.patient.record.steps.iter().any(|step| {
            let code = step.error.as_ref().map(|error| error.code.as_str());
            matches!(code, Some("40001" | "40P01"))
        });
        if !refused {
            return self.not(name, "nobody is refused with 40001 or 40P01");
        }
        if self.commands() {
            return self.not(name, "a command is not run again");
        }
        self.plan.remedies.push(Remedy {
            name: name.to_owned(),
            cure: Cure {
                retries: RETRIES,
                ..Cure::default()
            },
            changes: vec![added("rollback, and the whole transaction again, when it fails with 40001 or 40P01")],
            note: "Where a deadlock is behind it, taking the locks in the same order everywhere spares the retry.".to_owned(),
            ..Remedy::nothing(self.patient.scenario)
        });
    }

    fn commands(&self) -> bool {
        let mut actors = self.patient.scenario.actors.iter();
        actors.any(|actor| matches!(actor.work, Work::Run(_)))
    }
}

fn push(changes: &mut Vec<Change>, statement: &Statement) {
    let own = BTreeSet::from([fingerprint_of(&statement.sql)]);
    if let Some(to) = locking(&statement.sql, &own) {
        let change = replaced(&statement.sql, &to);
        if !changes.contains(&change) {
            changes.push(change);
        }
    }
}

/// A row that the step reads by its key and that its statement could lock.
fn row_read(step: &Step) -> Option<((u64, String), Statement)> {
    let [access] = step.accesses.as_slice() else {
        return None;
    };
    let statement = step.statements.last()?;
    let row = access
        .row
        .as_ref()
        .filter(|_| !access.write && !step.rows.is_empty())?;
    if why_not_locking(&statement.sql).is_some() {
        return None;
    }
    let key = (
        fingerprint_of(&statement.sql),
        format!("{} {row}", access.table),
    );
    Some((key, statement.clone()))
}
