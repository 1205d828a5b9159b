//! One database of a lab, with what is known of it: catalogue, ledger of who wrote what, and questions to the server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use deadheat_explore::Actor;
use deadheat_gate::{Ran, TxStatus};
use deadheat_sandbox::{Database, Written, keep_here};
use deadheat_sql::{Analyst, Catalog, Footprint, Isolation, Ledger};
use tokio_postgres::{SimpleQueryMessage, Statement};

use crate::conn::Work;
use crate::error::{Trouble, in_words};
use crate::record::Table;
use crate::touched::Touched;

/// Which of the given server processes wait for locks, and for whom; a serializable, deferrable transaction waits for
/// a safe snapshot, which is no lock.
const BLOCKING: &str = "select pid, pg_blocking_pids(pid) || pg_safe_snapshot_blocking_pids(pid) \
                        from unnest($1::int4[]) as asked(pid)";

/// A server that has not said after this time who waits for whom will not say it.
const PATIENCE: Duration = Duration::from_mins(1);

/// All tables that a user may have made, with the name under which they are shown.
const ALL_TABLES: &str = "select c.oid, c.oid::regclass::text from pg_class c join pg_namespace n \
                          on n.oid = c.relnamespace where c.relkind in ('r', 'm') and n.nspname not in \
                          ('pg_catalog', 'information_schema', 'deadheat') and n.nspname !~ '^pg_' order by 2";

/// How many sequences there are; some may be left where they are, but none that is moved is missing here.
const ALL_SEQUENCES: &str = "select count(*) from pg_class where relkind = 'S'";

/// Before a look at a table. Who waits for a lock here would wait for actors that wait for the look to end.
const LOOK: &str =
    "begin isolation level read committed read only; set local lock_timeout = '50ms';";
/// Tables with more rows are not looked at.
const MOST_ROWS: usize = 200;

/// How far the first sequence is moved on, so that generated values show themselves.
pub const FIRST_OFFSET: i64 = 1009;
/// How much further each next sequence is moved.
pub const NEXT_OFFSET: i64 = 7;

/// A database and what the lab knows of it.
#[allow(clippy::struct_excessive_bools)] // independent facts about one database
pub(crate) struct Base {
    /// Its name in the scenario; empty for the only one.
    pub label: String,
    pub database: Database,
    /// Whether the server is a private one: its processes may be signalled.
    pub ours: bool,
    pub analyst: Analyst,
    pub ledger: Ledger,
    pub probe: Option<Arc<str>>,
    /// Whether a statement was seen that the parse does not explain.
    pub ask_always: bool,
    /// Stamp of the schema at the start of every run.
    pub stamp: u64,
    /// Whether something else than queries and changes was run since the database was put back.
    utility: bool,
    sequences: usize,
    /// The level that a cure has made the default.
    pub raised: Option<Isolation>,
    /// Names of the tables by oid.
    names: BTreeMap<u32, String>,
    /// What every run starts from.
    start: BTreeMap<String, Table>,
    blocking: Option<Statement>,
    /// Whether every row is where it was at the start of the run before.
    pub exact: bool,
}

impl Base {
    /// Takes over a database; what every run starts from may still be missing in it.
    pub fn new(label: &str, ours: bool, database: Database) -> Self {
        let analyst = Analyst::new(Catalog::default());
        Self {
            label: label.to_owned(),
            database,
            ours,
            analyst,
            ledger: Ledger::new(),
            probe: None,
            ask_always: false,
            stamp: 0,
            utility: false,
            sequences: 0,
            raised: None,
            names: BTreeMap::new(),
            start: BTreeMap::new(),
            blocking: None,
            exact: false,
        }
    }

    /// From here on, what the database holds now is what every run starts from.
    pub async fn take_as_start(&mut self) -> Result<(), Trouble> {
        if self.ours {
            let control = self.database.control();
            let asked = control.query_one("select pg_backend_pid()", &[]).await?;
            keep_here(asked.get(0));
        }
        let mut catalog = self.database.snapshot().await?;
        if let Some(level) = self.raised {
            // The session that asks is older than the setting.
            level.name().clone_into(&mut catalog.isolation);
        }
        self.stamp = self.database.schema_stamp().await?;
        self.names = self.table_names().await?;
        let counted = self
            .database
            .control()
            .query_one(ALL_SEQUENCES, &[])
            .await?;
        self.sequences = usize::try_from(counted.get::<_, i64>(0)).unwrap_or(0);
        self.start = self.all_tables().await?;
        self.exact = false;
        self.analyst = Analyst::new(catalog);
        self.probe = self.analyst.probe();
        self.ledger = Ledger::new();
        Ok(())
    }

    /// Drops the database; returns its label.
    pub async fn retire(self) -> String {
        if let Err(error) = self.database.drop().await {
            tracing::warn!(%error, "a scratch database could not be dropped");
        }
        self.label
    }

    /// The database's name on the server.
    pub fn name(&self) -> &str {
        self.database.name()
    }

