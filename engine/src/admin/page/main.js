// The page as a whole: its views, the overview, and the stream that keeps them alive. Only the view that is open is
// written to.

const PROBLEMS_SHOWN = 12;
const overview = () => {
  const rest = el("p", { class: "faint" }), headline = el("strong"), more = el("span", { class: "faint" }), found = el("ul", { class: "problems", "aria-label": "What is wrong" });
  const verdictCard = el("section", { class: "card verdict", "aria-label": "Verdict" },
    el("p", { class: "headline", role: "status" }, headline, more), found, rest);
  const tiles = el("dl", { class: "figures", "aria-label": "Figures" });
  const graph = graphView(), charts = chartsView(), lately = timelineView(8, false);
  const update = () => {
    const wrong = problems(), { tone, headline: words, more: facts_ } = verdict(wrong);
    attribute(verdictCard, "class", "card verdict " + tone);
    text(headline, { good: "\u2713 ", busy: "\u25d1 ", warn: "\u25b2 ", bad: "\u2715 " }[tone] + words);
    attribute(headline, "class", tone);
    text(more, facts_);
    found.hidden = !wrong.length;
    rest.hidden = wrong.length <= PROBLEMS_SHOWN;
    text(rest, "and " + (wrong.length - PROBLEMS_SHOWN) + " more: see Actors");
    keyed(found, wrong.slice(0, PROBLEMS_SHOWN), (one) => one.who + "\u0000" + one.what, problemLine, (line, one) => line.update(one));
    keyed(tiles, figures(), ([name]) => name, sparkTile, refreshTile);
    graph.update();
    charts.update();
    lately.update();
  };
  return { nodes: [verdictCard, tiles, graph.node, charts.node, lately.node], update };
};

function problemLine(first) {
  const name = first.who ? el("button", { type: "button", class: "link", onclick: () => openActor(first.who) }) : el("span");
  const since = el("span", { class: "since faint" }), why = el("p"), todo = el("p", { class: "todo" });
  const line = el("li", {}, el("p", { class: "what" }, name, since), why, todo);
  line.update = (one) => {
    attribute(line, "class", one.tone);
    text(name, one.what);
    text(since, one.since ? "for " + span(facts.since(one.since)) + ", since " + clockTime(one.since) : "");
    text(why, one.why);
    text(todo, one.todo);
    why.hidden = !one.why;
    todo.hidden = !one.todo;
  };
  return line;
}

const sourcesLag = () => [...facts.actors.values()].map(lagOf).filter(Boolean);
const FIGURES = [
  ["Read", () => perSecond(facts.snapshot.ledger.read_per_second), "read_per_second"],
  ["Written", () => perSecond(facts.snapshot.ledger.written_per_second), "written_per_second"],
  ["Behind, records", () => short(sourcesLag().reduce((sum, lag) => sum + lag.records, 0)), "lag_records"],
  ["Behind, time", () => seconds(Math.max(0, ...sourcesLag().map((lag) => lag.seconds))), "lag_seconds"],
  ["In flight", () => short(facts.snapshot.ledger.in_flight), "in_flight_records"],
  ["Dead-lettered", () => short(facts.snapshot.ledger.dead_lettered), "dead_lettered_per_second"],
  ["Restarts", () => short([...facts.actors.values()].reduce((sum, actor) => sum + actor.restarts, 0)), "restarts"],
];

const gatesSum = (name) => facts.snapshot.gates.reduce((sum, gate) => sum + gate[name], 0);
const HALTED = ["Halted keys", () => number(gatesSum("halted")) + " of " + number(gatesSum("keys_total"))];
const figures = () => facts.snapshot.gates.length ? [...FIGURES, HALTED] : FIGURES;

function sparkTile([name]) {
  const tile = figure(name);
  tile.path = svg("path", { class: "spark" });
  tile.append(svg("svg", { viewBox: "0 0 720 26", preserveAspectRatio: "none", "aria-hidden": "true" }, tile.path));
  return tile;
}

function refreshTile(tile, [, value, name]) {
  text(tile.value, value());
  const values = facts.history?.series[name];
  if (!values || tile.drawn === facts.history) return;
  tile.drawn = facts.history;
  const most = Math.max(...known(values), 1e-9);
  attribute(tile.path, "d", pathOf(values, (index, count) => 720 - (count - 1 - index) * 720 / (drawn() - 1), (value) => 24 - value / most * 22));
}

const VIEWS = [
  ["overview", "Overview", overview],
  ["actors", "Actors", () => { const tree = treeView(); return { nodes: [tree.node], update: tree.update }; }],
  ["events", "Events", () => { const line = timelineView(); return { nodes: [line.node], update: line.update }; }],
  ["ledger", "Ledger", ledgerView],
  ["letters", "Dead letters", lettersView],
  ["quality", "Quality", qualityView],
  ["cache", "Cache", cacheView],
  ["drills", "Drills", drillsView],
  ["configuration", "Configuration", configurationView],
];

const page = { views: new Map(), open: null };

function showView() {
  const name = VIEWS.some(([id]) => id === location.hash.slice(1)) ? location.hash.slice(1) : "overview";
  if (location.hash === "#main") { byId("main").focus(); return; }
  for (const link of byId("views").querySelectorAll("a")) attribute(link, "aria-current", link.hash === "#" + name ? "page" : null);
  if (!page.views.has(name)) {
    const view = VIEWS.find(([id]) => id === name)[2]();
    view.title = VIEWS.find(([id]) => id === name)[1];
    view.failed = el("p", { class: "card warn", role: "status", hidden: true });
    view.section = el("section", { id: "view-" + name, "aria-label": view.title }, view.failed, ...view.nodes);
    page.views.set(name, view);
    byId("main").append(view.section);
  }
  for (const [id, view] of page.views) view.section.hidden = id !== name;
  page.open = page.views.get(name);
  refreshView();
  loadView(page.open);
}

