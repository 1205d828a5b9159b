//! What the page knows of a race: the saved race with everything worked out that the scripts only draw.

use std::collections::BTreeSet;

use deadheat_lab::record::{Access, End, Record, Reply, Step, StepKind};
use deadheat_verdict::anomaly::Kind;
use deadheat_verdict::graph::{Dependency, Edge, cycle, edges, transactions};
use deadheat_verdict::{Difference, Saved, words};
use serde::Serialize;

use super::rows::{TableView, tables};

/// Texts of replies are cut here.
const LONGEST_REPLY: usize = 2000;
/// Conflicts beside those of the cycle that are drawn.
const MOST_EDGES: usize = 60;

/// All that stands in the island.
#[derive(Serialize)]
pub(crate) struct Page {
    pub races: Vec<RaceView>,
    pub summary: String,
}

/// A race.
#[derive(Serialize)]
pub(crate) struct RaceView {
    pub title: String,
    pub scenario: String,
    pub why: Vec<String>,
    anomaly: Option<String>,
    checks: Vec<String>,
    actors: Vec<String>,
    steps: Vec<StepView>,
    transactions: Vec<Span>,
    edges: Vec<EdgeView>,
    tables: Vec<TableView>,
    not_shown: Vec<String>,
    seen: bool,
    orders: Vec<OrderView>,
    replies: Vec<Told>,
    stuck: Vec<String>,
    left_out: Vec<String>,
    again: String,
}

#[derive(Serialize)]
struct StepView {
    actor: usize,
    kind: StepKind,
    label: String,
    statements: Vec<deadheat_lab::record::Statement>,
    isolation: String,
    waits_for: Vec<usize>,
    /// The step after which it went on.
    until: Option<usize>,
    wakes: Vec<usize>,
    error: Option<String>,
    tags: Vec<String>,
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
    reads: Vec<String>,
    writes: Vec<Touch>,
    matters: bool,
}

#[derive(Serialize)]
struct Touch {
    table: String,
    row: Option<String>,
}

/// A transaction, from its first step to its end.
#[derive(Serialize)]
struct Span {
    actor: usize,
    steps: Vec<usize>,
    /// Its last step; none if it was left open.
    end: Option<usize>,
    committed: bool,
}

#[derive(Serialize)]
struct EdgeView {
    from: usize,
    to: usize,
    words: String,
    cycle: bool,
}

#[derive(Serialize)]
struct OrderView {
    order: Vec<String>,
    differs: Vec<DifferView>,
    more: usize,
}

#[derive(Serialize)]
struct DifferView {
    place: String,
    asked: String,
    found: Option<String>,
    serial: Option<String>,
}

#[derive(Serialize)]
struct Told {
    actor: String,
    asked: String,
    said: String,
    failed: bool,
}

impl RaceView {
    /// What the page shows of a race that is saved in `file`, or not yet saved if that is empty.
    pub(crate) fn of(saved: &Saved, file: &str) -> Self {
        let record = &saved.record;
        let matters: BTreeSet<usize> = saved.matters.iter().copied().collect();
        let step = |(n, step): (usize, &Step)| {
            StepView::of(record, n, step, matters.is_empty() || matters.contains(&n))
        };
        Self {
            title: in_words(&saved.kind.to_string()),
            scenario: saved
                .scenario
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned(),
            why: saved.why.clone(),
            anomaly: saved.anomaly.map(|anomaly| anomaly.to_string()),
            checks: saved
                .checks
                .iter()
                .map(|check| crate::race::broken(check))
                .collect(),
            actors: record.actors.clone(),
            steps: record.steps.iter().enumerate().map(step).collect(),
            transactions: spans(record),
            edges: conflicts(saved, &matters),
            tables: saved.history.as_ref().map(tables).unwrap_or_default(),
            not_shown: saved
                .history
                .as_ref()
                .map(|one| one.left_out.clone())
                .unwrap_or_default(),
            seen: saved.history.is_some(),
            orders: orders(saved),
            replies: replies(record),
            stuck: stuck(record),
            left_out: saved.left_out.clone(),
            again: if file.is_empty() {
                String::new()
            } else {
                format!("deadheat replay {file}")
            },
        }
    }
}

