//! What is right where things go wrong: an actor that crashed (by itself, or with its service) was there with all that it
//! does, or not at all; what came twice was done once.
//!
//! What such an actor was told is not compared: a crash cuts its replies short, and of two deliveries of one request it
//! is chance which of them is told that the other came before.

use std::collections::BTreeSet;

use deadheat_explore::Actor;
use deadheat_lab::record::{Fault, FaultKind, Record, Step, StepKind};

use crate::anomaly::Kind;
use crate::errors::{Effects, wrote};
use crate::graph::transactions;
use crate::words;

/// Who is left out of a serial order that a run is compared with.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Absence {
    /// Those who do not take part in it.
    pub out: BTreeSet<Actor>,
    /// Those who take part, but whose replies are not compared.
    pub unheard: BTreeSet<Actor>,
}

impl Absence {
    /// All whose replies are not compared.
    pub fn silent(&self) -> BTreeSet<Actor> {
        self.out.union(&self.unheard).copied().collect()
    }
}

/// The absences of a run: those in which these have no part, and every crashed actor has one or has none.
pub(crate) fn absences(record: &Record, without: Vec<BTreeSet<Actor>>) -> Vec<Absence> {
    let mut all: Vec<Absence> = Vec::new();
    for mut out in without {
        out.extend(record.faults.iter().map(|fault| fault.actor));
        let mut some = vec![Absence {
            out,
            unheard: twice(record).filter_map(|fault| fault.of).collect(),
        }];
        for crashed in crashed(record) {
            // A second delivery has no part in any order.
            if record.faults.iter().any(|fault| fault.actor == crashed) {
                continue;
            }
            let mut there = some.clone();
            for absence in &mut there {
                absence.unheard.insert(crashed);
            }
            for absence in &mut some {
                absence.unheard.remove(&crashed);
                absence.out.insert(crashed);
            }
            // Who had written something was rather there.
            if wrote(record, crashed) {
                there.append(&mut some);
                some = there;
            } else {
                some.append(&mut there);
            }
        }
        for absence in some {
            if !all.contains(&absence) {
                all.push(absence);
            }
        }
    }
    all
}

fn struck(record: &Record) -> impl Iterator<Item = &Fault> {
    record.faults.iter().filter(|fault| fault.struck)
}

fn twice(record: &Record) -> impl Iterator<Item = &Fault> {
    struck(record).filter(|fault| matches!(fault.kind, FaultKind::Repeat | FaultKind::Timeout))
}

/// The actors that crashed.
pub(crate) fn crashed(record: &Record) -> BTreeSet<Actor> {
    let crashes = record.steps.iter();
    let crashes = crashes.filter(|step| step.kind == StepKind::Crash);
    crashes.map(|step| step.actor).collect()
}

/// The actor whose work this one does: itself, unless it is a second delivery.
pub(crate) fn original(record: &Record, actor: Actor) -> Actor {
    let fault = record.faults.iter().find(|fault| fault.actor == actor);
    fault.and_then(|fault| fault.of).unwrap_or(actor)
}

/// What the finding says of the faults of the run.
#[derive(Debug, Default)]
pub(crate) struct Blame {
    /// What it is called, where no cycle has a name.
    pub kind: Option<Kind>,
    /// A sentence for each.
    pub why: Vec<String>,
    /// The steps.
    pub matters: BTreeSet<usize>,
}

/// What faults have to do with the outcome; `serial`: the run of the nearest serial order.
pub(crate) fn blame(record: &Record, serial: Option<&Record>) -> Blame {
    let mut blame = Blame::default();
    for fault in struck(record) {
        let steps = record.steps.iter();
        let at = steps.clone().position(|step| step.actor == fault.actor);
        blame.matters.extend(at);
        match (fault.kind, fault.of) {
            (FaultKind::Repeat | FaultKind::Timeout, of) => {
                blame.twice(&words::name(record, of.unwrap_or(fault.actor)), fault.kind);
            }
            (FaultKind::Crash, Some(of)) => blame.crash(record, serial, of, None),
            (FaultKind::Crash, None) => {}
            (FaultKind::ServiceCrash, _) => {
                let service = words::name(record, fault.actor);
                let service = service.trim_start_matches("crash of ");
                for of in crashed(record) {
                    blame.crash(record, serial, of, Some(service));
                }
                if blame.why.is_empty() {
                    blame.lost_state(service);
                }
            }
        }
    }
    blame
}

impl Blame {
    /// What somebody does came a second time.
    fn twice(&mut self, name: &str, kind: FaultKind) {
        let how = match kind {
            FaultKind::Timeout => "its client hung up and sent it again",
            _ => "it was delivered twice",
        };
        self.why.push(format!(
            "What {name} does came a second time ({how}), and the outcome is none in which it was done once."
        ));
        self.kind = Some(Kind::DoneTwice);
    }