function refreshView() {
  if (!facts.snapshot || !page.open) return;
  page.open.update();
  updateActor();
}

// What the stream does not carry is asked for while its view is open.
async function loadView(view) {
  if (!view.load || !facts.snapshot || view.loading) return;
  const closed = view.needsToken && facts.snapshot.door.payloads_need_token && !door.token;
  if (closed) text(view.failed, "This shows what records hold, so away from this machine it needs the admin token.");
  view.failed.hidden = !closed;
  if (closed) return;
  view.loading = true;
  try {
    await view.load();
    view.failed.hidden = true;
  } catch (error) {
    text(view.failed, "Not shown: " + error.message);
    view.failed.hidden = false;
  }
  view.loading = false;
  view.loadedAt = performance.now();
}

function refreshBar() {
  const { snapshot } = facts, wrong = problems(), { tone, headline } = verdict(wrong);
  text(byId("topology"), snapshot.topology);
  text(byId("phase"), headline);
  attribute(byId("phase"), "class", "chip " + tone);
  text(byId("about"), "node " + snapshot.node + ", generation " + snapshot.generation + ", version " + snapshot.version + ", up " + span(facts.since(snapshot.started_us)));
  const title = ({ good: "\u2713 ", busy: "\u25d1 ", warn: "\u25b2 ", bad: "\u2715 " }[tone]) + headline + " \u2013 " + snapshot.topology;
  if (document.title !== title) document.title = title;
  const count = byId("views").querySelector("a[href='#actors'] .count"), unwell = snapshot.not_ready.length;
  text(count, unwell || "");
  count.hidden = !unwell;
  attribute(count, "aria-label", unwell ? unwell + " not ready" : null);
  text(byId("token"), door.token ? "Token entered" : "Enter token");
  byId("token").hidden = !snapshot.door.orders && !snapshot.door.payloads_need_token;
}

// A node that says nothing is shown as such: how long, and what is shown is as of when.
function sayDead(why) {
  const dead = byId("dead");
  if (!page.silentSince) page.silentSince = performance.now();
  const silent = (performance.now() - Math.min(page.silentSince, facts.receivedAt || page.silentSince)) / 1000;
  const asOf = facts.snapshot ? " What is shown is as of " + clockTime(facts.snapshot.at_us) + "." : "";
  if (why) page.why = why;
  if (silent < SILENT_AFTER_MS / 1000 && facts.snapshot) return;
  if (!dead.firstChild) dead.append(el("strong"), " ", el("span"));
  text(dead.firstChild, "No answer from this node for " + span(silent) + ".");
  text(dead.lastChild, (page.why ? "Why: " + page.why + "." : "") + asOf + " It is tried again every few seconds.");
  dead.hidden = false;
  document.body.classList.add("stale");
  text(byId("phase"), "No answer");
  attribute(byId("phase"), "class", "chip bad");
  document.title = "\u2715 No answer \u2013 " + (facts.snapshot?.topology ?? "Aqueduct");
}

function sayAlive() {
  const back = page.silentSince && !byId("dead").hidden;
  page.silentSince = 0;
  page.why = "";
  byId("dead").hidden = true;
  document.body.classList.remove("stale");
  if (back) {
    toast("The node answers again.");
    page.historyAt = 0;
  }
}

// A node that was just started has no sample yet: whoever looks does not wait for long.
const historyEveryMs = () => facts.history && known(facts.history.series.read_per_second).length ? 15000 : 2000;

const THEMES = ["system", "light", "dark"];
function theme(next) {
  const at = THEMES.indexOf(localStorage.getItem("aqueduct-theme") ?? "system");
  const wanted = THEMES[(Math.max(at, 0) + (next ? 1 : 0)) % THEMES.length];
  if (next) localStorage.setItem("aqueduct-theme", wanted);
  attribute(document.documentElement, "data-theme", wanted === "system" ? null : wanted);
  text(byId("theme"), "Theme: " + wanted);
}

function begin() {
  theme(false);
  byId("theme").addEventListener("click", () => theme(true));
  byId("token").addEventListener("click", askToken);
  byId("views").append(...VIEWS.map(([id, title]) => el("li", {}, el("a", { href: "#" + id }, title,
    ...(id === "actors" ? [el("span", { class: "count", hidden: true })] : [])))));
  addEventListener("hashchange", showView);
  addEventListener("resize", refreshView);
  const stream = follow("api/live", door.headers, {
    part(name, data, id) {
      if (name === "event") { takeEvent(data, id); return; }
      const first = !facts.snapshot;
      takeSnapshot(data);
      sayAlive();
      refreshBar();
      refreshView();
      if (first || performance.now() - (page.historyAt || 0) > historyEveryMs()) {
        page.historyAt = performance.now();
        takeHistory().then(refreshView, () => {});
      }
      const { open } = page;
      if (first || (open.load && performance.now() - (open.loadedAt ?? 0) > open.everyMs)) loadView(open);
    },
    lost: sayDead,
    silent: () => sayDead(),
  });
  door.changed.add(() => {
    stream.restart();
    facts.events = [];
    if (page.open) loadView(page.open);
    if (facts.snapshot) refreshBar();
  });
  showView();
}

begin();
