"use strict";

// The helper with the real program, whose path is in the variable DEADHEAT.

const assert = require("node:assert");
const { mkdtempSync, writeFileSync, rmSync, existsSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { after, before, test } = require("node:test");

const { find, scenarios, Race } = require("..");

const ACTORS = `
[database]
engine = "postgres"
sql = "create table counter (id integer primary key, v integer not null); insert into counter values (1, 0)"

[[actor]]
name = "a{n}"
copies = 2
`;
const RACY = `${ACTORS}
sql = ["begin", "select v as n from counter where id = 1", "update counter set v = :n + 1 where id = 1", "commit"]
`;
const CLEAN = `${ACTORS}
sql = ["update counter set v = v + 1 where id = 1"]
`;
const BUG = `${CLEAN}
[check]
invariants = { "is nought" = "select v = 0 from counter" }
`;

let cwd;
before(() => {
  cwd = mkdtempSync(join(tmpdir(), "node-deadheat-"));
  const files = { racy: RACY, clean: CLEAN, bug: BUG, typo: RACY.replace("copies", "copeis") };
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(cwd, `${name}.toml`), text);
  }
});
after(() => rmSync(cwd, { recursive: true }));

test("a scenario that races rejects and shows what happened", async () => {
  await assert.rejects(find("racy.toml", { cwd }), (error) => {
    assert.ok(error instanceof Race);
    assert.match(error.message, /^RACE lost-update/);
    assert.match(error.message, /what happened/);
    assert.strictEqual(error.result.races[0].kind, "lost-update");
    return true;
  });
  assert.ok(existsSync(join(cwd, ".deadheat")));
});

test("a clean one resolves to the result", async () => {
  const result = await find("clean.toml", { cwd, flags: ["--labs", "1"] });
  assert.strictEqual(result.verdict, "clean");
  assert.strictEqual(result.labs, 1);
});

test("a bug is no race and rejects too", async () => {
  await assert.rejects(find("bug.toml", { cwd }), /a bug, not a race: "is nought" does not hold after a1/);
});

test("a scenario that cannot be read says why", async () => {
  await assert.rejects(find("typo.toml", { cwd }), /did you mean `copies`\?/);
});

test("a program that is not there says so", async () => {
  await assert.rejects(find("clean.toml", { cwd, program: "no-such-program" }), /cannot run `no-such-program`/);
});

test("every scenario of a folder is a test", async () => {
  const made = [];
  scenarios(cwd, (name, work) => made.push({ name, work }));
  const names = made.map(({ name }) => name);
  assert.deepStrictEqual(names, ["bug", "clean", "racy", "typo"].map((name) => `deadheat find ${name}.toml`));
  await made[1].work();
  await assert.rejects(made[2].work(), Race);
  assert.throws(() => scenarios(__dirname, () => {}), /there is no scenario/);
});
