// Small things that the other scripts build with. Texts are only ever set as texts.

const data = JSON.parse(document.getElementById("data").textContent);

/** An element; `parts` are texts, elements, or lists of them; nothing is left out. */
function el(name, attributes, ...parts) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "style") Object.entries(value).forEach(([k, v]) => made.style.setProperty(k, v));
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...parts.flat(9).filter((part) => part !== null && part !== undefined && part !== false));
  return made;
}

/** The same for drawings. */
function svg(name, attributes, ...parts) {
  const made = document.createElementNS(canvas.namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...parts);
  return made;
}

/** `ben`, `ben and amy`, `ben, amy and p1`. */
function list(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}

function counted(count, one, many) {
  return `${count} ${count === 1 ? one : many || `${one}s`}`;
}

/** A sentence with `code` set as code and `(step 3)` as a way there. */
function prose(text, race) {
  return text.split(/(`[^`]*`|\(?\bstep \d+\)?)/).map((part) => {
    if (part.startsWith("`")) return el("code", {}, highlight(part.slice(1, -1)));
    const step = /^(\(?)(step (\d+))(\)?)$/.exec(part);
    if (!step || Number(step[3]) > race.steps.length) return part;
    return el("span", { class: "together" }, step[1], el("button", { type: "button", class: "link", "data-go": step[3] }, step[2]), step[4]);
  });
}
