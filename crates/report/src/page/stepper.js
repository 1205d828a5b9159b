// Moving the actors by hand: who would do what next, what happened so far, the tables. What keys mean is the program's
// business: they are passed on, and what comes back is shown.

const PASSED_ON = ["ArrowUp", "ArrowDown", "Backspace", "Enter"];
const LETTERS = /^[1-9jkues]$/;

const hand = { state: null, view: null, shown: false };

draws.step = (state) => {
  const before = hand.state;
  hand.state = state;
  if (hand.shown) return;
  if (!before && location.hash) return openSaved();
  const fresh = !hand.view;
  if (fresh) {
    hand.view = desk(state);
    page.replaceChildren(...hand.view.parts);
  }
  fill(hand.view, state, fresh || before.moves !== state.moves);
};

/** Has the program do something; what it comes to is shown at once. */
async function does(what) {
  if (!hand.state || hand.state.busy) return;
  hand.view.whole.classList.add("busy");
  try {
    draws.step(await ask("press", what));
  } catch (error) {
    speak(error.message);
  }
  hand.view.whole.classList.remove("busy");
}

function desk(state) {
  const place = (name, label, kind = "section") => el(kind, { class: name, "aria-label": label });
  const button = (words, shortcut, what) => el("button", { type: "button", onclick: () => does(what) }, words, " ", el("kbd", { "aria-hidden": "true" }, shortcut));
  const back = button("Take back", "u", { key: "u" });
  const on = button("On to the end", "e", { key: "e" });
  const save = button("Save the race", "s", { key: "s" });
  const message = el("p", { class: "message" });
  const verdict = el("div", { class: "ending" });
  const seats = el("ol", { class: "seats" });
  const drawing = el("div", { class: "drawing" });
  const way = el("div", { class: "pair", "aria-hidden": "true" }, el("div", { class: "names" }, state.actors.map((name) => el("span", {}, name))), drawing);
  const done = el("ol", { class: "done" });
  const tables = el("div", { class: "tables" });
  const whole = el(
    "div",
    { class: "run by-hand" },
    el(
      "div",
      { class: "hand" },
      el("section", { "aria-labelledby": "who" }, el("h2", { id: "who" }, "Who moves next?"), seats),
      el("div", { class: "doings" }, back, on, save),
      message,
      verdict,
      el("section", { "aria-labelledby": "so-far" }, el("h2", { id: "so-far" }, "So far"), way, done),
    ),
    el("section", { class: "panel", "aria-labelledby": "state" }, el("h2", { id: "state" }, "The tables, as far as committed"), tables),
  );
  const head = el("header", {}, el("p", { class: "eyebrow" }, "By hand: ", el("span", {}, state.file)), el("h1", {}, state.title), el("p", { class: "plain" }, "Choose with a click, with the actor's digit, or with ", el("kbd", {}, "↑"), " ", el("kbd", {}, "↓"), " and ", el("kbd", {}, "Enter"), "."));
  return { parts: [head, whole], whole, back, on, save, message, verdict, seats, way, drawing, done, tables };
}

function fill(view, state, moved) {
  const over = state.seats.every((seat) => seat.place !== "next");
  view.back.disabled = state.done.length === 0;
  view.on.disabled = over;
  view.save.disabled = !(state.verdict && state.verdict.kind);
  put(view.message, state.message);
  if (state.message) speak(state.message);
  seats(view, state);
  if (!moved && !view.stale) return;
  view.stale = false;
  view.verdict.replaceChildren(...[ending(state), savedRaces(state)].filter(Boolean));
  view.way.hidden = state.schedule.length === 0;
  view.drawing.replaceChildren(...(state.schedule.length > 0 ? [lanes(state.actors, state.schedule, Math.floor(view.drawing.clientWidth))] : []));
  view.done.replaceChildren(...(state.done.length > 0 ? state.done.map((step, n) => made(state, step, n)).reverse() : [el("li", { class: "plain" }, "Nobody has moved yet.")]));
  view.tables.replaceChildren(...Object.entries(state.tables).map(rowsOf), ...(Object.keys(state.tables).length > 0 ? [] : [el("p", { class: "plain" }, "No table is written.")]));
}

/** The actors, each a button while it can move; kept in place so that the focus stays where it is. */
function seats(view, state) {
  while (view.seats.children.length > state.seats.length) view.seats.lastChild.remove();
  state.seats.forEach((seat, n) => {
    const stamp = JSON.stringify([seat, state.chosen === n]);
    const old = view.seats.children[n];
    if (old && old.dataset.stamp === stamp) return;
    const focused = old && old.contains(document.activeElement);
    const item = el("li", { class: `seat ${seat.place}${state.chosen === n ? " chosen" : ""}`, "data-stamp": stamp }, seatView(state, seat, n));
    if (old) old.replaceWith(item);
    else view.seats.append(item);
    if (focused) item.firstChild.focus();
  });
}

