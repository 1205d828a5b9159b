// The lanes: a card a step, folds for what does not matter, bars for transactions and waits.

/** Statements longer than this are shown shortened, with all of it one click away. */
const LONG = 260;
/** A lane narrower than this is none: then all lanes are one rail beside a single column of cards. In pixels, like the
 * width of a lane with nothing to show, and the room between two. */
const NARROWEST = 165;
const SLIVER = 44;
const GAP = 40;
/** Rows of a result that are shown at once. */
const SHOWN_ROWS = 4;

/** Steps and folds in the order in which they stand below each other; a lone step that does not matter is no fold. */
function entries(race) {
  const out = [];
  let hidden = [];
  const close = () => {
    if (hidden.length > 1) out.push({ fold: hidden });
    else hidden.forEach((step) => out.push({ step }));
    hidden = [];
  };
  race.steps.forEach((step, n) => {
    if (!step.matters) return hidden.push(n);
    close();
    out.push({ step: n });
  });
  close();
  return out;
}

function timeline(race) {
  const grid = el("div", { class: "grid", style: { "--lanes": race.actors.length } });
  const steps = el("ol", { class: "steps", "aria-label": "Steps, in the order in which they happened" });
  const rowOf = [];
  let row = 1;
  const head = (name, lane) => el("span", { style: { "--lane": lane } }, name);
  grid.append(el("div", { class: "heads", "aria-hidden": "true" }, race.actors.map(head)));
  for (const entry of entries(race)) {
    row += 1;
    if (entry.step !== undefined) {
      rowOf[entry.step] = row;
      steps.append(card(race, entry.step, row));
      continue;
    }
    const inside = entry.fold.map((n) => {
      row += 1;
      rowOf[n] = row;
      const made = card(race, n, row);
      made.hidden = true;
      return made;
    });
    steps.append(fold(race, entry.fold, row - entry.fold.length, inside), ...inside);
  }
  grid.append(...bars(race, rowOf, row), steps);
  return grid;
}

function fold(race, hidden, row, inside) {
  const names = race.actors.filter((_, actor) => hidden.some((n) => race.steps[n].actor === actor));
  const writes = hidden.some((n) => race.steps[n].writes.length > 0);
  const what = writes ? counted(hidden.length, "other step") : `${counted(hidden.length, "step")} that ${hidden.length === 1 ? "changes" : "change"} nothing`;
  const button = el("button", { type: "button", "aria-expanded": "false" }, el("span", { class: "chevron", "aria-hidden": "true" }), `${what} (${list(names)})`);
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    inside.forEach((one) => (one.hidden = !open));
    relay();
  });
  return el("li", { class: "fold", "data-steps": hidden.join(" "), style: { "--row": row } }, button);
}

/** Gives room to the lanes that have something to show, and a sliver to the others; without room, all are one rail. */
function widths(race, grid, printing) {
  const shown = race.actors.map((_, lane) => race.steps.some((step, n) => step.actor === lane && !grid.querySelector(`[data-step="${n}"]`).hidden));
  const count = shown.filter(Boolean).length;
  const room = grid.clientWidth - (race.actors.length - count) * SLIVER - (race.actors.length - 1) * GAP;
  const wide = !printing && count > 0 && room / count >= NARROWEST;
  grid.classList.toggle("wide", wide);
  grid.style.gridTemplateColumns = wide ? shown.map((one) => (one ? "minmax(0, 1fr)" : `${SLIVER}px`)).join(" ") : "";
  for (const bar of grid.querySelectorAll(".bar:not(.lane)")) {
    bar.hidden = false;
    // All of it lies in a fold.
    bar.hidden = bar.offsetHeight < 8;
  }
}

/** Lines of the lanes, open transactions, waits. */
function bars(race, rowOf, last) {
  const bar = (kind, lane, from, to, more) =>
    el("div", { class: `bar ${kind}`, "aria-hidden": "true", ...more, style: { "--lane": lane, "--from": from, "--to": to } });
  const out = race.actors.map((_, lane) => bar("lane", lane, 2, last + 1));
  for (const tx of race.transactions) {
    const first = rowOf[tx.steps[0]];
    const end = tx.end === null ? last + 1 : rowOf[tx.end];
    if (end > first) out.push(bar("transaction", tx.actor, first, end));
  }
  race.steps.forEach((step, n) => {
    if (step.waits_for.length === 0) return;
    const end = step.until === null ? last + 1 : rowOf[step.until];
    out.push(bar("wait", step.actor, rowOf[n], end));
  });
  return out;
}