    /// An actor crashed, by itself or with its service: it matters if part of what it does was committed.
    fn crash(
        &mut self,
        record: &Record,
        serial: Option<&Record>,
        of: Actor,
        service: Option<&str>,
    ) {
        let mut steps = record.steps.iter();
        let crash = steps.position(|step| step.actor == of && step.kind == StepKind::Crash);
        let Some(at) = crash.filter(|_| wrote(record, of)) else {
            return;
        };
        self.matters.insert(at);
        self.matters.extend(committed_writes(record, of));
        let name = words::name(record, of);
        self.why.push(match service {
            Some(service) => format!(
                "{service} is killed when part of what it does for {name} is committed; the rest is never done."
            ),
            None => format!(
                "{name} crashes when part of what it does is committed; the rest is never done."
            ),
        });
        let task = serial.and_then(|serial| lost_task(record, serial, of));
        self.kind.get_or_insert(match &task {
            Some(_) => Kind::LostTask,
            None => Kind::HalfDone,
        });
        if let Some((table, taker)) = task {
            let taker = words::name(record, taker);
            self.why.push(format!(
                "Without the crash it adds to {table}, and {taker} takes it from there: this task is lost."
            ));
        }
    }

    /// A service was killed, and whoever's request was in it is no worse for it.
    fn lost_state(&mut self, service: &str) {
        self.why.push(format!(
            "{service} is killed and started again: what it kept in memory, or had still to do, is lost."
        ));
        self.kind.get_or_insert(Kind::LostState);
    }
}

/// The steps in which the actor wrote what it then committed.
fn committed_writes(record: &Record, actor: Actor) -> BTreeSet<usize> {
    let own = transactions(record).into_iter();
    let committed = own.filter(|tx| tx.actor == actor && tx.committed.is_some());
    committed
        .flat_map(|tx| tx.steps)
        .filter(|n| record.steps[*n].writes_data())
        .collect()
}

/// The table in which the crashed actor leaves a task in the serial order but not in the run, and who takes tasks from
/// it.
fn lost_task(record: &Record, serial: &Record, crashed: Actor) -> Option<(String, Actor)> {
    let added = |record: &Record| -> BTreeSet<String> {
        let writes = committed_writes(record, crashed).into_iter();
        writes
            .map(|n| &record.steps[n])
            .flat_map(|step| {
                let written = step.accesses.iter().filter(|access| access.write);
                written.filter(|access| inserts_into(step, &access.table))
            })
            .map(|access| access.table.clone())
            .collect()
    };
    let there = added(record);
    let mut lost = added(serial)
        .into_iter()
        .filter(|table| !there.contains(table));
    lost.find_map(|table| {
        let others = serial.steps.iter().chain(&record.steps);
        let taker = others
            .filter(|step| step.actor != crashed && !inserts_into(step, &table))
            .find(|step| {
                let mut accesses = step.accesses.iter();
                accesses.any(|access| access.write && access.table == table)
            });
        taker.map(|step| (table, step.actor))
    })
}

/// Whether a step inserts into this table, at whatever place in a statement (`with … as (insert into …)`).
fn inserts_into(step: &Step, table: &str) -> bool {
    let mut statements = step.statements.iter();
    statements.any(|statement| names_insert(&statement.sql, table))
}

/// Whether a statement has `insert into` before the table, which may be named with its schema or without.
fn names_insert(sql: &str, table: &str) -> bool {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().replace('"', "");
    let lower = sql.to_lowercase();
    let mut words = lower.split_whitespace().map(|word| {
        let end = |c: char| c == '(' || c == ';';
        word.trim_start_matches('(')
            .split(end)
            .next()
            .unwrap_or_default()
    });
    let wanted = last(&table.to_lowercase());
    while let Some(word) = words.next() {
        if word == "insert" && words.next() == Some("into") {
            let named = words.next().unwrap_or_default();
            if last(named) == wanted {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::names_insert;

    #[test]
    fn a_task_is_added_wherever_the_statement_says_so() {
        for sql in [
            "insert into tasks values (1)",
            "INSERT INTO shop.tasks(id) VALUES (1)",
            "with ordered as (\n insert into \"shop\".\"tasks\" as waiting (id) values (1) returning id) select id from ordered",
            "with old as (delete from done returning id) insert into tasks select id from old",
        ] {
            assert!(names_insert(sql, "tasks"), "{sql}");
            assert!(names_insert(sql, "shop.tasks"), "{sql}");
            assert!(!names_insert(sql, "done"), "{sql}");
        }
        let taken =
            "with task as (delete from tasks returning id) insert into mails select id from task";
        assert!(!names_insert(taken, "tasks"));
    }
}
