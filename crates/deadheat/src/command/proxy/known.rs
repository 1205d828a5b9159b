//! What statements touch: catalogues, read once a database and again when its schema has changed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use deadheat_gate::{Batch, Ran, TxStatus};
use deadheat_sql::{Analyst, Catalog, Facts, Footprint, Ledger};

use super::target::Target;

/// How long a catalogue may take to be read.
const LONGEST: Duration = Duration::from_secs(2);
/// How long a catalogue that could not be read again is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of a database.
struct Base {
    analyst: Analyst,
    ledger: Ledger,
    /// Without its catalogue: texts alone are understood.
    blind: bool,
    /// The schema has changed since.
    stale: bool,
    /// When it could not be read again, it is left alone until then.
    not_before: Option<Instant>,
}

/// All databases that clients have come to.
pub(super) struct Known {
    target: Target,
    bases: BTreeMap<String, Base>,
    ended: bool,
}

/// What a statement is, and what it touched.
#[derive(Clone, Debug, Default)]
pub(super) struct Touched {
    /// The same for statements that differ only in values.
    pub shape: u64,
    /// Table, the row if it is only that one, and whether it was written (or locked for writing).
    pub tables: Vec<(String, Option<String>, bool)>,
    /// Why anything may have been touched.
    pub anything: Option<String>,
    /// Whether it certainly only reads.
    pub reads: bool,
}

impl Known {
    pub fn new(target: Target) -> Self {
        Self {
            target,
            bases: BTreeMap::new(),
            ended: false,
        }
    }

    /// What is known is all that will be known.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Makes sure that the database is known; returns what the user should be told.
    pub async fn learn(&mut self, database: &str) -> Option<String> {
        let now = Instant::now();
        let known = self.bases.get_mut(database);
        let left_alone = |base: &Base| base.not_before.is_some_and(|then| now < then);
        let current = known
            .as_deref()
            .is_some_and(|base| !base.stale || left_alone(base));
        if current || self.ended {
            return None;
        }
        // What has passed is told later for this: it must not take long, whatever the server is busy with.
        let read = tokio::time::timeout(LONGEST, self.target.catalog(database)).await;
        let read = read.unwrap_or_else(|_| Err("the server takes too long".to_owned()));
        let (catalog, why) = match (read, known) {
            (Ok(catalog), _) => (catalog, None),
            (Err(_), Some(base)) => {
                // The old one is better than none.
                base.not_before = Some(now + PAUSE);
                return None;
            }
            (Err(why), None) => (Catalog::default(), Some(why)),
        };
        let base = Base {
            analyst: Analyst::new(catalog),
            ledger: Ledger::new(),
            blind: why.is_some(),
            stale: false,
            not_before: None,
        };
        self.bases.insert(database.to_owned(), base);
        why.map(|why| {
            format!(
                "what statements in {database} touch is not known, because its catalogue cannot be read: {why}; \
                 give --to a URL with a user who may"
            )
        })
    }

    /// What the statements of a batch touched, one after the other.
    pub fn touched(
        &mut self,
        database: &str,
        session: u32,
        batch: &Batch,
        ran: &Ran,
    ) -> Vec<Touched> {
        let Some(base) = self.bases.get_mut(database) else {
            return Vec::new();
        };
        let last = batch.statements.len() - 1;
        let mut open = batch.status != TxStatus::Idle;
        let mut all = Vec::new();
        for (at, statement) in batch.statements.iter().enumerate() {
            let parsed = base.analyst.parse(&statement.sql);
            let params = statement.params.iter();
            let bound = [(parsed, params.map(deadheat_gate::Param::text).collect())];
            let done = at == last;
            let open_after = if done {
                ran.status != TxStatus::Idle
            } else {
                true
            };
            // The tags of a simple Query are those of all its statements; in other batches each Execute has its own.
            let tags = if last == 0 {
                &ran.tags[..]
            } else {
                ran.tags.get(at..=at).unwrap_or_default()
            };
            let facts = Facts {
                error: ran
                    .error
                    .as_ref()
                    .filter(|_| done)
                    .map(|error| error.code.as_str()),
                tags,
                probe: None,
                open_before: open,
                open_after,
                isolation: None,
            };
            let footprint = base.ledger.work(&base.analyst, session, &bound, &facts);
            base.stale |= bound[0].0.changes_schema() && ran.error.is_none();
            all.push(in_short(&footprint, &bound[0].0, base.blind));
            open = open_after;
        }
        all
    }

    /// Forgets a session.
    pub fn close(&mut self, database: &str, session: u32) {
        if let Some(base) = self.bases.get_mut(database) {
            let _ = base.ledger.close(session);
        }
    }
}

fn in_short(footprint: &Footprint, parsed: &deadheat_sql::Parsed, blind: bool) -> Touched {
    let tables = footprint.accesses();
    let anything = footprint.unknown().filter(|_| !blind).map(str::to_owned);
    Touched {
        shape: parsed.fingerprint,
        tables,
        anything,
        reads: parsed.shared() && parsed.reads_only(),
    }
}
