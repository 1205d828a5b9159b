// A search while it goes on: how far it is, what each lab does, the races as they come.

/** The search that is shown, its view, and what of its races is here already. */
const search = { state: null, view: null, races: new Map(), shown: null, rates: [] };

draws.search = (state) => {
  const before = search.state;
  search.state = state;
  const now = state.searches[state.searches.length - 1];
  announce(before && before.searches[state.searches.length - 1], now);
  search.rates = [...search.rates.filter(([at]) => at <= now.seconds && at > now.seconds - 3), [now.seconds, now.runs]];
  fetchRaces(state);
  if (search.shown === null) overview();
  else tabs();
};

/** Says to whoever does not see the page what has happened: not every number. */
function announce(before, now) {
  if (now.over && !(before && before.over)) speak(`${now.file}: ${verdict(now)}`);
  else if (now.races.length > (before ? before.races.length : 0)) speak(`Race found: ${now.races[now.races.length - 1].title}`);
}

const key = (n, m) => `race-${n + 1}-${m + 1}`;

/** All races so far, with where each is from. */
function allRaces(state) {
  return state.searches.flatMap((one, n) => one.races.map((race, m) => ({ ...race, key: key(n, m), path: `race/${n}/${m}`, file: one.file })));
}

/** Gets the races that are new or have become smaller, so that they are here when the program is not any more. */
function fetchRaces(state) {
  for (const race of allRaces(state)) {
    const known = search.races.get(race.key);
    if (known && known.version === race.version) continue;
    search.races.set(race.key, { version: race.version, view: known && known.view });
    ask(race.path).then(
      (view) => {
        search.races.set(race.key, { version: race.version, view });
        if (where() === race.key) open();
      },
      () => search.races.delete(race.key),
    );
  }
}

const where = () => location.hash.slice(1);

/** Shows what the address says. */
function open() {
  const race = search.races.get(where());
  if (race && race.view) {
    search.shown = where();
    show(race.view, [tabBar()]);
    scrollTo(0, 0);
  } else if (search.state) {
    search.shown = null;
    moment = null;
    search.view = null;
    overview();
  }
}

function tabBar() {
  search.bar = el("nav", { "aria-label": "Search and races" });
  tabs();
  return search.bar;
}

/** The way back to the search, and to each race. Kept as it is while nothing is new, so that the focus stays. */
function tabs() {
  const races = allRaces(search.state);
  const now = search.state.searches[search.state.searches.length - 1];
  const said = [`The search: ${now.over ? verdict(now) : counted(now.runs, "run")}`, ...races.map((race) => `${race.title} in ${race.file}`)];
  const links = [...search.bar.children];
  if (links.length === said.length) return links.forEach((link, n) => put(link, said[n]));
  const link = (words, n) => el("a", { href: n === 0 ? "#" : `#${races[n - 1].key}`, "aria-current": n > 0 && races[n - 1].key === search.shown ? "page" : null }, words);
  search.bar.replaceChildren(...said.map(link));
}

/** The search itself. What stays is only filled anew. */
function overview() {
  const state = search.state;
  const now = state.searches[state.searches.length - 1];
  if (!search.view || search.view.search !== state.searches.length || search.view.labs.length !== now.labs.length) {
    search.view = skeleton(state, now);
    page.replaceChildren(...search.view.parts);
  }
  const view = search.view;
  put(view.doing, doing(now));
  view.doing.className = `doing ${now.over ? now.over.verdict.replaceAll(" ", "-") : "under-way"}`;
  figures(now).forEach(([, value], n) => put(view.figures[n], value));
  progress(view, now);
  now.labs.forEach((schedule, n) => lab(view.labs[n], now, schedule));
  found(view, state);
  view.summary.hidden = !now.over;
  if (now.over) put(view.words, now.over.words.trim());
}

