// Orders COUNT tasks of graphile-worker, does them as its manual says (`run`), and prints how many seconds it took.
// node graphile.mjs COUNT CONCURRENCY EFFECT, with DATABASE_URL; EFFECT is a statement for each task, or empty.

import { setTimeout as rest } from "node:timers/promises";
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";

const [count, concurrency, effect] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]];
const pgPool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: concurrency + 2 });
const logger = new Logger(() => () => {});

const utils = await makeWorkerUtils({ pgPool, logger });
await utils.migrate();
await pgPool.query("select graphile_worker.add_job('work', '{}') from generate_series(1, $1)", [count]);
await pgPool.query("analyze");

async function work(_payload, helpers) {
  if (effect) {
    await helpers.query(effect);
  }
}

const begun = process.hrtime.bigint();
const runner = await run({ pgPool, concurrency, logger, noHandleSignals: true, taskList: { work } });
const left = "select exists (select from graphile_worker.jobs) as any";
while ((await pgPool.query(left)).rows[0].any) {
  await rest(10);
}
console.log(Number(process.hrtime.bigint() - begun) / 1e9);
await runner.stop();
await utils.release();
await pgPool.end();
