//! Who depends on whom: transactions, the order of versions, and the edges between actors.
//!
//! Nodes are actors, since the question is whether the actors could have run one after the other. The order of the
//! versions of an item is the order of their commits; a read sees what was committed before it (before its
//! transaction's first statement under REPEATABLE READ and above; before it was woken, if it waited for a row).

use std::collections::BTreeMap;

use deadheat_explore::Actor;
use deadheat_lab::record::{Access, Record, Step, StepKind};
use serde::{Deserialize, Serialize};

use crate::errors::{Effects, first_word};
use crate::spelled;

/// A database transaction of an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Whose it is.
    pub actor: Actor,
    /// Its steps, in order.
    pub steps: Vec<usize>,
    /// The step that committed it; `None` if it was rolled back or never ended.
    pub committed: Option<usize>,
}

/// How the second depends on the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dependency {
    /// It overwrote what the first had written.
    Ww,
    /// It read what the first had written.
    Wr,
    /// It overwrote what the first had read.
    Rw,
}

/// One dependency between two actors: `from` comes before `to` in every serial order with this outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The earlier one.
    pub from: Actor,
    /// The later one.
    pub to: Actor,
    /// How they depend.
    pub kind: Dependency,
    /// The step of `from`.
    pub from_step: usize,
    /// The step of `to`.
    pub to_step: usize,
    /// Where the write on the edge was committed.
    pub committed: usize,
    /// The table.
    pub table: String,
    /// The row, when both touched one known row.
    pub row: Option<String>,
    /// Whether the read was a scan: a predicate rather than a row.
    pub predicate: bool,
}

/// Edges with the same key say the same.
type EdgeKey = (Actor, Actor, Dependency, String, Option<String>, bool);

/// What a step does to the rows that it writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Inserts,
    /// Their keys stay, mostly.
    Updates,
    Other,
}

impl Verb {
    fn of(step: &Step) -> Self {
        if step.inserts() {
            Self::Inserts
        } else if step.tags.iter().all(|tag| tag.starts_with("UPDATE")) {
            Self::Updates
        } else {
            Self::Other
        }
    }
}

struct Use {
    actor: Actor,
    step: usize,
    /// In half steps: a step at twice its index, a woken step right after the one that woke it.
    time: usize,
    committed: usize,
    table: String,
    row: Option<String>,
    by: Verb,
    found: bool,
    /// A foreign key's look whether the row is there.
    checks_key: bool,
}

impl Use {
    fn inserts(&self) -> bool {
        self.by == Verb::Inserts
    }
}

/// The transactions of a run, by their first step.
pub fn transactions(record: &Record) -> Vec<Transaction> {
    let mut done: Vec<Transaction> = Vec::new();
    let mut open: BTreeMap<(Actor, u32), Transaction> = BTreeMap::new();
    for (n, step) in record.steps.iter().enumerate() {
        let idle = matches!(
            step.kind,
            StepKind::Silent | StepKind::Fault | StepKind::Kill
        );
        if idle || (step.kind == StepKind::Crash && step.session == 0) {
            continue;
        }
        let key = (step.actor, step.session);
        let tx = open.entry(key).or_insert_with(|| Transaction {
            actor: step.actor,
            steps: Vec::new(),
            committed: None,
        });
        tx.steps.push(n);
        let well = step.error.is_none() && !step.tags.iter().any(|tag| tag == "ROLLBACK");
        let end = match step.kind {
            StepKind::Commit | StepKind::GapCommit => Some(well),
            StepKind::Rollback | StepKind::Crash => Some(false),
            _ => ends_by_itself(record, n).then(|| well && !opens(record, n)),
        };
        if let Some(committed) = end
            && let Some(mut tx) = open.remove(&key)
        {
            tx.committed = committed.then_some(n);
            done.push(tx);
        }
    }
    done.extend(open.into_values());
    done.sort_by_key(|tx| tx.steps[0]);
    done
}

/// Whether no later step of the session belongs to the same transaction.
fn ends_by_itself(record: &Record, n: usize) -> bool {
    let step = &record.steps[n];
    let next = record.steps[n + 1..]
        .iter()
        .find(|later| later.actor == step.actor && later.session == step.session);
    next.is_none_or(|next| {
        !next.in_transaction
            && !matches!(
                next.kind,
                StepKind::Commit | StepKind::Rollback | StepKind::GapCommit | StepKind::Crash
            )
    })
}

