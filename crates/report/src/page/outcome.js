// What came of it: the serial orders and how each ends otherwise, what the actors were told, how to run it again.

function outcome(race) {
  return [orders(race), replies(race), leftOut(race), again(race)];
}

function orders(race) {
  if (race.orders.length === 0) return null;
  const title = race.orders.length === 1 ? "The serial order, and what it does otherwise" : "The serial orders, and what each does otherwise";
  return el(
    "section",
    { class: "orders", "aria-labelledby": "orders" },
    el("h2", { id: "orders" }, title),
    race.orders.map((order, n) =>
      el(
        "details",
        { open: n === 0 },
        el("summary", {}, el("span", { class: "order" }, order.order.join(", then ") || "nobody"), el("span", { class: "count" }, counted(order.differs.length + order.more, "difference"))),
        differences(order),
      ),
    ),
  );
}

function differences(order) {
  const cell = (text, absent) => el("td", {}, text === null ? el("i", {}, absent) : text);
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": `Differences from the order ${order.order.join(", ")}` },
    el(
      "table",
      { class: "differs" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Where"), el("th", { scope: "col" }, "This run"), el("th", { scope: "col" }, "One after the other"))),
      el(
        "tbody",
        {},
        order.differs.map((one) =>
          el(
            "tr",
            {},
            el("th", { scope: "row" }, one.place, one.asked && el("span", { class: "asked" }, one.asked)),
            cell(one.found, "no such row"),
            cell(one.serial, one.place && one.found && !one.asked ? "no such row" : ""),
          ),
        ),
      ),
    ),
    order.more > 0 && el("p", { class: "plain" }, `… and ${counted(order.more, "more difference")}`),
  );
}

function replies(race) {
  if (race.replies.length === 0) return null;
  return el(
    "section",
    { "aria-labelledby": "replies" },
    el("h2", { id: "replies" }, "What the actors were told"),
    el(
      "div",
      { class: "replies" },
      race.replies.map((reply) =>
        el("div", { class: reply.failed ? "reply failed" : "reply" }, el("h3", {}, reply.actor, " ", el("code", {}, reply.asked)), el("pre", { tabindex: "0", role: "group", "aria-label": `Reply to ${reply.actor}` }, reply.said)),
      ),
    ),
  );
}

function leftOut(race) {
  if (race.left_out.length === 0) return null;
  return el("section", { "aria-labelledby": "left-out" }, el("h2", { id: "left-out" }, "Left out, as it happens without"), el("ul", {}, race.left_out.map((what) => el("li", {}, what))));
}

function again(race) {
  if (!race.again) return null;
  return el("section", { class: "again", "aria-labelledby": "again" }, el("h2", { id: "again" }, "Run it again"), el("pre", { tabindex: "0", role: "group", "aria-label": "Command" }, el("code", {}, race.again)));
}