impl StepView {
    fn of(record: &Record, n: usize, step: &Step, matters: bool) -> Self {
        let waits = !step.blocked_by.is_empty();
        let woken =
            (n + 1..record.steps.len()).find(|at| record.steps[*at].wakes.contains(&step.actor));
        let reads = step.accesses.iter().filter(|access| !access.write);
        let named = |table: &str, row: &Option<String>| match row {
            Some(row) => format!("{table} {row}"),
            None => table.to_owned(),
        };
        let writes = step.accesses.iter().filter(|access| access.write);
        Self {
            actor: usize::from(step.actor.0),
            kind: step.kind,
            label: words::statement(step),
            statements: step.statements.clone(),
            isolation: step.isolation.clone(),
            waits_for: step
                .blocked_by
                .iter()
                .map(|actor| usize::from(actor.0))
                .collect(),
            until: woken.filter(|_| waits),
            wakes: step
                .wakes
                .iter()
                .map(|actor| usize::from(actor.0))
                .collect(),
            error: step
                .error
                .as_ref()
                .map(|error| format!("{} {}", error.code, error.message)),
            tags: step.tags.clone(),
            columns: step.columns.clone(),
            rows: step.rows.clone(),
            reads: reads
                .map(|access| named(&access.table, &access.row))
                .collect(),
            writes: writes
                .map(|access| Touch {
                    table: access.table.clone(),
                    row: access.row.clone(),
                })
                .collect(),
            matters,
        }
    }
}