/// Whether the step is inside an explicit transaction (begun before it or by it, and not ended by it).
fn opens(record: &Record, n: usize) -> bool {
    let step = &record.steps[n];
    let mut inside = step.in_transaction;
    for statement in &step.statements {
        match first_word(&statement.sql).as_str() {
            "begin" | "start" => inside = true,
            "commit" | "end" | "rollback" | "abort" => inside = false,
            _ => {}
        }
    }
    inside
}

/// When a step took effect, in half steps.
fn time(record: &Record, n: usize) -> usize {
    let step = &record.steps[n];
    if step.blocked_by.is_empty() {
        return 2 * n;
    }
    let woken = record
        .steps
        .iter()
        .enumerate()
        .skip(n + 1)
        .find(|(_, s)| s.wakes.contains(&step.actor));
    woken.map_or(2 * n, |(by, _)| 2 * by + 1)
}

/// All dependencies between actors; of those alike the one with the latest read, otherwise the first.
pub fn edges(record: &Record) -> Vec<Edge> {
    let (reads, writes) = uses(record);
    let mut best: BTreeMap<EdgeKey, Edge> = BTreeMap::new();
    let mut add = |edge: Edge| {
        let key = (
            edge.from,
            edge.to,
            edge.kind,
            edge.table.clone(),
            edge.row.clone(),
            edge.predicate,
        );
        let better = |old: &Edge| edge.kind == Dependency::Rw && edge.from_step > old.from_step;
        if best.get(&key).is_none_or(better) {
            best.insert(key, edge);
        }
    };
    for w in &writes {
        for r in reads
            .iter()
            .filter(|r| r.actor != w.actor && r.table == w.table)
        {
            if !meets(r, w) {
                continue;
            }
            let before = r.time < 2 * w.committed;
            let (from, to) = if before { (r, w) } else { (w, r) };
            let kind = if before {
                Dependency::Rw
            } else {
                Dependency::Wr
            };
            // An insert makes a row appear: whatever the condition, it was one on rows that were not there.
            add(edge(
                from,
                to,
                kind,
                w.committed,
                r.row.is_none() || w.inserts(),
            ));
        }
        for v in writes
            .iter()
            .filter(|v| v.actor != w.actor && v.table == w.table)
        {
            if overwrites(v, w) {
                add(edge(v, w, Dependency::Ww, v.committed, false));
            }
        }
    }
    best.into_values().collect()
}

/// Whether the read could have seen the write.
fn meets(r: &Use, w: &Use) -> bool {
    if r.checks_key && w.by == Verb::Updates {
        return false;
    }
    let (Some(wanted), Some(written)) = (&r.row, &w.row) else {
        // A row that was found is not the one inserted.
        return r.row.is_none() || !(w.inserts() && r.found);
    };
    let (wanted, written) = (equalities(wanted), equalities(written));
    let covered = wanted.keys().all(|column| written.contains_key(column));
    !apart(&wanted, &written) && (covered || !(w.inserts() && r.found))
}

/// Whether the later write replaced what the earlier one had left.
fn overwrites(earlier: &Use, later: &Use) -> bool {
    if later.inserts() || earlier.committed >= later.committed {
        return false;
    }
    match (&earlier.row, &later.row) {
        (Some(a), Some(b)) => !apart(&equalities(a), &equalities(b)),
        _ => !earlier.inserts(),
    }
}

/// `game=1 and nick=ben`, column by column.
fn equalities(row: &str) -> BTreeMap<&str, &str> {
    row.split(" and ")
        .filter_map(|one| one.split_once('='))
        .collect()
}

/// Whether no row can be both: some column has another value.
fn apart(a: &BTreeMap<&str, &str>, b: &BTreeMap<&str, &str>) -> bool {
    a.iter()
        .any(|(column, value)| b.get(column).is_some_and(|other| other != value))
}

fn edge(from: &Use, to: &Use, kind: Dependency, committed: usize, predicate: bool) -> Edge {
    Edge {
        from: from.actor,
        to: to.actor,
        kind,
        from_step: from.step,
        to_step: to.step,
        committed,
        table: from.table.clone(),
        row: from.row.clone().filter(|row| to.row.as_ref() == Some(row)),
        predicate,
    }
}

