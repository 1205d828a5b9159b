//! Remembers where every run starts: all rows and sequences, kept inside the database itself.
//!
//! The rows of each table are kept in physical order in an unlogged table of the schema `deadheat`. They are
//! put back in that order, so that a query without ORDER BY sees the same rows in the same order in every run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use deadheat_sql::Catalog;
use tokio_postgres::Client;

use crate::admin::literal;
use crate::catalog;
use crate::database::Database;
use crate::error::Error;
use crate::reset::Upkeep;

/// The schema that keeps the rows.
pub(crate) const SCHEMA: &str = "deadheat";

/// What says that the schema is ours.
const SCHEMA_MARK: &str = "rows that runs start from, kept by deadheat";

/// What is known about the kept tables. The rows themselves are on the server.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) tables: BTreeMap<u32, Kept>,
    /// Direct children (partitions too) of each parent.
    pub(crate) children: BTreeMap<u32, Vec<u32>>,
    /// What may be named as written but needs nothing: TOAST tables, partitioned tables, our own.
    pub(crate) hollow: BTreeSet<u32>,
    pub(crate) sequences: usize,
}

/// One kept table.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// Schema and name as SQL writes them.
    pub(crate) name: String,
    /// Columns that can be written, as SQL writes them, with commas between.
    pub(crate) columns: String,
    /// Statements that silence triggers and rules which fire even for replicas, and those that undo it.
    pub(crate) silence: String,
    pub(crate) speak: String,
    /// Whether another table's foreign key points here.
    pub(crate) referenced: bool,
    /// Whether it has triggers of the user.
    pub(crate) triggers: bool,
    pub(crate) rows: u64,
}

impl Database {
    /// Remembers the rows of all user tables and all sequences as what [`Database::reset`] returns to, and says
    /// what the database holds. Takes the place of an earlier snapshot.
    ///
    /// # Errors
    /// When the server refuses, or the user's own tables are in a schema named `deadheat`.
    pub async fn snapshot(&mut self) -> Result<Catalog, Error> {
        let client = self.control();
        let catalog = catalog::read(client).await?;
        let taken = match take(client).await {
            Ok(taken) => taken,
            Err(error) => {
                let _ = client.batch_execute("ROLLBACK").await;
                return Err(error);
            }
        };
        self.snapshot = Some(std::sync::Arc::new(taken));
        self.upkeep = std::sync::Mutex::new(Upkeep::default());
        Ok(catalog)
    }
}

async fn take(client: &Client) -> Result<Snapshot, Error> {
    let doing = || Error::sql("take a snapshot");
    client
        .batch_execute(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE; SET LOCAL synchronize_seqscans = off; \
             SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL row_security = off; \
             SET LOCAL client_min_messages = error",
        )
        .await
        .map_err(doing())?;
    make_room(client).await?;
    let mut tables = kept_tables(client).await?;
    for (oid, kept) in &mut tables {
        let Kept { name, columns, .. } = kept;
        let copy =
            format!("CREATE UNLOGGED TABLE {SCHEMA}.t{oid} AS SELECT {columns} FROM ONLY {name}");
        kept.rows = client
            .execute(&copy, &[])
            .await
            .map_err(Error::sql(format!("keep the rows of {name}")))?;
    }
    keep_sizes(client).await?;
    let sequences = keep_sequences(client).await?;
    let children = children(client).await?;
    let hollow = hollow(client).await?;
    client.batch_execute("COMMIT").await.map_err(doing())?;
    // The planner has to know how many rows it will put back.
    let mut analyze = String::new();
    for oid in tables.keys() {
        let _ = write!(analyze, "ANALYZE {SCHEMA}.t{oid};");
    }
    client.batch_execute(&analyze).await.map_err(doing())?;
    Ok(Snapshot {
        tables,
        children,
        hollow,
        sequences,
    })
}

/// An empty schema of ours.
async fn make_room(client: &Client) -> Result<(), Error> {
    let doing = || Error::sql("make the schema `deadheat` for the snapshot");
    let query = "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = $1";
    if let Some(row) = client.query_opt(query, &[&SCHEMA]).await.map_err(doing())? {
        let mark: Option<String> = row.get(0);
        if mark.as_deref() != Some(SCHEMA_MARK) {
            let why =
                "a schema named `deadheat` is there already, and is not ours: rename it".to_owned();
            return Err(Error::Unfit {
                server: "the database".to_owned(),
                why,
            });
        }
        client
            .batch_execute(&format!("DROP SCHEMA {SCHEMA} CASCADE"))
            .await
            .map_err(doing())?;
    }
    let make = format!(
        "CREATE SCHEMA {SCHEMA}; COMMENT ON SCHEMA {SCHEMA} IS {}",
        literal(SCHEMA_MARK)
    );
    client.batch_execute(&make).await.map_err(doing())
}

/// Relations of the user: not the system's, not temporary, not ours.
pub(crate) const USER_SCHEMAS: &str = "SELECT oid FROM pg_namespace WHERE nspname NOT IN \
     ('pg_catalog', 'information_schema', 'pg_toast', 'deadheat') \
     AND nspname NOT LIKE 'pg\\_temp\\_%' AND nspname NOT LIKE 'pg\\_toast\\_temp\\_%'";

