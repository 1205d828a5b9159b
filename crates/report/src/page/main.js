// The page as a whole: what is where, and which step is looked at.

const page = document.getElementById("page");
let moment = null;

/** Shows a race; `tabs` lead to what else there is. */
function show(race, tabs = nav(race)) {
  const grid = timeline(race);
  const panel = el("div", { class: "tables" });
  const scrub = scrubber(race);
  const run = el(
    "div",
    { class: "run" },
    el("section", { id: "timeline", "aria-labelledby": "happened", tabindex: "-1" }, el("h2", { id: "happened" }, "What happened"), legend(race), grid),
    el("section", { class: "panel", "aria-labelledby": "state" }, el("h2", { id: "state" }, "The tables"), scrub.view, panel),
  );
  page.replaceChildren(...tabs, heading(race), run, el("div", { class: "outcome" }, outcome(race)), ...summary());
  moment = new Moment(race, grid, panel, scrub);
  const redraw = arrows(race, grid);
  const lay = () => {
    widths(race, grid, printing);
    redraw();
  };
  watch.disconnect();
  watch = new ResizeObserver(lay);
  watch.observe(grid);
  relay = lay;
  lay();
  moment.go(race.steps.length, false);
}

let printing = false;
let relay = () => {};
let watch = new ResizeObserver(() => {});

/** The step that is looked at; everything that shows it. */
class Moment {
  constructor(race, grid, panel, scrub) {
    Object.assign(this, { race, grid, panel, scrub, done: 0 });
  }

  /** Looks at the run after so many steps. */
  go(done, scroll = true) {
    this.done = Math.max(0, Math.min(this.race.steps.length, done));
    const step = this.race.steps[this.done - 1];
    this.scrub.set(this.done, step);
    this.panel.replaceChildren(...tablesAfter(this.race, this.done));
    const changed = this.panel.querySelector("tr.added, tr.gone, tr.changed");
    if (changed) this.panel.scrollTop += changed.getBoundingClientRect().bottom - this.panel.getBoundingClientRect().bottom + 40;
    this.grid.querySelectorAll(".now").forEach((one) => one.classList.remove("now"));
    this.grid.querySelectorAll("[aria-current]").forEach((one) => one.removeAttribute("aria-current"));
    this.grid.querySelectorAll(".head").forEach((one) => (one.tabIndex = -1));
    const at = this.element();
    (this.grid.querySelector(".step.now .head") || this.grid.querySelector(".step:not([hidden]) .head")).tabIndex = 0;
    if (at && scroll) at.scrollIntoView({ block: "nearest" });
  }

  /** The card of the step, or the fold in which it is. */
  element() {
    const n = this.done - 1;
    const card = this.grid.querySelector(`[data-step="${n}"]`);
    if (!card) return null;
    const folds = [...this.grid.querySelectorAll(".fold")];
    const at = card.hidden ? folds.find((one) => one.dataset.steps.split(" ").includes(String(n))) : card;
    at.classList.add("now");
    at.querySelector("button").setAttribute("aria-current", "step");
    return at;
  }

  /** Moves the focus to the next card that is shown, or the one before. */
  next(by) {
    const heads = [...this.grid.querySelectorAll(".step:not([hidden]) .head")];
    const to = heads[heads.indexOf(document.activeElement) + by];
    if (!to) return;
    this.go(Number(to.dataset.go));
    to.focus();
  }
}

function scrubber(race) {
  const last = race.steps.length;
  const range = el("input", { type: "range", min: "0", max: String(last), step: "1", id: "scrub", "aria-label": "Step" });
  range.addEventListener("input", () => moment.go(Number(range.value)));
  const button = (words, sign, by) => el("button", { type: "button", "aria-label": words, onclick: () => moment.go(moment.done + by) }, el("span", { "aria-hidden": "true" }, sign));
  const where = el("p", { class: "where", role: "status" });
  const back = button("One step back", "←", -1);
  const on = button("One step on", "→", 1);
  const set = (done, step) => {
    range.value = String(done);
    const name = step ? `${race.actors[step.actor]}: ${step.label}` : "nothing has run yet";
    range.setAttribute("aria-valuetext", done === 0 ? "At the start" : `After step ${done} of ${last}`);
    range.style.setProperty("--part", `${(100 * done) / Math.max(1, last)}%`);
    back.disabled = done === 0;
    on.disabled = done === last;
    where.replaceChildren(
      el("b", {}, done === 0 ? "At the start" : `After step ${done} of ${last}`),
      el("span", { class: "label" }, step ? [el("span", { class: "who" }, race.actors[step.actor]), " ", el("code", {}, highlight(step.label))] : name),
      el("span", { class: "unseen" }, ` ${changesInWords(race, done)}`),
    );
  };
  return { set, view: el("div", { class: "scrubber" }, el("div", { class: "controls" }, back, range, on), where) };
}

