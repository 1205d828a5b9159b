// Conflicts as arrows over the lanes. They are measured, so they are drawn anew whenever something moves.

const canvas = document.getElementById("arrows");

/** Keeps the arrows of a timeline where its cards are; there is one timeline at a time. */
function arrows(race, grid) {
  grid.append(canvas);
  return () => draw(race, grid, canvas.querySelector("g"));
}

function draw(race, grid, group) {
  const box = grid.getBoundingClientRect();
  canvas.setAttribute("width", box.width);
  canvas.setAttribute("height", box.height);
  group.replaceChildren();
  const lanes = grid.classList.contains("wide");
  const used = new Map();
  // Those of the cycle last, on top of the others.
  for (const edge of [...race.edges].reverse()) {
    const [from, to] = [edge.from, edge.to].map((n) => grid.querySelector(`[data-step="${n}"]`));
    if (!from || !to || from.hidden || to.hidden) continue;
    const path = document.createElementNS(canvas.namespaceURI, "path");
    path.setAttribute("d", lanes ? across(box, from, to, race, edge, used) : along(box, from, to, race, edge, used));
    path.setAttribute("class", edge.cycle ? "cycle" : "other");
    path.setAttribute("marker-end", edge.cycle ? "url(#tip-cycle)" : "url(#tip)");
    group.append(path);
  }
}

/** Arrows that start or end at the same place stand a little apart. */
function apart(used, key) {
  const count = used.get(key) || 0;
  used.set(key, count + 1);
  return count * 9;
}

/** From lane to lane: from the side of one card to the side of the other. */
function across(box, from, to, race, edge, used) {
  const right = race.steps[edge.from].actor < race.steps[edge.to].actor;
  const place = (step, side, n) => {
    const card = step.querySelector(".card").getBoundingClientRect();
    const dot = step.querySelector(".dot").getBoundingClientRect();
    const x = side === "right" ? card.right + 1 : dot.left - 3;
    return [x - box.left, dot.top + dot.height / 2 - box.top + apart(used, `${n} ${side}`)];
  };
  const [x1, y1] = place(from, right ? "right" : "left", edge.from);
  const [x2, y2] = place(to, right ? "left" : "right", edge.to);
  const bend = Math.max(18, Math.min(60, Math.abs(x2 - x1) / 2)) * (right ? 1 : -1);
  return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
}

/** Where all lanes are one rail: from dot to dot. */
function along(box, from, to, race, edge, used) {
  const place = (step, n) => {
    const dot = step.querySelector(".dot").getBoundingClientRect();
    return [dot.left + dot.width / 2 - box.left, dot.top + dot.height / 2 - box.top + apart(used, `${n}`) / 3];
  };
  const [x1, y1] = place(from, edge.from);
  const [x2, y2] = place(to, edge.to);
  const down = y2 > y1 ? 1 : -1;
  const third = (y2 - y1) / 3;
  return `M${x1} ${y1 + 7 * down}C${x1} ${y1 + third} ${x2} ${y2 - third} ${x2} ${y2 - 8 * down}`;
}
