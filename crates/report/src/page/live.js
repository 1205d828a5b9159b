// A page that is fed while something happens: it hears the state and hands it to what draws that kind.

/** What draws each kind of state. */
const draws = {};
/** Time until the program is looked for again, in milliseconds. */
const AGAIN = 2000;

const lost = el("p", { class: "lost", role: "status", hidden: true }, "The program has ended. What it said last is still here.");
const spoken = el("p", { class: "unseen", role: "status" });
page.before(lost);
page.after(spoken);

/** Hears the state as it changes. */
function listen() {
  const source = new EventSource("events");
  source.onmessage = (event) => {
    lost.hidden = true;
    const state = JSON.parse(event.data);
    draws[state.kind](state);
  };
  source.onerror = () => {
    lost.hidden = false;
    source.close();
    setTimeout(listen, AGAIN);
  };
}

/** Asks the program; what it refuses is an error with its reason. */
async function ask(path, body) {
  const how = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const answer = await fetch(path, how);
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

/** Says something to whoever does not see the page. */
function speak(words) {
  spoken.textContent = words;
}

/** Sets a text, if it is another. */
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function shortTime(seconds) {
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}

/** The schedule of a run as dots on a line for each actor, from left to right. */
function lanes(names, schedule, width) {
  const row = 20;
  const most = Math.max(24, schedule.length);
  const gap = Math.min(16, (width - 16) / most);
  const x = (n) => 8 + gap * (n + 0.5);
  const y = (actor) => row * (actor + 0.5);
  const drawn = svg("svg", { class: "lanes", width, height: row * names.length, "aria-hidden": "true" });
  names.forEach((_, actor) => drawn.append(svg("line", { class: "rail", x1: 0, x2: width, y1: y(actor), y2: y(actor) })));
  const way = schedule.map((actor, n) => `${n === 0 ? "M" : "L"}${x(n)} ${y(actor)}`).join("");
  if (way) drawn.append(svg("path", { class: "way", d: way }));
  schedule.forEach((actor, n) => drawn.append(svg("circle", { class: n === schedule.length - 1 ? "last" : "", cx: x(n), cy: y(actor), r: Math.max(1.5, Math.min(4, gap / 3)) })));
  return drawn;
}

/** Nothing is to be seen yet. */
draws.wait = () => {
  if (!page.firstChild || page.querySelector("noscript")) page.replaceChildren(el("header", {}, el("h1", {}, "One moment"), el("p", { class: "doing under-way" }, "setting up, and running the serial orders")));
};
