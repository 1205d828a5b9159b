// The tables beside the lanes: their committed rows after each step, and what is written but not committed yet.

/** The rows of a table after `done` steps: by place, with what the last of these steps did to each. */
function rowsAfter(table, done) {
  const places = table.rows.map((cells) => ({ cells }));
  for (const change of table.changes) {
    if (change.step >= done) break;
    const now = change.step === done - 1;
    places[change.place] = { cells: change.to || change.from, gone: !change.to, was: now ? change.from : null, now };
  }
  return places.filter((row) => row && (!row.gone || row.now));
}

/** Who has written what nobody else can see yet: the steps, and the rows as far as they are known. */
function pending(race, table, done) {
  const out = new Map();
  for (const tx of race.transactions) {
    if (tx.end !== null && tx.end < done) continue;
    for (const n of tx.steps) {
      const step = race.steps[n];
      const ran = n < done && (step.waits_for.length === 0 || (step.until !== null && step.until < done));
      const touched = step.writes.filter((one) => one.table === table);
      if (!ran || step.kind !== "work" || step.error || touched.length === 0) continue;
      const known = out.get(tx.actor) || { actor: tx.actor, steps: [], rows: [] };
      known.steps.push(n + 1);
      known.rows.push(...touched.map((one) => one.row).filter((row) => row !== null && row.length < 30));
      out.set(tx.actor, known);
    }
  }
  return [...out.values()];
}

function pendingView(race, one) {
  const rows = [...new Set(one.rows)];
  const what = rows.length > 0 && rows.length < 4 ? `${list(rows)} ` : "";
  const link = (step) => el("button", { type: "button", class: "link", "data-go": step }, String(step));
  const shown = one.steps.slice(-4).map((step, n) => [n > 0 && ", ", link(step)]);
  const before = one.steps.length - shown.length;
  return el(
    "p",
    { class: "pending" },
    `${race.actors[one.actor]} has written ${what}(${one.steps.length === 1 ? "step" : "steps"} `,
    shown,
    before > 0 && ` and ${before} before`,
    ") and not committed: nobody else sees it.",
  );
}

function tableView(race, table, done) {
  const rows = rowsAfter(table, done);
  const open = pending(race, table.name, done);
  const changed = rows.some((row) => row.now);
  const head = el(
    "tr",
    {},
    el("td", { class: "mark" }),
    table.columns.map((name) => el("th", { scope: "col" }, name)),
  );
  const body = rows.length > 0 ? rows.map(rowView) : el("tr", {}, el("td", { class: "mark" }), el("td", { colspan: table.columns.length || 1, class: "none" }, "no rows"));
  return el(
    "section",
    { class: `table${changed ? " changed" : ""}`, "aria-label": `Table ${table.name}` },
    el("h3", {}, table.name, changed && el("span", { class: "badge" }, "changed by this step")),
    el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `Rows of ${table.name}` }, el("table", {}, el("thead", {}, head), el("tbody", {}, body))),
    open.map((one) => pendingView(race, one)),
  );
}

function rowView(row) {
  const kind = !row.now ? "" : row.gone ? "gone" : row.was ? "changed" : "added";
  const sign = { "": "", gone: "−", changed: "±", added: "+" }[kind];
  const words = { gone: "Removed: ", changed: "Changed: ", added: "Added: " }[kind];
  const cells = row.cells.map((cell, n) => {
    const other = kind === "changed" && row.was[n] !== cell;
    const shown = text(cell);
    if (other) return el("td", { class: "new" }, el("ins", {}, shown), " ", el("del", {}, text(row.was[n])));
    return el("td", {}, kind === "gone" ? el("del", {}, shown) : shown);
  });
  return el("tr", { class: kind || null }, el("td", { class: "mark" }, sign && el("span", { "aria-hidden": "true" }, sign), words && el("span", { class: "unseen" }, words)), cells);
}

function text(cell) {
  return cell === null ? el("i", {}, "null") : cell;
}

/** The tables after `done` steps. */
function tablesAfter(race, done) {
  if (!race.seen) {
    const why = "The rows were not looked at after each step: find the race again with deadheat find to see them.";
    return [el("p", { class: "plain" }, why)];
  }
  const out = race.tables.map((table) => tableView(race, table, done));
  if (race.tables.length === 0) out.push(el("p", { class: "plain" }, "No table is written in this run."));
  if (race.not_shown.length > 0) {
    out.push(el("p", { class: "plain" }, "Not shown: ", list(race.not_shown), "."));
  }
  return out;
}

/** What the step changed, in words, for whoever does not see the rows. */
function changesInWords(race, done) {
  const changed = race.tables
    .map((table) => [table.name, table.changes.filter((change) => change.step === done - 1).length])
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${counted(count, "row")} of ${name}`);
  return changed.length > 0 ? `Changes ${list(changed)}.` : done > 0 ? "No committed row changes." : "";
}
