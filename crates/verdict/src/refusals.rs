//! Why an error reached somebody, in a few plain sentences.

use deadheat_explore::Actor;
use deadheat_lab::record::{Access, Record, Step};

use crate::errors::Reached;
use crate::explain::{read, step};
use crate::graph::{Dependency, edges};
use crate::words;

/// Sentences for errors that reached actors.
pub(crate) fn errors(record: &Record, errors: &[Reached]) -> Vec<String> {
    errors
        .iter()
        .flat_map(|error| {
            let name = words::name(record, error.actor);
            let told = match error.code.as_str() {
                "no answer" => "got no answer".to_owned(),
                code if code.starts_with("exit") => format!("ended with {code}"),
                code if code.len() == 3 => format!("was answered {code}"),
                code => format!("got error {code}"),
            };
            match &error.cause {
                None => vec![format!("{name} {told}, which happens in no serial order.")],
                Some((n, code)) if code == "40P01" => deadlock(record, *n, &told),
                Some((n, code)) => refused(record, (*n, code), &told),
            }
        })
        .collect()
}

fn refused(record: &Record, (n, code): (usize, &str), told: &str) -> Vec<String> {
    let failed = &record.steps[n];
    let name = words::name(record, failed.actor);
    let mut out = outdated(record, n);
    if !failed.blocked_by.is_empty() {
        out.push(format!(
            "{name}'s {} waited for {}.",
            step(record, n),
            names(record, &failed.blocked_by)
        ));
    }
    let message = failed.error.as_ref().map_or("", |e| e.message.as_str());
    out.push(format!(
        "The database refused {name}'s {} with {code} ({message}); {name} {told}, which happens in no serial order.",
        step(record, n)
    ));
    out
}

/// What the actor had read before it was refused, and who had made that old by then.
fn outdated(record: &Record, n: usize) -> Vec<String> {
    let failed = &record.steps[n];
    let stale = edges(record).into_iter().filter(|edge| {
        let in_the_way = failed
            .accesses
            .iter()
            .any(|access| access.table == edge.table);
        edge.kind == Dependency::Rw && edge.from == failed.actor && edge.from_step < n && in_the_way
    });
    let Some(edge) = stale.max_by_key(|edge| edge.from_step) else {
        return Vec::new();
    };
    let other = words::name(record, edge.to);
    vec![format!(
        "{} {}, and could not see {other}'s {}.",
        words::name(record, edge.from),
        read(record, &edge),
        step(record, edge.to_step)
    )]
}

/// Who held what, who waited for it, and who was ended.
fn deadlock(record: &Record, victim: usize, told: &str) -> Vec<String> {
    let name = words::name(record, record.steps[victim].actor);
    let waiting = |n: &usize| {
        let step = &record.steps[*n];
        let woken = record.steps[*n..victim]
            .iter()
            .any(|later| later.wakes.contains(&step.actor));
        !step.blocked_by.is_empty() && !woken
    };
    let waits: Vec<usize> = (0..victim).filter(waiting).collect();
    let mut out: Vec<String> = waits
        .iter()
        .map(|n| {
            let waiter = &record.steps[*n];
            format!(
                "{} waits with {} for what {} holds{}.",
                words::name(record, waiter.actor),
                step(record, *n),
                names(record, &waiter.blocked_by),
                since(record, *n, &waiter.blocked_by)
            )
        })
        .collect();
    let closes = &record.steps[victim];
    // The database may have found the circle before anybody saw whom the last one waited for.
    let holders: Vec<Actor> = if closes.blocked_by.is_empty() {
        waits.iter().map(|n| record.steps[*n].actor).collect()
    } else {
        closes.blocked_by.clone()
    };
    let of = if holders.is_empty() {
        "another".to_owned()
    } else {
        names(record, &holders)
    };
    out.push(format!(
        "{name}'s {} asks for what {of} holds{}: a circle, in which nobody can move.",
        step(record, victim),
        since(record, victim, &holders)
    ));
    out.push(format!(
        "The database broke it by refusing {name} (40P01, deadlock detected); {name} {told}, which happens in no serial order."
    ));
    out
}

/// Since which step the holders have what the step waits for, where that can be told.
fn since(record: &Record, n: usize, holders: &[Actor]) -> String {
    let waiter = &record.steps[n];
    let wants = |held: &Step| {
        let same_row = |a: &Access| {
            let row = |b: &&Access| b.write && b.table == a.table && b.row == a.row;
            a.write && a.row.is_some() && held.accesses.iter().any(|b| row(&b))
        };
        // A lock that is no row's is taken in the same words.
        words::essence(held) == words::essence(waiter) || waiter.accesses.iter().any(same_row)
    };
    let held = (0..n).rev().find(|m| {
        let step = &record.steps[*m];
        let got = step.error.is_none() && step.blocked_by.is_empty();
        holders.contains(&step.actor) && got && wants(step)
    });
    held.map_or_else(String::new, |m| format!(" since {}", step(record, m)))
}

fn names(record: &Record, actors: &[Actor]) -> String {
    let names: Vec<String> = actors.iter().map(|a| words::name(record, *a)).collect();
    words::list(&names)
}