    /// Whether the batch only reads tables that nobody is known to write, as of the latest commits: then it can run at
    /// any time. The first read of a frozen snapshot is never one.
    pub fn is_incidental(&self, index: usize, session: u32, work: &Work, known: &Touched) -> bool {
        let plain = self.ledger.isolation(&self.analyst, session) == Isolation::ReadCommitted;
        plain
            && !work.batch.flush
            && work.parsed.iter().all(|(parsed, _)| {
                let reads = self.analyst.reads(parsed);
                reads.is_some_and(|tables| !known.has_any(index, &tables))
            })
    }

    /// Whether the batch reads one of these tables.
    pub fn reads_any(&self, work: &Work, tables: &BTreeSet<String>) -> bool {
        let named = |oid: &u32| {
            self.names
                .get(oid)
                .is_some_and(|name| tables.contains(name))
        };
        work.parsed.iter().any(|(parsed, _)| {
            let reads = self.analyst.reads(parsed);
            reads.is_some_and(|oids| oids.iter().any(named))
        })
    }

    /// What this run has written so far.
    pub fn touched(&self, index: usize, touched: &mut Touched) {
        let written = self.ledger.written();
        let all = written.everything || written.schema || self.utility;
        touched.add_tables(index, &written.tables, all);
        touched.add(&Touched::default().and_serializable(written.serializable));
    }

    /// How many sequences it has, those of identity columns included.
    pub fn sequences(&self) -> usize {
        self.sequences
    }

    /// Isolation level of the session's transaction.
    pub fn isolation(&self, session: u32) -> String {
        self.ledger
            .isolation(&self.analyst, session)
            .name()
            .to_owned()
    }

    /// Books a statement that has run; returns what it touched. Where its values `vary` from run to run, they are not
    /// taken to name rows.
    pub fn work(
        &mut self,
        session: u32,
        work: &Work,
        before: TxStatus,
        ran: &Ran,
        vary: bool,
    ) -> Footprint {
        self.utility |= work.is_utility();
        let facts = Work::facts(before, ran);
        if vary {
            let blind: Vec<_> = work
                .parsed
                .iter()
                .map(|(parsed, _)| (Arc::clone(parsed), Vec::new()))
                .collect();
            return self.ledger.work(&self.analyst, session, &blind, &facts);
        }
        self.ledger
            .work(&self.analyst, session, &work.parsed, &facts)
    }

    /// What an attempt touches that waits.
    pub fn waiting(&mut self, session: u32, work: &Work, who: (Actor, &[Actor])) -> Footprint {
        self.ledger
            .waiting(&self.analyst, session, &work.parsed, who)
    }

    /// Which of the server processes wait, and for which others.
    pub async fn blocking(&mut self, pids: &[i32]) -> Result<Vec<(i32, Vec<i32>)>, Trouble> {
        let control = self.database.control();
        let statement = match &self.blocking {
            Some(statement) => statement.clone(),
            None => {
                let statement = control.prepare(BLOCKING).await?;
                self.blocking.insert(statement).clone()
            }
        };
        let asked = tokio::time::timeout(PATIENCE, control.query(&statement, &[&pids])).await;
        let rows = asked.map_err(|_| Trouble::Silent {
            seconds: PATIENCE.as_secs(),
        })??;
        Ok(rows
            .iter()
            .map(|row| (row.get::<_, i32>(0), row.get::<_, Vec<i32>>(1)))
            .filter(|(_, by)| !by.is_empty())
            .collect())
    }

    /// Whether the server process is there.
    pub async fn is_alive(&self, pid: i32) -> Result<bool, Trouble> {
        let asked = "select from pg_stat_activity where pid = $1";
        Ok(!self
            .database
            .control()
            .query(asked, &[&pid])
            .await?
            .is_empty())
    }

    /// Ends the session of that server process, whatever it is doing.
    pub async fn terminate(&self, pid: i32) -> Result<(), Trouble> {
        let ask = "select pg_terminate_backend($1)";
        self.database.control().execute(ask, &[&pid]).await?;
        Ok(())
    }

    /// What the runs since the last call of [`Base::put_back`] wrote.
    pub fn written(&self) -> Written {
        let written = self.ledger.written();
        if written.everything || written.schema {
            Written::Everything
        } else {
            Written::Tables(written.tables)
        }
    }

    /// Puts back what was written; `exactly`: each row to its place, and the first time of all tables. Returns `false`
    /// when the schema changed: then only a fresh clone helps.
    pub async fn put_back(&mut self, advance: bool, exactly: bool) -> Result<bool, Trouble> {
        let written = if exactly && !self.exact {
            Written::Everything
        } else {
            self.written()
        };
        let written_all = self.ledger.written();
        if (written_all.schema || written_all.everything)
            && self.database.schema_stamp().await? != self.stamp
        {
            return Ok(false);
        }
        self.exact = exactly;
        let reset = if exactly {
            self.database.reset_exactly(&written).await
        } else {
            self.database.reset(&written).await
        };
        match reset {
            Err(deadheat_sandbox::Error::CopyInstead(why)) => {
                tracing::debug!(why, "rows could not be put back");
                return Ok(false);
            }
            done => done?,
        }
        if advance {
            self.database
                .advance_sequences(FIRST_OFFSET, NEXT_OFFSET)
                .await?;
        }
        self.ledger = Ledger::new();
        self.utility = false;
        Ok(true)
    }

