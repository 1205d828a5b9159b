"use strict";

// Functions of a test that deadheat has take turns, with the real program, whose path is in the variable DEADHEAT.

const assert = require("node:assert");
const { mkdtempSync, writeFileSync, rmSync } = require("node:fs");
const { createRequire } = require("node:module");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { after, before, describe, test } = require("node:test");

const { attach, serve, Race } = require("..");

/** The driver that the lobby in Node has. */
function driver() {
  try {
    return createRequire(join(__dirname, "../../../examples/lobby/node/package.json"))("pg");
  } catch {
    return null;
  }
}

const pg = driver();
const SCENARIO = `
[database]
engine = "postgres"
sql = "create table counter (id integer primary key, v integer not null); insert into counter values (1, 0)"

[[actor]]
name = "{name}"
attached = true
`;

async function connected(environment, work) {
  const client = new pg.Client({ connectionString: environment.DATABASE_URL });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const racy = (environment) =>
  connected(environment, async (client) => {
    await client.query("begin");
    const { rows } = await client.query("select v from counter where id = 1");
    await client.query("update counter set v = $1 where id = 1", [rows[0].v + 1]);
    await client.query("commit");
  });
const cured = (environment) => connected(environment, (client) => client.query("update counter set v = v + 1 where id = 1").then(() => null));

describe("functions that play actors", { skip: !pg && "pg is not installed: run tools/node examples/lobby/node" }, () => {
  let cwd;
  before(() => {
    cwd = mkdtempSync(join(tmpdir(), "node-deadheat-"));
    const ben = SCENARIO.slice(SCENARIO.indexOf("[[actor]]")).replace("{name}", "ben");
    writeFileSync(join(cwd, "counter.toml"), SCENARIO.replace("{name}", "ann") + ben);
  });
  after(() => rmSync(cwd, { recursive: true }));

  test("those that race are found", async () => {
    await assert.rejects(attach("counter.toml", { ann: racy, ben: racy }, { cwd }), (error) => {
      assert.ok(error instanceof Race, String(error));
      assert.match(error.message, /RACE lost-update/);
      assert.strictEqual(error.result.races[0].kind, "lost-update");
      return true;
    });
  });

  test("those that are cured are exhausted", async () => {
    const result = await attach("counter.toml", { ann: cured, ben: cured }, { cwd });
    assert.strictEqual(result.verdict, "clean");
    assert.ok(result.exhausted);
  });

  test("a test chooses who moves", async () => {
    const lab = await serve("counter.toml", { ann: racy, ben: racy }, { cwd });
    const begun = await lab.play(["ann"]);
    assert.match(begun.seats[0].statement, /^update counter/);
    const lost = await lab.play(["ann", "ben", "ann", "ann", "ben", "ben"]);
    assert.strictEqual(lost.verdict.kind, "lost-update");
    await assert.rejects(lab.play(["zoe"]), /there is no actor "zoe"/);
    await lab.close();
  });
});
