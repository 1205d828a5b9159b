//! Sees whether a run changed the schema.
//!
//! Sums of hashes over the catalogues' rows for the user's objects, without what changes by itself: file numbers
//! (TRUNCATE), statistics (ANALYZE, VACUUM), temporary objects, our own schema.

use crate::database::Database;
use crate::error::Error;

/// Namespaces that do not count: the system's TOAST tables, temporary ones, ours.
const STAMP: &str = "WITH aside AS MATERIALIZED (SELECT oid FROM pg_namespace WHERE nspname IN ('pg_toast', 'deadheat') \
        OR nspname LIKE 'pg\\_temp\\_%' OR nspname LIKE 'pg\\_toast\\_temp\\_%'), \
    class AS MATERIALIZED (SELECT * FROM pg_class WHERE oid >= 16384 AND relnamespace NOT IN (SELECT oid FROM aside)), \
    kind AS MATERIALIZED (SELECT * FROM pg_type WHERE oid >= 16384 AND typnamespace NOT IN (SELECT oid FROM aside)) \
    SELECT concat_ws(' ', \
    (SELECT sum(hashtextextended((c.oid, relname, relnamespace, relowner, relkind, relpersistence, relnatts, relchecks, \
        relrowsecurity, relforcerowsecurity, relispartition, reloptions, relacl, reltype, relpartbound IS NULL, \
        CASE WHEN relkind = 'm' THEN relfilenode END)::text, 0)::numeric) FROM class c), \
    (SELECT sum(hashtextextended((a.attrelid, a.attnum, a.xmin)::text, 0)::numeric) \
        FROM pg_attribute a JOIN class c ON c.oid = a.attrelid WHERE a.attrelid >= 16384 AND a.attnum > 0), \
    (SELECT sum(hashtextextended((oid, typname, typnamespace, typtype, typnotnull, typdefault)::text, 0)::numeric) \
        FROM kind), \
    (SELECT sum(hashtextextended((indexrelid, indisvalid, indisready, indisunique)::text, 0)::numeric) \
        FROM pg_index JOIN class c ON c.oid = indexrelid WHERE indexrelid >= 16384), \
    (SELECT sum(hashtextextended((t.oid, t.tgenabled, t.tgname)::text, 0)::numeric) \
        FROM pg_trigger t JOIN class c ON c.oid = t.tgrelid), \
    (SELECT sum(hashtextextended((r.oid, r.ev_enabled, CASE r.ev_enabled WHEN 'O' THEN r.xmin END)::text, 0)::numeric) \
        FROM pg_rewrite r WHERE r.oid >= 16384), \
    (SELECT sum(hashtextextended((k.oid, k.conname, k.condeferrable, k.condeferred, k.convalidated)::text, 0)::numeric) \
        FROM pg_constraint k WHERE k.oid >= 16384 AND k.connamespace NOT IN (SELECT oid FROM aside)), \
    (SELECT sum(hashtextextended((d.oid, d.xmin)::text, 0)::numeric) \
        FROM pg_attrdef d JOIN class c ON c.oid = d.adrelid), \
    (SELECT sum(hashtextextended((oid, xmin)::text, 0)::numeric) FROM pg_proc WHERE oid >= 16384), \
    (SELECT sum(hashtextextended((e.oid, enumlabel, enumsortorder)::text, 0)::numeric) FROM pg_enum e), \
    (SELECT sum(hashtextextended((seqrelid, s.xmin)::text, 0)::numeric) \
        FROM pg_sequence s JOIN class c ON c.oid = seqrelid), \
    (SELECT sum(hashtextextended((inhrelid, inhparent)::text, 0)::numeric) FROM pg_inherits), \
    (SELECT sum(hashtextextended((oid, xmin)::text, 0)::numeric) FROM pg_policy), \
    (SELECT sum(hashtextextended((oid, xmin)::text, 0)::numeric) FROM pg_extension), \
    (SELECT sum(hashtextextended((oid, xmin)::text, 0)::numeric) FROM pg_event_trigger), \
    (SELECT sum(hashtextextended((oid, nspname, nspowner, nspacl)::text, 0)::numeric) FROM pg_namespace \
        WHERE oid >= 16384 AND oid NOT IN (SELECT oid FROM aside)), \
    (SELECT sum(hashtextextended((setrole, setconfig)::text, 0)::numeric) FROM pg_db_role_setting \
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())), \
    (SELECT sum(hashtextextended(oid::text, 0)::numeric) FROM pg_largeobject_metadata))";

impl Database {
    /// A number that changes when the schema does: tables, columns, types, functions, triggers, rules,
    /// constraints, policies, settings of the database, the content of materialised views. Putting tables
    /// back, TRUNCATE and temporary tables do not change it. To be compared within one database.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn schema_stamp(&self) -> Result<u64, Error> {
        let doing = || Error::sql("look for schema changes");
        let statement = self.stamp_statement().await?;
        let row = self
            .control()
            .query_one(&statement, &[])
            .await
            .map_err(doing())?;
        let sums: String = row.get(0);
        Ok(sums.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        }))
    }

    async fn stamp_statement(&self) -> Result<tokio_postgres::Statement, Error> {
        self.stamp
            .get_or_try_init(|| self.control().prepare(STAMP))
            .await
            .cloned()
            .map_err(Error::sql("look for schema changes"))
    }
}
