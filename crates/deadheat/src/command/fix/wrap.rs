//! The actors' statements in one transaction each, where they are in several or in none.

use std::sync::Arc;

use deadheat_explore::Actor;
use deadheat_lab::record::{Record, Step, StepKind};
use deadheat_scenario::{Scenario, SqlStep, Work};
use deadheat_verdict::graph::transactions;

/// Why an actor's statements cannot be put in one transaction from outside.
pub const ONE_BY_ONE: &str = "its statements reach the database in several transactions, and at the gate nobody knows which of them will be the last";

/// The actors whose steps are in more than one transaction.
pub fn scattered(record: &Record) -> Vec<Actor> {
    let all = transactions(record);
    let count = |actor: Actor| all.iter().filter(|tx| tx.actor == actor).count();
    let actors = (0..record.actors.len() as u16).map(Actor);
    actors.filter(|actor| count(*actor) > 1).collect()
}

/// Whether some statement runs outside of any transaction that is written out.
pub fn bare(record: &Record) -> bool {
    let begins = |step: &Step| {
        step.statements
            .iter()
            .any(|one| matches!(first_word(&one.sql).as_str(), "begin" | "start"))
    };
    record.steps.iter().any(|step| {
        let own = matches!(step.kind, StepKind::Work | StepKind::GapCommit);
        own && !step.in_transaction && !begins(step)
    })
}

/// The scenario with the statements of these actors in one transaction each.
pub fn wrapped(scenario: &Scenario, actors: &[Actor]) -> Result<Arc<Scenario>, String> {
    let mut wrapped = scenario.clone();
    for actor in actors {
        let actor = &mut wrapped.actors[usize::from(actor.0)];
        let Work::Sql { steps, .. } = &mut actor.work else {
            return Err(format!("{}: {ONE_BY_ONE}", actor.name));
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
    Ok(Arc::new(wrapped))
}

/// The first word of a statement, in lower case.
pub fn first_word(sql: &str) -> String {
    let letters = sql.trim_start().chars().take_while(|c| c.is_alphabetic());
    letters.flat_map(char::to_lowercase).collect()
}