/// Reads and writes of committed transactions.
fn uses(record: &Record) -> (Vec<Use>, Vec<Use>) {
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    for tx in transactions(record) {
        let Some(committed) = tx.committed else {
            continue;
        };
        for n in &tx.steps {
            let step = &record.steps[*n];
            // What a commit publishes was written by the steps before it.
            if step.kind != StepKind::Work || step.error.is_some() {
                continue;
            }
            let changed = step.writes_data();
            // What an INSERT or a function reads, it reads as it was when it began, whatever it waits for later.
            let locks = step.locks_what_it_reads();
            let accesses = if step.accesses.is_empty() {
                &spelled::accesses(step)
            } else {
                &step.accesses
            };
            for access in accesses {
                let writes_too = |row: bool| {
                    let own = |a: &Access| a.write && a.table == access.table;
                    locks
                        && accesses
                            .iter()
                            .any(|a| own(a) && (!row || a.row == access.row))
                };
                let one = Use {
                    actor: tx.actor,
                    step: *n,
                    time: seen_at(record, &tx, *n, writes_too(false)),
                    committed,
                    table: access.table.clone(),
                    row: access.row.clone(),
                    by: Verb::of(step),
                    // What an INSERT returns it has not found.
                    found: !step.rows.is_empty() && !step.inserts(),
                    checks_key: step.only_checks_keys_of(&access.table),
                };
                if access.write && changed {
                    writes.push(one);
                } else if !changed || access.row.is_none() || !writes_too(true) {
                    // An UPDATE of a known row reads what it locks: nothing comes between.
                    reads.push(one);
                }
            }
        }
    }
    (reads, writes)
}

/// What was committed before this moment (in half steps) is what the step saw. Rows that it locks are read again once
/// they are free.
fn seen_at(record: &Record, tx: &Transaction, n: usize, locks: bool) -> usize {
    match record.steps[n].isolation.as_str() {
        "repeatable read" | "serializable" => 2 * tx.steps[0],
        _ if locks => time(record, n),
        _ => 2 * n,
    }
}

/// The shortest cycle that says most: one that touches `tables`, with few reads overtaken by writes.
pub fn cycle(edges: &[Edge], tables: &[String]) -> Option<Vec<Edge>> {
    two(edges, tables).or_else(|| longer(edges))
}

fn two(edges: &[Edge], tables: &[String]) -> Option<Vec<Edge>> {
    let mut best: Option<(_, Vec<Edge>)> = None;
    for (n, a) in edges.iter().enumerate() {
        for b in edges[n + 1..]
            .iter()
            .filter(|b| a.from == b.to && a.to == b.from)
        {
            let overtaken = [a, b].iter().filter(|e| e.kind == Dependency::Rw).count();
            let off = [a, b].iter().filter(|e| !tables.contains(&e.table)).count();
            // Found by another column, it may be the same row.
            let known = a.row.as_ref().zip(b.row.as_ref());
            let item = usize::from(a.table != b.table || known.is_some_and(|(a, b)| a != b));
            let clear = usize::from(a.kind == Dependency::Wr || b.kind == Dependency::Wr);
            let score = (
                off,
                overtaken,
                item + clear,
                item,
                a.from_step.max(b.from_step),
            );
            if best.as_ref().is_none_or(|(least, _)| score < *least) {
                let mut both = vec![a.clone(), b.clone()];
                // First the read that the first commit made stale: whoever commits later acts on it.
                both.sort_by_key(|e| (e.kind != Dependency::Rw, e.committed));
                best = Some((score, both));
            }
        }
    }
    best.map(|(_, cycle)| cycle)
}

/// Breadth first from each actor over the plainest edge of each pair.
fn longer(edges: &[Edge]) -> Option<Vec<Edge>> {
    let mut plain: BTreeMap<(Actor, Actor), &Edge> = BTreeMap::new();
    for edge in edges {
        let known = plain.entry((edge.from, edge.to)).or_insert(edge);
        if edge.kind < known.kind {
            *known = edge;
        }
    }
    let starts: std::collections::BTreeSet<Actor> = plain.keys().map(|(from, _)| *from).collect();
    starts
        .iter()
        .filter_map(|start| back_to(*start, &plain))
        .min_by_key(Vec::len)
}

fn back_to(start: Actor, plain: &BTreeMap<(Actor, Actor), &Edge>) -> Option<Vec<Edge>> {
    let mut paths: std::collections::VecDeque<(Actor, Vec<Edge>)> = [(start, Vec::new())].into();
    let mut seen = std::collections::BTreeSet::new();
    while let Some((at, path)) = paths.pop_front() {
        for ((from, to), edge) in plain {
            if *from != at {
                continue;
            }
            let mut next = path.clone();
            next.push((*edge).clone());
            if *to == start {
                return Some(next);
            }
            if seen.insert(*to) {
                paths.push_back((*to, next));
            }
        }
    }
    None
}
