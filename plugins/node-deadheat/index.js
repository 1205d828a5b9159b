"use strict";

// Runs Deadheat's scenarios as tests: a race is a failure that shows what happened. The program does all the work; this
// calls it and reads its JSON.

const { execFile } = require("node:child_process");
const { readdirSync } = require("node:fs");
const { basename, join } = require("node:path");

const { Lab } = require("./attach.js");

/** Room for what the program prints. */
const MOST_BYTES = 256 * 1024 * 1024;
const WHERE = "the option `program` or the variable DEADHEAT says where it is";

/** A scenario that races, breaks an invariant even without a race, or does not repeat. `result` is the JSON. */
class Race extends Error {
  constructor(text, result) {
    super(text);
    this.name = "Race";
    this.result = result;
  }
}

function run(words, { program = process.env.DEADHEAT || "deadheat", cwd, signal } = {}) {
  // Annotations and summaries are for whoever calls the program by hand: the failed test says it all.
  const { GITHUB_ACTIONS, ...env } = process.env;
  return new Promise((resolve, reject) => {
    execFile(program, words, { cwd, env, signal, maxBuffer: MOST_BYTES }, (error, stdout, stderr) => {
      if (error && typeof error.code !== "number") {
        reject(error.name === "AbortError" ? error : new Error(`cannot run \`${program}\`: ${error.message} (${WHERE})`));
      } else {
        resolve({ code: error ? error.code : 0, stdout, stderr });
      }
    });
  });
}

async function inWords(result, options) {
  const shown = [];
  for (const race of result.races) {
    const { stdout, stderr } = await run(["show", "--", race.file], options);
    shown.push((stdout || stderr).trim());
  }
  if (shown.length > 0) {
    return shown.join("\n\n");
  }
  if (result.verdict === "bug") {
    const orders = Object.entries(result.broken_serially);
    const said = orders.map(([name, order]) => `"${name}" does not hold after ${order.join(", then ")}`);
    return `${result.scenario}: a bug, not a race: ${said.join("; ")}`;
  }
  const { actor, first, second } = result.unrepeatable;
  return `${result.scenario}: the same schedule gave different runs; ${actor} did\n  ${first}\nand the second time\n  ${second}`;
}

/**
 * Searches a scenario; resolves to the result as `deadheat find --json` prints it, rejects with a Race if it races.
 *
 * Options: `flags` for the search (["--time", "30s"]), `program`, `cwd` (races are saved in its folder `.deadheat`),
 * `signal` to end it.
 */
async function find(scenario, options = {}) {
  const words = ["find", "--json", ...(options.flags ?? []), "--", scenario];
  const { code, stdout, stderr } = await run(words, options);
  if (![0, 1, 3].includes(code)) {
    throw new Error(stderr.trim() || `\`deadheat find\` ended with ${code}`);
  }
  const result = JSON.parse(stdout);
  if (code !== 0) {
    throw new Race(await inWords(result, options), result);
  }
  return result;
}

/**
 * The scenario with `deadheat serve`, up until `close()`: `search()`, `play(schedule)`. `actors` names the function that
 * plays each attached actor. Options as for `find`.
 */
async function serve(scenario, actors, { program = process.env.DEADHEAT || "deadheat", cwd, flags = [] } = {}) {
  const { GITHUB_ACTIONS, ...env } = process.env;
  try {
    return await Lab.open(program, ["serve", ...flags, "--", scenario], actors, { cwd, env });
  } catch (error) {
    if (error.syscall) throw new Error(`cannot run \`${program}\`: ${error.message} (${WHERE})`);
    throw error;
  }
}

/**
 * Searches what the functions of a test can do to each other: `actors` names the one that plays each attached actor of
 * the scenario. Resolves to the result as `find` does; rejects with a Race if they race.
 */
async function attach(scenario, actors, options = {}) {
  const lab = await serve(scenario, actors, options);
  try {
    const { result, text } = await lab.search();
    if (!["clean", "no-race-found"].includes(result.verdict)) throw new Race(text.trim(), result);
    return result;
  } finally {
    await lab.close();
  }
}

/** Makes a test of every scenario (`*.toml`) in a folder; `test` is that of node:test, or one that is like it. */
function scenarios(folder, test, options = {}) {
  const files = readdirSync(folder).filter((name) => name.endsWith(".toml"));
  if (files.length === 0) {
    throw new Error(`there is no scenario (*.toml) in ${folder}`);
  }
  for (const file of files.sort()) {
    test(`deadheat find ${basename(file)}`, () => find(join(folder, file), options));
  }
}

module.exports = { attach, find, scenarios, serve, Race };