function card(race, n, row) {
  const step = race.steps[n];
  const who = race.actors[step.actor];
  const cycle = race.edges.some((edge) => edge.cycle && (edge.from === n || edge.to === n));
  const body = [statements(step), result(step), notes(race, n)];
  const head = el(
    "button",
    { type: "button", class: "head", "data-go": n + 1, tabindex: "-1" },
    el("span", { class: "number" }, el("span", { class: "unseen" }, "Step "), String(n + 1)),
    el("span", { class: "who" }, who),
    el("span", { class: "did" }, did(step)),
  );
  return el(
    "li",
    { class: `step${cycle ? " on-cycle" : ""}${step.matters ? "" : " faint"}`, "data-step": n, style: { "--lane": step.actor, "--row": row } },
    el("span", { class: "dot", "aria-hidden": "true" }),
    el("div", { class: "card" }, head, body),
  );
}

/** What kind of step it is, in a word or two. */
function did(step) {
  if (step.kind === "gap-commit" || step.kind === "commit") return step.tags.includes("ROLLBACK") ? "rolled back" : "commits";
  if (step.kind === "rollback") return "rolls back";
  if (step.kind === "silent") return "no statement";
  if (step.error) return "fails";
  const tag = step.tags[step.tags.length - 1] || "";
  const [, verb, count] = /^(\w+)(?: \d+)? (\d+)$/.exec(tag) || [];
  const rows = counted(Number(count || 0), "row");
  return { SELECT: `reads ${rows}`, UPDATE: `updates ${rows}`, INSERT: `inserts ${rows}`, DELETE: `deletes ${rows}` }[verb] || "";
}

function code(sql, small) {
  return el("pre", { class: small ? "sql small" : "sql" }, el("code", {}, highlight(sql.trim())));
}

function statements(step) {
  if (step.kind === "gap-commit") return el("p", { class: "plain" }, "The commit of the statement before.");
  const all = step.statements;
  if (all.length === 0) return el("p", { class: "plain" }, step.label.replace(/[()]/g, ""));
  const length = all.reduce((sum, one) => sum + one.sql.length, 0);
  if (length <= LONG) return all.map((one) => [code(one.sql, all.length > 1 && isSetUp(one.sql)), values(one.params)]);
  return [
    code(step.label),
    el(
      "details",
      {},
      el("summary", {}, all.length > 1 ? `All ${all.length} statements` : "The whole statement"),
      all.map((one) => [code(one.sql), values(one.params)]),
    ),
  ];
}

function isSetUp(sql) {
  return /^\s*(begin|start|set|savepoint|release|show)\b/i.test(sql);
}

function values(params) {
  if (params.length === 0) return null;
  const pair = (value, n) => el("div", {}, el("dt", {}, `$${n + 1}`), el("dd", {}, value === null ? el("i", {}, "null") : value));
  return el("dl", { class: "values" }, params.map(pair));
}

/** Rows that were read, or returned. */
function result(step) {
  if (step.error) return el("p", { class: "error" }, step.error);
  if (step.columns.length === 0 || step.kind === "gap-commit") return null;
  if (step.rows.length === 0) return el("p", { class: "none" }, "no row");
  const cell = (text) => el("td", {}, text === null ? el("i", {}, "null") : text);
  const rows = (some) => some.map((row) => el("tr", {}, row.map(cell)));
  const table = (some, label) =>
    el(
      "div",
      { class: "rows", role: "group", "aria-label": label },
      el("table", {}, el("thead", {}, el("tr", {}, step.columns.map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, rows(some))),
    );
  const more = step.rows.length - SHOWN_ROWS;
  if (more <= 1) return table(step.rows, "Rows of the answer");
  return [
    table(step.rows.slice(0, SHOWN_ROWS), "First rows of the answer"),
    el("details", {}, el("summary", {}, `${more} more rows`), table(step.rows.slice(SHOWN_ROWS), "Further rows of the answer")),
  ];
}

/** Who waits, who goes on, what is in conflict with what. */
function notes(race, n) {
  const step = race.steps[n];
  const name = (actor) => race.actors[actor];
  const out = [];
  if (step.waits_for.length > 0) {
    const until = step.until === null ? " and never goes on" : ` until step ${step.until + 1}`;
    out.push(el("p", { class: "waits" }, prose(`Waits for ${list(step.waits_for.map(name))}${until}.`, race)));
  }
  const woken = step.wakes.filter((actor) => actor !== step.actor);
  if (woken.length > 0) out.push(el("p", { class: "waits" }, `Now ${list(woken.map(name))} ${woken.length === 1 ? "goes" : "go"} on.`));
  for (const edge of race.edges.filter((edge) => edge.from === n)) {
    out.push(el("p", { class: edge.cycle ? "conflict unseen" : "conflict other unseen" }, edge.words));
  }
  return out;
}
