//! Reads what a database holds, in one query: the server writes the JSON that [`Catalog`] reads.

use deadheat_sql::Catalog;
use tokio_postgres::Client;

use crate::error::Error;
use crate::snapshot::USER_SCHEMAS;

const TABLES: &str = "SELECT coalesce(jsonb_agg(jsonb_build_object( \
    'oid', c.oid::int8, 'schema', n.nspname, 'name', c.relname, \
    'kind', CASE c.relkind WHEN 'p' THEN 'partitioned' WHEN 'm' THEN 'materialized' WHEN 'f' THEN 'foreign' \
        WHEN 'S' THEN 'sequence' ELSE 'plain' END, \
    'columns', (SELECT coalesce(jsonb_agg(jsonb_build_object( \
        'name', a.attname, 'data_type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull, \
        'default', pg_get_expr(d.adbin, d.adrelid), \
        'generated', CASE WHEN a.attgenerated <> '' THEN 'stored' WHEN a.attidentity = 'a' THEN 'identity-always' \
            WHEN a.attidentity = 'd' THEN 'identity-by-default' ELSE 'no' END, \
        'loose', coalesce(NOT l.collisdeterministic, false)) ORDER BY a.attnum), '[]') \
      FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
      LEFT JOIN pg_collation l ON l.oid = a.attcollation \
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), \
    'unique', (SELECT coalesce(jsonb_agg(jsonb_build_object( \
        'name', x.relname, 'primary', i.indisprimary, 'expression', i.indexprs IS NOT NULL \
            AND 0 = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]), \
        'partial', i.indpred IS NOT NULL, 'deferrable', coalesce(k.condeferrable, false), \
        'initially_deferred', coalesce(k.condeferred, false), \
        'nulls_not_distinct', coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false), \
        'columns', (SELECT coalesce(jsonb_agg(a.attname ORDER BY p.place), '[]') \
            FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY AS p (number, place) \
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.number AND p.number <> 0)) \
        ORDER BY NOT i.indisprimary, x.relname), '[]') \
      FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid \
      LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = c.oid AND k.contype IN ('p', 'u') \
      WHERE i.indrelid = c.oid AND i.indisunique AND i.indislive), \
    'foreign_keys', (SELECT coalesce(jsonb_agg(jsonb_build_object( \
        'name', k.conname, 'parent', k.confrelid::int8, \
        'columns', (SELECT jsonb_agg(a.attname ORDER BY p.place) FROM unnest(k.conkey) WITH ORDINALITY AS p (number, place) \
            JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = p.number), \
        'parent_columns', (SELECT jsonb_agg(a.attname ORDER BY p.place) \
            FROM unnest(k.confkey) WITH ORDINALITY AS p (number, place) \
            JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = p.number), \
        'on_delete', {on_delete}, 'on_update', {on_update}, \
        'deferrable', k.condeferrable, 'initially_deferred', k.condeferred) ORDER BY k.conname, k.oid), '[]') \
      FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f'), \
    'triggers', (SELECT coalesce(jsonb_agg(jsonb_build_object( \
        'name', t.tgname, 'function', fn.nspname || '.' || f.proname, \
        'insert', t.tgtype & 4 <> 0, 'delete', t.tgtype & 8 <> 0, 'update', t.tgtype & 16 <> 0, \
        'truncate', t.tgtype & 32 <> 0, 'deferrable', t.tgdeferrable, \
        'initially_deferred', t.tginitdeferred) ORDER BY t.tgname), '[]') \
      FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid JOIN pg_namespace fn ON fn.oid = f.pronamespace \
      WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'), \
    'rules', EXISTS (SELECT 1 FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'), \
    'row_security', c.relrowsecurity, \
    'indexes', (SELECT coalesce(jsonb_agg(i.indexrelid::int8 ORDER BY i.indexrelid), '[]') \
      FROM pg_index i WHERE i.indrelid = c.oid), \
    'parents', (SELECT coalesce(jsonb_agg(h.inhparent::int8 ORDER BY h.inhseqno), '[]') \
      FROM pg_inherits h WHERE h.inhrelid = c.oid), \
    'exclusion', EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'x'), \
    'checks', (SELECT coalesce(jsonb_agg(e.source ORDER BY e.source), '[]') FROM ( \
        SELECT pg_get_expr(k.conbin, k.conrelid) AS source FROM pg_constraint k \
        WHERE k.conrelid = c.oid AND k.contype = 'c' \
        UNION SELECT pg_get_expr(i.indpred, i.indrelid) FROM pg_index i WHERE i.indrelid = c.oid AND i.indpred IS NOT NULL \
        UNION SELECT pg_get_expr(i.indexprs, i.indrelid) FROM pg_index i \
            WHERE i.indrelid = c.oid AND i.indexprs IS NOT NULL) e) \
    ) ORDER BY c.oid), '[]') \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'm', 'f', 'S') AND c.relpersistence <> 't' AND n.oid IN (SELECT oid FROM schemas)";

const VIEWS: &str = "SELECT coalesce(jsonb_agg(jsonb_build_object( \
    'oid', c.oid::int8, 'schema', n.nspname, 'name', c.relname, 'definition', pg_get_viewdef(c.oid), \
    'rules', EXISTS (SELECT 1 FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN') \
        OR EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgtype & 64 <> 0), \
    'columns', (SELECT coalesce(jsonb_agg(a.attname ORDER BY a.attnum), '[]') FROM pg_attribute a \
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)) ORDER BY c.oid), '[]') \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = 'v' AND c.relpersistence <> 't' AND n.oid IN (SELECT oid FROM schemas)";

const FUNCTIONS: &str = "SELECT coalesce(jsonb_agg(jsonb_build_object( \
    'schema', n.nspname, 'name', p.proname, 'language', l.lanname, \
    'volatility', CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END, \
    'body', CASE WHEN l.lanname IN ('c', 'internal') THEN NULL \
        WHEN p.prosrc = '' AND p.prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid) ELSE p.prosrc END) \
    ORDER BY n.nspname, p.proname, p.oid), '[]') \
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang \
    WHERE n.oid IN (SELECT oid FROM schemas)";

/// Spells what a foreign key does.
fn action(column: &str) -> String {
    format!(
        "CASE {column} WHEN 'r' THEN 'restrict' WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set-null' \
         WHEN 'd' THEN 'set-default' ELSE 'no-action' END"
    )
}

/// Reads the catalogue of the database that `client` is connected to.
pub(crate) async fn read(client: &Client) -> Result<Catalog, Error> {
    let doing = || Error::sql("read the catalogue");
    let tables = TABLES
        .replace("{on_delete}", &action("k.confdeltype"))
        .replace("{on_update}", &action("k.confupdtype"));
    let query = format!(
        "WITH schemas AS MATERIALIZED ({USER_SCHEMAS}) SELECT jsonb_build_object( \
         'tables', ({tables}), 'views', ({VIEWS}), 'functions', ({FUNCTIONS}), \
         'search_path', array_remove(current_schemas(false), 'deadheat'), \
         'isolation', current_setting('default_transaction_isolation'))::text"
    );
    let row = client.query_one(&query, &[]).await.map_err(doing())?;
    let text: String = row.get(0);
    serde_json::from_str(&text).map_err(|error| Error::Io {
        doing: "read the catalogue".to_owned(),
        source: std::io::Error::other(error),
    })
}
