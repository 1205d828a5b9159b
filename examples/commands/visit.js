// Counts a visit, in a table that it makes if it is missing, and prints how many there were.
//
// VISITS_VARIANT=racy (the default) works statement by statement; VISITS_VARIANT=cured does all of it in one
// transaction, behind a lock.
import pg from "pg";

const cured = process.env.VISITS_VARIANT === "cured";

async function makeTable(db) {
  await db.query("create table if not exists visits (page text primary key, n integer not null)");
  await db.query("insert into visits (page, n) values ('home', 0) on conflict (page) do nothing");
}

async function count(db) {
  const { n } = (await db.query("select n from visits where page = 'home'")).rows[0];
  await db.query("update visits set n = $1 where page = 'home'", [n + 1]);
  return n + 1;
}

async function visit(db) {
  if (!cured) await makeTable(db);
  await db.query("begin");
  if (cured) {
    await db.query("select pg_advisory_xact_lock(1)");
    await makeTable(db);
  }
  const n = await count(db);
  await db.query("commit");
  return n;
}

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
const db = await pool.connect();
console.log(`visit ${await visit(db)}`);
db.release();
await pool.end();