/// `lost-update` as a title.
pub(crate) fn in_words(kind: &str) -> String {
    let text = kind.replace('-', " ");
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

fn spans(record: &Record) -> Vec<Span> {
    let open = |step: usize| {
        let session = record.steps[step].session;
        record.left_open.iter().any(|open| open.session == session)
    };
    transactions(record)
        .into_iter()
        .map(|tx| {
            let last = tx
                .steps
                .last()
                .copied()
                .filter(|last| tx.committed.is_some() || !open(*last));
            Span {
                actor: usize::from(tx.actor.0),
                end: tx.committed.or(last),
                committed: tx.committed.is_some(),
                steps: tx.steps,
            }
        })
        .collect()
}

/// The dependencies between steps that matter, those of the cycle first.
fn conflicts(saved: &Saved, matters: &BTreeSet<usize>) -> Vec<EdgeView> {
    let record = &saved.record;
    let all = edges(record);
    let tables: Vec<String> = saved
        .differs
        .iter()
        .filter_map(|one| match one {
            Difference::Row { table, .. } => Some(table.clone()),
            _ => None,
        })
        .collect();
    let on_cycle = if saved.cycle.is_empty() {
        Vec::new()
    } else {
        cycle(&all, &tables).unwrap_or_default()
    };
    let mut out = waits(saved);
    let view = |edge: &Edge, cycle| EdgeView {
        from: edge.from_step,
        to: edge.to_step,
        words: said(record, edge),
        cycle,
    };
    let shown = |edge: &&Edge| {
        !on_cycle.contains(edge)
            && matters.contains(&edge.from_step)
            && matters.contains(&edge.to_step)
    };
    out.extend(on_cycle.iter().map(|edge| view(edge, true)));
    out.extend(
        all.iter()
            .filter(shown)
            .take(MOST_EDGES)
            .map(|edge| view(edge, false)),
    );
    out
}

/// Of a deadlock: who asks for what the other holds. That is its circle.
fn waits(saved: &Saved) -> Vec<EdgeView> {
    let record = &saved.record;
    if saved.kind != Kind::Deadlock {
        return Vec::new();
    }
    let spans = spans(record);
    let steps = record.steps.iter().enumerate();
    let asking = steps.filter(|(_, step)| {
        let refused = step
            .error
            .as_ref()
            .is_some_and(|error| error.code == "40P01");
        refused || !step.blocked_by.is_empty()
    });
    asking
        .filter_map(|(n, step)| {
            let wanted = step.accesses.iter().filter(|access| access.write);
            let held = wanted
                .filter_map(|access| holder(record, &spans, n, access))
                .max()?;
            let (who, whose) = (
                words::name(record, step.actor),
                words::name(record, record.steps[held].actor),
            );
            Some(EdgeView {
                from: n,
                to: held,
                words: format!(
                    "{who} asks (step {}) for what {whose} holds since step {}.",
                    n + 1,
                    held + 1
                ),
                cycle: true,
            })
        })
        .collect()
}

/// The step of another transaction, still open then, that wrote there.
fn holder(record: &Record, spans: &[Span], n: usize, wanted: &Access) -> Option<usize> {
    let actor = usize::from(record.steps[n].actor.0);
    let open = spans
        .iter()
        .filter(|tx| tx.actor != actor && tx.end.is_none_or(|end| end > n));
    let same = |access: &Access| {
        access.write
            && access.table == wanted.table
            && (access.row == wanted.row || access.row.is_none())
    };
    open.flat_map(|tx| &tx.steps)
        .copied()
        .filter(|held| *held < n && record.steps[*held].blocked_by.is_empty())
        .filter(|held| record.steps[*held].accesses.iter().any(same))
        .max()
}

fn said(record: &Record, edge: &Edge) -> String {
    let (from, to) = (words::name(record, edge.from), words::name(record, edge.to));
    let (a, b) = (edge.from_step + 1, edge.to_step + 1);
    let what = match &edge.row {
        Some(row) => format!("{} {row}", edge.table),
        None => edge.table.clone(),
    };
    match edge.kind {
        Dependency::Rw => format!(
            "{from} read {what} (step {a}) without what {to} wrote there (step {b}): {from} comes before {to}."
        ),
        Dependency::Wr => format!(
            "{to} read {what} (step {b}) with what {from} had written there (step {a}): {from} comes before {to}."
        ),
        Dependency::Ww => format!(
            "{to} overwrote {what} (step {b}), which {from} had written (step {a}): {from} comes before {to}."
        ),
    }
}

fn orders(saved: &Saved) -> Vec<OrderView> {
    let views = |differs: &[Difference]| differs.iter().map(differ).collect();
    if saved.orders.is_empty() && !saved.differs.is_empty() {
        return vec![OrderView {
            order: saved.nearest.clone(),
            differs: views(&saved.differs),
            more: 0,
        }];
    }
    saved
        .orders
        .iter()
        .map(|one| OrderView {
            order: one.order.clone(),
            differs: views(&one.differs),
            more: one.more,
        })
        .collect()
}

fn differ(difference: &Difference) -> DifferView {
    match difference {
        Difference::Row {
            table,
            found,
            serial,
        } => DifferView {
            place: table.clone(),
            asked: String::new(),
            found: found.clone(),
            serial: serial.clone(),
        },
        Difference::Reply {
            actor,
            request,
            found,
            serial,
        } => DifferView {
            place: actor.clone(),
            asked: words::cut(&words::one_line(request), 80),
            found: Some(found.clone()),
            serial: Some(serial.clone()),
        },
        Difference::References { place } => DifferView {
            place: place.clone(),
            asked: String::new(),
            found: Some("generated values belong to other rows".to_owned()),
            serial: None,
        },
    }
}

/// What the actors were told; statements of SQL actors say it in their steps.
fn replies(record: &Record) -> Vec<Told> {
    let named = record.actors.iter().zip(&record.replies);
    named
        .flat_map(|(actor, replies)| replies.iter().map(move |reply| (actor, reply)))
        .filter_map(|(actor, reply)| {
            let said = match reply {
                Reply::Http { status, body, .. } => format!("{status} {body}"),
                Reply::NoAnswer { error, .. } => format!("no answer: {error}"),
                Reply::Command { status, output, .. } => format!("exit {status}\n{output}"),
                Reply::Sql { .. } => return None,
            };
            Some(Told {
                actor: actor.clone(),
                asked: words::asked(reply),
                said: words::cut(said.trim_end(), LONGEST_REPLY),
                failed: reply.has_failed(),
            })
        })
        .collect()
}

fn stuck(record: &Record) -> Vec<String> {
    let End::Stuck(waits) = &record.end else {
        return Vec::new();
    };
    let said = waits
        .iter()
        .map(|(actor, what)| format!("{} waits for {what}.", words::name(record, *actor)));
    said.collect()
}