function seatView(state, seat, n) {
  const said = {
    next: () => [el("span", { class: "what" }, seat.starts ? "starts with" : "next"), code(seat.statement || "(no statement)", true)],
    waits: () => [el("span", { class: "what" }, `waits for ${list(seat.blocked_by) || "something outside the database"}`), code(seat.statement, true)],
    finished: () => [el("span", { class: "what" }, "finished"), seat.reply && el("span", { class: "reply" }, seat.reply)],
  }[seat.place]();
  const digit = n < 9 && el("kbd", { "aria-hidden": "true" }, String(n + 1));
  return el(
    "button",
    { type: "button", "aria-disabled": seat.place === "next" ? null : "true", "aria-current": state.chosen === n ? "true" : null, onclick: () => does({ move: n }) },
    el("span", { class: "whose" }, digit, el("b", {}, state.actors[n])),
    el("span", { class: "says" }, said),
  );
}

function made(state, step, n) {
  return el(
    "li",
    { class: `made${step.failed ? " failed" : ""}` },
    el("span", { class: "number" }, String(n + 1)),
    el("b", { class: "who" }, state.actors[step.actor]),
    el("code", { class: "statement" }, highlight(step.statement)),
    el("span", { class: "came" }, step.outcome),
    el("button", { type: "button", class: "link", "aria-label": `undo from here: step ${n + 1}`, onclick: () => does({ back_to: n }) }, "undo from here"),
  );
}

function rowsOf([name, table]) {
  const row = (one) =>
    el("tr", { class: one.fresh ? "added" : null }, el("td", { class: "mark" }, one.fresh && [el("span", { "aria-hidden": "true" }, "+"), el("span", { class: "unseen" }, "New: ")]), one.cells.map((cell) => el("td", {}, cell)));
  const head = el("tr", {}, el("td", { class: "mark" }), table.columns.map((column) => el("th", { scope: "col" }, column)));
  const body = table.rows.length > 0 ? table.rows.map(row) : el("tr", {}, el("td", { class: "mark" }), el("td", { colspan: table.columns.length || 1, class: "none" }, "no rows"));
  return el(
    "section",
    { class: "table", "aria-label": `Table ${name}` },
    el("h3", {}, name, table.rows.some((one) => one.fresh) && el("span", { class: "badge" }, "changed by the last step")),
    el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `Rows of ${name}` }, el("table", {}, el("thead", {}, head), el("tbody", {}, body))),
  );
}

/** What the run is, once it is over. */
function ending({ verdict }) {
  if (!verdict) return null;
  if (!verdict.kind) return el("div", { class: "verdict fine" }, el("h2", {}, "No race"), el("p", {}, "One after the other it could have come out like this too."));
  return el("div", { class: "verdict bad" }, el("h2", {}, `Race: ${verdict.kind.replaceAll("-", " ")}`), el("ol", {}, verdict.why.map((why) => el("li", {}, prose(why, { steps: [] })))));
}

/** The races that were saved. */
function savedRaces({ saved }) {
  if (saved.length === 0) return null;
  return el("div", { class: "saved" }, el("h2", {}, "Saved"), el("ul", {}, saved.map((file, n) => el("li", {}, el("a", { href: `#saved-${n + 1}` }, file), " ", el("code", {}, `deadheat replay ${file}`)))));
}

/** Shows a race that was saved, or goes back to the desk. */
async function openSaved() {
  const [, number] = /^#saved-(\d+)$/.exec(location.hash) || [];
  if (number && hand.state) {
    const race = await ask(`race/${Number(number) - 1}`);
    hand.shown = true;
    show(race, [el("nav", { "aria-label": "By hand" }, el("a", { href: "#" }, "By hand"))]);
    scrollTo(0, 0);
  } else if (hand.shown) {
    Object.assign(hand, { shown: false, view: null });
    moment = null;
    draws.step(hand.state);
  }
}

addEventListener("hashchange", () => hand.state && openSaved());
addEventListener("resize", () => {
  if (!hand.view || hand.shown) return;
  hand.view.stale = true;
  fill(hand.view, hand.state, true);
});
document.addEventListener("keydown", (event) => {
  if (!hand.view || hand.shown || event.ctrlKey || event.metaKey || event.altKey) return;
  const passed = LETTERS.test(event.key) || (PASSED_ON.includes(event.key) && !(event.key === "Enter" && event.target.closest("button, a")));
  const scrolls = event.target.closest(".scroll") && event.key.startsWith("Arrow");
  if (!passed || scrolls) return;
  event.preventDefault();
  does({ key: event.key });
});
