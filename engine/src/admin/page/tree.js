// The supervision tree as a table: a group for each supervisor, which folds; a filter; in a large tree only so many rows
// until more are asked for.

const ROWS_AT_FIRST = 100;
const ACTOR_COLUMNS = [["Actor", "who"], ["State", "at"], ["Why", "wrap"], ["For", "wide"], ["Restarts", "number"], ["Records/s", "number"],
  ["Fullest input", "wide"], ["Blocked", "number wide"], ["Lag", "number"], ["Rejected", "number"]];

function treeView() {
  const filter = el("input", { type: "search", "aria-label": "Filter actors by name, kind or state", placeholder: "Filter: name, kind, state" });
  const only = el("input", { type: "checkbox" });
  const count = el("span", { class: "faint", role: "status" });
  const grid = el("table", { class: "tree" }, el("caption", { class: "unseen" }, "Supervision tree"),
    el("thead", {}, el("tr", {}, ACTOR_COLUMNS.map(([title, kind]) => el("th", { scope: "col", class: kind }, title)))));
  const node = card("Supervision", el("div", { class: "tools-row" }, filter, el("label", {}, only, "Only what is not well"), count),
    el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Supervision tree" }, grid));
  const folded = new Set(), whole = new Set();
  grid.keyed = new Map();
  const update = () => {
    const words = filter.value.trim().toLowerCase();
    const wanted = (actor) => (!only.checked || toneOf(actor.state) !== "good" || facts.snapshot.bottleneck.includes(actor.name))
      && (!words || (actor.name + " " + actor.kind + " " + actor.state).toLowerCase().includes(words));
    const groups = supervisors(), shown = groups.reduce((sum, { actors }) => sum + actors.filter(wanted).length, 0);
    keyedAfterHead(grid, groups, ({ supervisor }) => supervisor.name,
      ({ supervisor, depth }) => groupBody(supervisor, depth, folded, whole, update),
      (body, { supervisor, depth, actors }) => fillGroup(body, supervisor, depth, actors.filter(wanted), folded, whole));
    text(count, shown === facts.actors.size ? plural(shown, "actor") : shown + " of " + plural(facts.actors.size, "actor"));
  };
  filter.addEventListener("input", update);
  only.addEventListener("change", update);
  return { node, update };
}

function keyedAfterHead(grid, items, key, make, update) {
  // `keyed` begins at the first child: the head is put back where it was.
  const heads = [grid.caption, grid.tHead];
  keyed(grid, items, key, make, update);
  if (grid.firstElementChild !== heads[0]) grid.prepend(...heads);
}

// In the order of the tree, with how deep each is.
function supervisors() {
  const byName = new Map(facts.snapshot.supervisors.map((one) => [one.name, one])), found = [];
  const visit = (supervisor, depth) => {
    const actors = supervisor.children.flatMap((name) => facts.actors.get(name) ?? []);
    found.push({ supervisor, depth, actors });
    for (const name of supervisor.children) if (byName.has(name) && !facts.actors.has(name)) visit(byName.get(name), depth + 1);
  };
  if (facts.snapshot.supervisors.length) visit(facts.snapshot.supervisors[0], 0);
  return found;
}

function groupBody(supervisor, depth, folded, whole, update) {
  const toggle = el("button", { type: "button", class: "link", onclick: () => {
    if (!folded.delete(supervisor.name)) folded.add(supervisor.name);
    update();
  } });
  const words = el("span", { class: "faint" });
  const more = el("button", { type: "button", onclick: () => { whole.add(supervisor.name); update(); } });
  const head = el("tr", { class: "group" }, el("th", { scope: "rowgroup", colspan: ACTOR_COLUMNS.length, class: indent(depth) }, toggle, " ", words));
  const body = el("tbody", {}, head);
  body.head = { toggle, words, head };
  body.more = el("tr", {}, el("td", { colspan: ACTOR_COLUMNS.length }, more));
  body.moreButton = more;
  body.lines = new Map();
  return body;
}

const indent = (depth) => depth ? "indent-" + Math.min(depth, 3) : null;

function fillGroup(body, supervisor, depth, actors, folded, whole) {
  const { toggle, words, head } = body.head, open = !folded.has(supervisor.name);
  text(toggle, (open ? "\u25be " : "\u25b8 ") + supervisor.name);
  attribute(toggle, "aria-expanded", String(open));
  text(words, supervisor.strategy + ", more than " + supervisor.intensity + " in " + seconds(supervisor.period_seconds) + " escalates, " + plural(actors.length, "actor"));
  const most = whole.has(supervisor.name) ? Infinity : ROWS_AT_FIRST;
  const worstFirst = actors.length > most
    ? [...actors].sort((a, b) => RANK[toneOf(b.state)] - RANK[toneOf(a.state)]).slice(0, most) : actors;
  const shown = open ? worstFirst : [];
  const wanted = new Set(shown.map((actor) => actor.name));
  for (const [name, row] of body.lines) if (!wanted.has(name)) { row.remove(); body.lines.delete(name); }
  let before = head;
  for (const actor of shown) {
    let line = body.lines.get(actor.name);
    if (!line) { line = actorRow(actor, depth); body.lines.set(actor.name, line); }
    if (before.nextElementSibling !== line) before.after(line);
    refreshActorRow(line, actor);
    before = line;
  }
  if (open && actors.length > shown.length) {
    text(body.moreButton, "Show all " + actors.length);
    if (before.nextElementSibling !== body.more) before.after(body.more);
  } else body.more.remove();
}

function actorRow(actor, depth) {
  const line = row(ACTOR_COLUMNS);
  const name = el("button", { type: "button", class: "link", onclick: () => openActor(actor.name) }, actor.name);
  line.cells[0].append(name, " ", el("span", { class: "faint" }, actor.kind));
  attribute(line.cells[0], "class", "wrap " + (indent(depth + 1) ?? ""));
  line.state = el("span", { class: "state" });
  line.cells[1].append(line.state);
  line.meter = meter();
  line.cells[6].append(line.meter.node, line.meter.words);
  return line;
}

function meter() {
  const inside = el("i"), words = el("span");
  const node = el("span", { class: "meter", "aria-hidden": "true" }, inside);
  return { node, words, set(ratio, more = "") {
    const width = Math.round(ratio * 100) + "%";
    if (inside.style.width !== width) inside.style.width = width;
    attribute(node, "class", ratio >= 0.75 ? "meter full" : "meter");
    text(words, percent(ratio) + more);
  } };
}

function refreshActorRow(line, actor) {
  const lag = lagOf(actor), rejected = lettersOf(actor), fullest = actor.inputs.reduce((most, link) =>
    link.ratio > (most?.ratio ?? -1) ? link : most, null);
  const neck = facts.snapshot.bottleneck.includes(actor.name);
  text(line.state, stateWords(actor.state) + (neck ? ", bottleneck" : ""));
  attribute(line.state, "class", "state " + (neck && toneOf(actor.state) === "good" ? "warn" : toneOf(actor.state)));
  text(line.cells[2], actor.reason ?? (actor.restarts ? "last exit: " + (actor.last_exit ?? "") : ""));
  text(line.cells[3], span(facts.since(actor.since_us)));
  text(line.cells[4], number(actor.restarts));
  text(line.cells[5], perSecond(rateOf(actor)).replace("/s", ""));
  attribute(line.meter.node, "hidden", !fullest);
  if (fullest) line.meter.set(fullest.ratio, actor.inputs.length > 1 ? ", from " + fullest.from : "");
  text(line.cells[7], actor.blocked_seconds >= 0.05 ? seconds(actor.blocked_seconds) : "");
  text(line.cells[8], lag ? short(lag.records) + (lag.seconds ? " \u00b7 " + seconds(lag.seconds) : "") : "");
  text(line.cells[9], rejected ? number(rejected) : "");
}