const KEPT: &str = "SELECT c.oid, \
    format('%I.%I', n.nspname, c.relname), \
    (SELECT coalesce(string_agg(quote_ident(attname), ', ' ORDER BY attnum), '') FROM pg_attribute \
      WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''), \
    ARRAY(SELECT format('TRIGGER %I', tgname) FROM pg_trigger \
      WHERE tgrelid = c.oid AND NOT tgisinternal AND tgenabled IN ('A', 'R') ORDER BY 1), \
    ARRAY(SELECT format('RULE %I', rulename) FROM pg_rewrite \
      WHERE ev_class = c.oid AND ev_enabled IN ('A', 'R') ORDER BY 1), \
    EXISTS (SELECT 1 FROM pg_constraint WHERE contype = 'f' AND confrelid = c.oid), \
    EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal), \
    ARRAY(SELECT tgenabled::text FROM pg_trigger \
      WHERE tgrelid = c.oid AND NOT tgisinternal AND tgenabled IN ('A', 'R') ORDER BY format('TRIGGER %I', tgname)), \
    ARRAY(SELECT ev_enabled::text FROM pg_rewrite \
      WHERE ev_class = c.oid AND ev_enabled IN ('A', 'R') ORDER BY format('RULE %I', rulename)) \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.oid IN ";

async fn kept_tables(client: &Client) -> Result<BTreeMap<u32, Kept>, Error> {
    let query = format!("{KEPT} ({USER_SCHEMAS}) ORDER BY c.oid");
    let rows = client
        .query(&query, &[])
        .await
        .map_err(Error::sql("list the tables"))?;
    let mut tables = BTreeMap::new();
    for row in rows {
        let name: String = row.get(1);
        let loud: Vec<String> = [row.get::<_, Vec<String>>(3), row.get(4)].concat();
        let how: Vec<String> = [row.get::<_, Vec<String>>(7), row.get(8)].concat();
        let (mut silence, mut speak) = (String::new(), String::new());
        for (one, when) in loud.iter().zip(how) {
            let when = if when == "A" { "ALWAYS" } else { "REPLICA" };
            let _ = write!(silence, "ALTER TABLE {name} DISABLE {one};");
            let _ = write!(speak, "ALTER TABLE {name} ENABLE {when} {one};");
        }
        let kept = Kept {
            columns: row.get(2),
            silence,
            speak,
            referenced: row.get(5),
            triggers: row.get(6),
            rows: 0,
            name,
        };
        tables.insert(row.get(0), kept);
    }
    Ok(tables)
}

/// What the planner knows of the size of the tables and of their indexes.
async fn keep_sizes(client: &Client) -> Result<(), Error> {
    let keep = format!(
        "CREATE UNLOGGED TABLE {SCHEMA}.sizes AS SELECT c.oid AS id, coalesce(i.indrelid, c.oid) AS of, \
           c.relpages AS pages, c.reltuples AS tuples FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid \
         WHERE c.relkind IN ('r', 'i') AND c.relpersistence <> 't' AND c.relnamespace IN ({USER_SCHEMAS})"
    );
    client
        .batch_execute(&keep)
        .await
        .map_err(Error::sql("keep the sizes of the tables"))
}

async fn keep_sequences(client: &Client) -> Result<usize, Error> {
    let doing = || Error::sql("keep the sequences");
    let query = format!(
        "SELECT format('SELECT %s::oid, last_value, is_called, %s::int8, %s::int8, %s::int8 FROM %I.%I', \
           c.oid, s.seqincrement, s.seqmin, s.seqmax, n.nspname, c.relname) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence s ON s.seqrelid = c.oid \
         WHERE c.relpersistence <> 't' AND n.oid IN ({USER_SCHEMAS}) ORDER BY c.oid"
    );
    let found = client.query(&query, &[]).await.map_err(doing())?;
    let mut statement = format!(
        "CREATE UNLOGGED TABLE {SCHEMA}.sequences (id oid, value int8, called bool, step int8, low int8, high int8);"
    );
    for row in &found {
        let _ = write!(
            statement,
            "INSERT INTO {SCHEMA}.sequences {};",
            row.get::<_, String>(0)
        );
    }
    client.batch_execute(&statement).await.map_err(doing())?;
    Ok(found.len())
}

async fn children(client: &Client) -> Result<BTreeMap<u32, Vec<u32>>, Error> {
    let query = "SELECT inhparent, inhrelid FROM pg_inherits ORDER BY 1, 2";
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for row in client
        .query(query, &[])
        .await
        .map_err(Error::sql("list the partitions"))?
    {
        children.entry(row.get(0)).or_default().push(row.get(1));
    }
    Ok(children)
}

async fn hollow(client: &Client) -> Result<BTreeSet<u32>, Error> {
    let query = "SELECT oid FROM pg_class WHERE relkind IN ('p', 't') OR relpersistence = 't' \
                 OR relnamespace = 'deadheat'::regnamespace";
    let rows = client
        .query(query, &[])
        .await
        .map_err(Error::sql("list the tables"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