function skeleton(state, now) {
  const doing = el("p", { class: "doing" });
  const cells = figures(now).map(() => el("dd", {}));
  const bar = el("div", { class: "progress" }, el("div", { class: "part" }));
  const labs = now.labs.map((_, n) => {
    const drawing = el("div", { class: "drawing" });
    const words = el("p", { class: "unseen" });
    const names = el("div", { class: "names", "aria-hidden": "true" }, now.actors.map((name) => el("span", {}, name)));
    return { drawing, words, whole: el("section", { class: "lab", "aria-label": `Lab ${n + 1}` }, el("h3", {}, `Lab ${n + 1}`), el("div", { class: "pair" }, names, drawing), words) };
  });
  const races = el("div", { class: "found" });
  const words = el("pre", { tabindex: "0", role: "group", "aria-label": "What the search came to" });
  const summary = el("section", { class: "outcome", "aria-labelledby": "summary", hidden: true }, el("h2", { id: "summary" }, "What the search came to"), words);
  const earlier = state.searches.slice(0, -1);
  const parts = [
    el("header", {}, el("p", { class: "eyebrow" }, "Search of ", el("span", {}, now.file)), el("h1", {}, now.title), doing),
    el("section", { "aria-label": "How far it is" }, bar, el("dl", { class: "figures" }, figures(now).map(([name], n) => el("div", {}, el("dt", {}, name), cells[n])))),
    el("section", { class: "races", "aria-labelledby": "races" }, el("h2", { id: "races" }, "Races"), races),
    summary,
    labs.length > 0 && el("section", { class: "labs", "aria-labelledby": "labs" }, el("h2", { id: "labs" }, "Labs, and who moves in each"), el("div", { class: "side" }, labs.map((one) => one.whole))),
    earlier.length > 0 && el("section", { "aria-labelledby": "earlier" }, el("h2", { id: "earlier" }, "Searched before"), el("ul", { class: "earlier" }, earlier.map((one) => el("li", {}, el("b", {}, one.file), one.over && ` ${verdict(one)}`)))),
  ];
  return { search: state.searches.length, parts: parts.filter(Boolean), doing, figures: cells, bar, labs, races, summary, words };
}

/** The verdict, as people say it. */
function verdict(now) {
  return now.over.verdict === "race" ? `${counted(now.races.length, "race")} found` : now.over.verdict;
}

function doing(now) {
  if (now.over) return verdict(now);
  if (now.doing) return now.doing;
  return now.random ? "trying random schedules" : `trying schedules with ${counted(now.preemptions, "preemption")}`;
}

function figures(now) {
  return [
    ["traces", now.left > 0 ? `${count(now.traces)} of about ${count(now.traces + now.left)}` : count(now.traces)],
    ["runs", count(now.runs)],
    ["runs a second", count(rate(now))],
    ["preemptions", now.random ? "any" : now.runs > now.serial_runs ? String(now.preemptions) : "–"],
    ["races", count(now.races.length)],
    ["time", shortTime(now.seconds)],
  ];
}

const count = (number) => number.toLocaleString("en");

/** Runs a second: of late while it goes on, over all when it is over. */
function rate(now) {
  const [first] = search.rates;
  const [from, runs] = now.over || !first || now.seconds - first[0] < 0.2 ? [0, 0] : first;
  return Math.round((now.runs - runs) / Math.max(0.001, now.seconds - from));
}

function progress(view, now) {
  const known = now.left !== null && now.traces > 0;
  const part = now.over ? 1 : known ? now.traces / (now.traces + now.left) : 0;
  view.bar.firstChild.style.width = `${100 * part}%`;
  view.bar.classList.toggle("unknown", !known && !now.over);
}

function lab(view, now, schedule) {
  const said = schedule.length > 0 ? `Moved so far: ${schedule.map((actor) => now.actors[actor]).join(", ")}` : "Nobody has moved.";
  const width = Math.floor(view.drawing.clientWidth);
  if (view.said === said && view.width === width) return;
  Object.assign(view, { said, width });
  put(view.words, said);
  view.drawing.replaceChildren(lanes(now.actors, schedule, width));
}

function found(view, state) {
  const races = allRaces(state);
  const last = state.searches[state.searches.length - 1];
  const stamp = JSON.stringify([races, Boolean(last.over)]);
  if (view.stamp === stamp) return;
  view.stamp = stamp;
  const card = (race) =>
    el(
      "a",
      { href: `#${race.key}` },
      el("b", {}, race.title),
      race.anomaly && el("span", { class: "anomaly" }, race.anomaly),
      el("span", { class: "from" }, `${state.searches.length > 1 ? `${race.file}, ` : ""}run ${count(race.run)}, ${counted(race.preemptions, "preemption")}`),
      el("span", { class: "because" }, prose(race.why || "", { steps: [] })),
    );
  const none = el("p", { class: "plain" }, last.over ? "None." : "None so far.");
  view.races.replaceChildren(...(races.length > 0 ? races.map(card) : [none]));
}

addEventListener("hashchange", open);
addEventListener("resize", () => search.state && search.shown === null && overview());