    /// Final rows of the tables that the run has changed. Where runs start from may differ from lab to lab (a salted
    /// password, the time of a login): what was not changed says nothing, then.
    pub async fn tables(&self) -> Result<BTreeMap<String, Table>, Trouble> {
        let mut tables = match self.written() {
            Written::Tables(oids) => {
                let names = oids.iter().filter_map(|oid| self.names.get(oid));
                self.read(names.cloned().collect()).await?
            }
            Written::Everything => self.all_tables().await?,
        };
        tables.retain(|name, table| {
            self.start
                .get(name)
                .is_none_or(|start| !start.same_rows(table))
        });
        Ok(tables)
    }

    /// What is committed of the tables that are known to be written, without waiting for anybody's lock. Tables with more
    /// rows than people look through are left out.
    pub async fn rows_now(&self, index: usize, known: &Touched) -> BTreeMap<String, Table> {
        let mut seen = BTreeMap::new();
        for (oid, name) in &self.names {
            if !known.has_any(index, &BTreeSet::from([*oid])) {
                continue;
            }
            let question = format!(
                "{LOOK} select * from {name} limit {}; commit",
                MOST_ROWS + 1
            );
            let control = self.database.control();
            match control.simple_query(&question).await {
                Ok(messages) => {
                    let table = results(messages).pop().unwrap_or_default();
                    if table.rows.len() <= MOST_ROWS {
                        seen.insert(format!("{}{name}", self.prefix()), table);
                    }
                }
                Err(error) => {
                    tracing::debug!(name, error = in_words(&error), "a table was not looked at");
                    let _ = control.simple_query("rollback").await;
                }
            }
        }
        seen
    }

    /// Rows of all tables as they are now.
    pub async fn all_tables(&self) -> Result<BTreeMap<String, Table>, Trouble> {
        let names = self.table_names().await?;
        self.read(names.into_values().collect()).await
    }

    /// Names of all tables by oid, as the server would write them.
    async fn table_names(&self) -> Result<BTreeMap<u32, String>, Trouble> {
        let rows = self.database.control().query(ALL_TABLES, &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Names of the tables at the start of every run by oid, as records have them.
    pub fn shown_names(&self) -> impl Iterator<Item = (u32, String)> {
        let shown = |(oid, name): (&u32, &String)| (*oid, format!("{}{name}", self.prefix()));
        self.names.iter().map(shown)
    }

    /// Before the names of tables, where there are several databases.
    fn prefix(&self) -> String {
        if self.label.is_empty() {
            String::new()
        } else {
            format!("{}:", self.label)
        }
    }

    async fn read(&self, names: Vec<String>) -> Result<BTreeMap<String, Table>, Trouble> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let query: Vec<String> = names
            .iter()
            .map(|name| format!("select * from {name}"))
            .collect();
        let messages = self
            .database
            .control()
            .simple_query(&query.join("; "))
            .await?;
        let prefix = self.prefix();
        Ok(names
            .into_iter()
            .map(|name| format!("{prefix}{name}"))
            .zip(results(messages))
            .collect())
    }

    /// Asks one question of the scenario (an invariant); returns the first cell.
    pub async fn ask(&self, question: &str) -> Result<Option<String>, Refused> {
        let asked = self.database.control().simple_query(question).await;
        let messages = asked.map_err(|error| Refused {
            words: in_words(&error),
            // Class 42: the grammar, or a name that is not there.
            misspelt: error
                .code()
                .is_some_and(|state| state.code().starts_with("42")),
        })?;
        let last = results(messages).pop().unwrap_or_default();
        Ok(last
            .rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next()?))
    }
}

/// A question of the scenario that was not answered.
pub struct Refused {
    /// The server's words.
    pub words: String,
    /// Whether the question is no SQL, or not about this database.
    pub misspelt: bool,
}

/// The result sets of a simple query, as text.
pub(crate) fn results(messages: Vec<SimpleQueryMessage>) -> Vec<Table> {
    let mut results: Vec<Table> = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => results.push(Table {
                columns: columns.iter().map(|one| one.name().to_owned()).collect(),
                rows: Vec::new(),
            }),
            SimpleQueryMessage::Row(row) => {
                let cells = (0..row.len())
                    .map(|index| row.get(index).map(str::to_owned))
                    .collect();
                if let Some(result) = results.last_mut() {
                    result.rows.push(cells);
                }
            }
            _ => {}
        }
    }
    results
}
