// The document, written to in few ways. Text goes through textContent: nothing a name or a reason holds becomes markup.
// What is shown already is left alone, so a second that changes nothing costs no layout.

const byId = (id) => document.getElementById(id);
const SVG = byId("svg").namespaceURI;

// An element with its attributes (those that begin with "on" are listeners) and its children.
function el(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

function furnish(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else attribute(node, name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined)
    .map((child) => child instanceof Node ? child : plainText(child)));
  return node;
}

// Marks that turn the direction of text would turn the words after a name, too: they are shown as what they are, nothing.
const plainText = (value) => String(value).replace(/[\u202a-\u202e\u2066-\u2069]/g, "\ufffd");

// null or false takes the attribute away.
function attribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : plainText(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

function text(node, value) {
  const words = value === null || value === undefined ? "" : plainText(value);
  if (node.textContent !== words) node.textContent = words;
}

// Brings the children of `parent` in line with `items`: those that stay are kept and updated, and move only if they must.
function keyed(parent, items, key, make, update) {
  const known = parent.keyed ?? (parent.keyed = new Map());
  const wanted = new Set();
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    wanted.add(name);
    let node = known.get(name);
    if (!node) {
      node = make(item);
      known.set(name, node);
    }
    update(node, item);
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const [name, node] of known) {
    if (!wanted.has(name)) {
      node.remove();
      known.delete(name);
    }
  }
}

// A card with a heading; the heading names the region.
let cards = 0;
function card(title, ...children) {
  const id = "card-" + ++cards;
  const aside = el("span", { class: "aside faint" });
  const node = el("section", { class: "card", "aria-labelledby": id },
    el("header", {}, el("h2", { id }, title), aside), ...children);
  node.aside = aside;
  return node;
}

// A table in a region of its own, which scrolls sideways where there is no room, by keyboard too.
function table(name, columns) {
  const head = columns.map(([title, kind]) => el("th", { scope: "col", class: kind }, title));
  const body = el("tbody");
  const node = el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": name },
    el("table", {}, el("caption", { class: "unseen" }, name), el("thead", {}, el("tr", {}, head)), body));
  node.body = body;
  return node;
}

// A row of cells under such a head; the first names the row.
function row(columns) {
  return el("tr", {}, columns.map(([, kind], index) =>
    index ? el("td", { class: kind }) : el("th", { scope: "row", class: kind })));
}

let toastTimer = 0;
function toast(words) {
  text(byId("toast"), words);
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => text(byId("toast"), ""), 8000);
}

// A command to paste, with a button that copies it.
function command(line) {
  const code = el("pre", {}, line);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(line);
      toast("Copied.");
    } catch {
      getSelection().selectAllChildren(code);
      toast("Selected: copy it with the keyboard.");
    }
  };
  return el("div", { class: "command" }, code,
    el("button", { type: "button", onclick: copy, "aria-label": "Copy the command " + line }, "Copy"));
}
