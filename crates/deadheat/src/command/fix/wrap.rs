//! The actors' statements in one transaction each, where they are in several or in none.

use std::collections::BTreeSet;
use std::sync::Arc;

use deadheat_explore::Actor;
use deadheat_lab::record::{Record, Step, StepKind};
use deadheat_scenario::{Scenario, SqlStep, Work};
use deadheat_verdict::graph::transactions;

/// The actors whose steps are in more than one transaction.
pub fn scattered(record: &Record) -> Vec<Actor> {
    let all = transactions(record);
    let count = |actor: Actor| all.iter().filter(|tx| tx.actor == actor).count();
    let actors = (0..record.actors.len() as u16).map(Actor);
    actors.filter(|actor| count(*actor) > 1).collect()
}

/// Whether some statement runs outside of any transaction that is written out.
pub fn bare(record: &Record) -> bool {
    record.steps.iter().any(|step| {
        let own = matches!(step.kind, StepKind::Work | StepKind::GapCommit);
        own && !step.in_transaction && !begins(step)
    })
}

/// How actors are made to have their statements in one transaction.
#[derive(Clone, Debug)]
pub struct Together {
    /// The scenario, with SQL sessions that begin and commit.
    pub scenario: Arc<Scenario>,
    /// Requests around which the gate puts a transaction.
    pub enclosed: BTreeSet<Actor>,
}

/// The statements of these actors in one transaction each: a session's script gets it, for a request the gate begins it
/// and commits it when the service has answered.
pub fn wrapped(scenario: &Scenario, record: &Record, actors: &[Actor]) -> Result<Together, String> {
    let mut wrapped = scenario.clone();
    let mut enclosed = BTreeSet::new();
    for actor in actors {
        let number = *actor;
        let actor = &mut wrapped.actors[usize::from(number.0)];
        let steps = match &mut actor.work {
            Work::Sql { steps, .. } => steps,
            Work::Requests(_) if transacts(record, number) => {
                return Err(format!(
                    "{} begins transactions of its own, and the gate cannot make one of several",
                    actor.name
                ));
            }
            Work::Requests(_) => {
                enclosed.insert(number);
                continue;
            }
            // It stands for a fault, and sends no statement.
            Work::Nothing => continue,
            Work::Attached { .. } => {
                return Err(format!(
                    "{} is played from outside: it does not say when it is done before it ends",
                    actor.name
                ));
            }
            Work::Run(_) => {
                return Err(format!(
                    "{} is a command: it does not say when it is done before it ends",
                    actor.name
                ));
            }
        };
        if steps.iter().any(|step| first_word(&step.run) == "rollback") {
            return Err(format!("{} rolls back what it has begun", actor.name));
        }
        let own = |step: &SqlStep| {
            !matches!(
                first_word(&step.run).as_str(),
                "begin" | "start" | "commit" | "end"
            )
        };
        steps.retain(own);
        let plain = |run: &str| SqlStep {
            when: None,
            run: run.to_owned(),
        };
        steps.insert(0, plain("begin"));
        steps.push(plain("commit"));
    }
    Ok(Together {
        scenario: Arc::new(wrapped),
        enclosed,
    })
}

/// Whether the actor begins a transaction by itself.
fn transacts(record: &Record, actor: Actor) -> bool {
    let mut own = record.steps.iter().filter(|step| step.actor == actor);
    own.any(|step| step.in_transaction || begins(step))
}

fn begins(step: &Step) -> bool {
    step.statements
        .iter()
        .any(|one| matches!(first_word(&one.sql).as_str(), "begin" | "start"))
}

/// The first word of a statement, in lower case.
pub fn first_word(sql: &str) -> String {
    let letters = sql.trim_start().chars().take_while(|c| c.is_alphabetic());
    letters.flat_map(char::to_lowercase).collect()
}
