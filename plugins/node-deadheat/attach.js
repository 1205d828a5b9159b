"use strict";

// Functions of a test as actors of a scenario, through the local API of `deadheat serve` (docs/api.md).

const { spawn } = require("node:child_process");
const { createInterface } = require("node:readline");
const { Agent, request } = require("node:http");

/** What the program does not do, and why. */
class Refused extends Error {}

/** A scenario that `deadheat serve` has up. The functions play the actors of their names; each is called with its
 * environment, in which DATABASE_URL leads to the gate. */
class Lab {
  static async open(program, words, actors, options) {
    const lab = new Lab();
    lab.actors = actors;
    lab.agent = new Agent({ keepAlive: true });
    // Its standard input is a pipe that closes when this process ends, however it does: then the program ends too.
    lab.process = spawn(program, words, { ...options, stdio: ["pipe", "pipe", "pipe"] });
    lab.ended = new Promise((resolve) => lab.process.once("close", resolve));
    let said = "";
    lab.process.stderr.on("data", (text) => (said += text));
    const failed = new Promise((_, reject) => {
      lab.process.once("error", reject);
      lab.ended.then(() => reject(new Refused(said.trim())));
    });
    failed.catch(() => {});
    const lines = createInterface({ input: lab.process.stdout });
    const first = new Promise((resolve) => lines.once("line", resolve));
    lab.address = `${JSON.parse(await Promise.race([first, failed])).address}v1`;
    return lab;
  }

  /** Searches; what it comes to, as `deadheat find --json` has it, and in words. */
  async search() {
    const { result, text } = await this.#play("search", {});
    return { result, text };
  }

  /** Plays the actors in this order and lets the run go on to its end; where everybody is after the schedule. */
  async play(schedule) {
    return (await this.#play("play", { schedule })).result;
  }

  /** Ends the program. */
  async close() {
    this.process.stdin.end();
    await this.ended;
    this.agent.destroy();
  }

  async #play(what, order) {
    await this.#ask(what, { pid: process.pid, ...order });
    const acting = new Set();
    for (;;) {
      const news = await this.#ask("next", {});
      if (news.event === "begin") {
        // It waits in the database until the actor is let go on; the next news must not wait for it.
        const act = this.#act(news).finally(() => acting.delete(act));
        acting.add(act);
      } else if (news.event === "over") {
        await Promise.allSettled(acting);
        if (news.error) throw new Refused(news.error.trim());
        return news;
      }
    }
  }

  async #act({ turn, actor, environment }) {
    let [failed, output] = [false, null];
    try {
      output = (await this.actors[actor](environment)) ?? null;
    } catch (error) {
      // Whatever it is, it is how the actor ended.
      [failed, output] = [true, String(error)];
    }
    await this.#ask("done", { turn, failed, output });
  }

  #ask(path, body) {
    return new Promise((resolve, reject) => {
      const asked = request(`${this.address}/${path}`, { method: "POST", agent: this.agent }, (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (part) => (text += part));
        answer.on("end", () => {
          const said = JSON.parse(text);
          if (answer.statusCode < 400) resolve(said);
          else reject(new Refused(said.error));
        });
      });
      asked.on("error", reject);
      asked.end(JSON.stringify(body));
    });
  }
}

module.exports = { Lab, Refused };