function heading(race) {
  const circle = race.edges.filter((edge) => edge.cycle);
  return el(
    "header",
    {},
    el("p", { class: "eyebrow" }, "Race in ", el("span", {}, race.scenario)),
    el("h1", {}, race.title, race.anomaly && el("span", { class: "anomaly", title: "What the literature calls it" }, race.anomaly)),
    el("ul", { class: "checks" }, race.checks.map((check) => el("li", {}, check))),
    el(
      "div",
      { class: "why" },
      el("section", { "aria-labelledby": "why" }, el("h2", { id: "why" }, "Why"), el("ol", {}, race.why.map((sentence) => el("li", {}, prose(sentence, race))))),
      circle.length > 0 &&
        el("section", { class: "circle", "aria-labelledby": "circle" }, el("h2", { id: "circle" }, "The circle"), el("ul", {}, circle.map((edge) => el("li", {}, prose(edge.words, race))))),
      race.stuck.length > 0 && el("section", { "aria-labelledby": "stuck" }, el("h2", { id: "stuck" }, "In the end"), el("ul", {}, race.stuck.map((one) => el("li", {}, one)))),
    ),
  );
}

function legend(race) {
  const has = (test) => race.steps.some(test);
  const item = (kind, words) => el("li", {}, el("span", { class: `key ${kind}`, "aria-hidden": "true" }), words);
  return el(
    "ul",
    { class: "legend" },
    item("transaction", "open transaction"),
    has((step) => step.waits_for.length > 0) && item("wait", "waits for a lock"),
    race.edges.some((edge) => edge.cycle) && item("cycle", "the conflicts that make the race"),
    race.edges.some((edge) => !edge.cycle) && item("other", "other conflicts"),
    el("li", { class: "keys" }, el("kbd", {}, "←"), " ", el("kbd", {}, "→"), " step through the run"),
  );
}

function nav(race) {
  if (data.races.length < 2) return [];
  const button = (one) => el("button", { type: "button", "aria-current": one === race ? "true" : null, onclick: () => show(one) }, `${one.title} in ${one.scenario}`);
  return [el("nav", { "aria-label": "Races" }, data.races.map(button))];
}

function summary() {
  if (!data.summary) return [];
  return [el("section", { class: "outcome", "aria-labelledby": "summary" }, el("h2", { id: "summary" }, "What the search came to"), el("pre", { tabindex: "0", role: "group", "aria-label": "What the search came to" }, data.summary.trim()))];
}

document.addEventListener("click", (event) => {
  const to = event.target.closest("[data-go]");
  if (to) return moment.go(Number(to.dataset.go));
  const step = event.target.closest(".step");
  if (step && !event.target.closest("summary, a, button") && String(getSelection()) === "") moment.go(Number(step.dataset.step) + 1, false);
});

document.addEventListener("keydown", (event) => {
  if (!moment || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  const there = event.target.closest(".scroll, .rows, pre, input, select");
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by && !(there && (there.scrollWidth > there.clientWidth || there.tagName === "INPUT"))) {
    moment.go(moment.done + by);
    event.preventDefault();
  }
  const up = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (up && event.target.classList.contains("head")) {
    moment.next(up);
    event.preventDefault();
  }
});

// On paper the lanes are a rail, and what is folded stays folded.
addEventListener("beforeprint", () => ((printing = true), relay()));
addEventListener("afterprint", () => ((printing = false), relay()));

/** Shows what stands in the page itself. */
function start() {
  if (data.races.length > 0) show(data.races[0]);
  else page.replaceChildren(el("header", {}, el("h1", {}, "No race")), ...summary());
}
