// The flow of data as a graph: boxes for actors (clones together), edges with their rate and how full they are. It is laid
// out anew only when there are other actors or other edges; each second only words and widths change.

const LAYER_MOST = 12;
const NARROW = 720;
const shown = { names: new Set() };

function graphView() {
  const place = el("div", { class: "flow", role: "group", "aria-label": "Data flow" });
  const words = el("ul", {});
  const inWords = el("details", {}, el("summary", {}, "The same in words"), words);
  const node = card("Data flow", place, inWords);
  let drawn = null, shape = "";
  const update = () => {
    const flow = grouped();
    const narrow = place.clientWidth > 0 && place.clientWidth < NARROW ? Math.max(260, place.clientWidth - 36) : 0;
    const now = JSON.stringify([narrow, flow.groups.map((group) => group.name), flow.edges.map((edge) => [edge.from, edge.to])]);
    if (now !== shape) {
      shape = now;
      const focused = place.contains(document.activeElement) ? document.activeElement.dataset.name : null;
      drawn = draw(place, flow, narrow, drawn);
      shown.names = new Set(drawn.nodes.keys());
      if (focused) drawn.nodes.get(focused)?.node.focus();
    }
    for (const group of flow.groups) refresh(drawn.nodes.get(group.name), group);
    flow.edges.forEach((edge, index) => refreshEdge(drawn.edges[index], edge));
    if (inWords.open) sayFlow(words, flow);
    text(node.aside, plural(facts.actors.size, "actor") + ", " + plural(facts.snapshot.edges.length, "link"));
  };
  inWords.addEventListener("toggle", () => { if (facts.snapshot) sayFlow(words, grouped()); });
  return { node, update };
}

// Clones under one name; where a layer has more than fit, those that are well go together.
function grouped() {
  const { snapshot } = facts, groups = new Map();
  for (const actor of snapshot.actors) {
    const name = baseName(actor.name);
    if (!groups.has(name)) groups.set(name, { name, actors: [], role: actor.role, kind: actor.kind });
    groups.get(name).actors.push(actor);
  }
  const edges = mergeEdges(snapshot.edges, baseName);
  const depth = depths([...groups.keys()], edges);
  const layers = new Map();
  for (const group of groups.values()) {
    weigh(group);
    const at = depth.get(group.name);
    if (!layers.has(at)) layers.set(at, []);
    layers.get(at).push(group);
  }
  const home = new Map();
  for (const [at, layer] of layers) {
    if (layer.length <= LAYER_MOST) continue;
    // Who is shown stays, unless somebody is worse: a graph that shuffles each second is read by nobody.
    const weight = (group) => group.rank * 2 + (shown.names.has(group.name) ? 1 : 0);
    const worst = [...layer].sort((a, b) => weight(b) - weight(a));
    const rest = worst.slice(LAYER_MOST - 1);
    const name = "\u2026" + at;
    const sum = { name, actors: rest.flatMap((group) => group.actors), role: "many", kind: "", many: rest.length };
    weigh(sum);
    for (const group of rest) { home.set(group.name, name); groups.delete(group.name); }
    groups.set(name, sum);
  }
  const merged = home.size ? mergeEdges(edges, (name) => home.get(name) ?? name) : edges;
  return { groups: [...groups.values()], edges: merged };
}

function weigh(group) {
  group.worst = group.actors.reduce((worst, actor) =>
    RANK[toneOf(actor.state)] > RANK[toneOf(worst.state)] ? actor : worst, group.actors[0]);
  group.neck = group.actors.some((actor) => facts.snapshot.bottleneck.includes(actor.name));
  const rates = group.actors.map(rateOf).filter((rate) => rate !== null && rate !== undefined);
  group.rate = rates.length ? rates.reduce((sum, rate) => sum + rate, 0) : null;
  group.rank = (RANK[toneOf(group.worst.state)] ?? 0) * 2 + (group.neck ? 1 : 0);
}

function mergeEdges(edges, home) {
  const merged = new Map();
  for (const edge of edges) {
    const [from, to] = [home(edge.from), home(edge.to)];
    if (from === to) continue;
    const key = from + "\u0000" + to, known = merged.get(key);
    if (!known) { merged.set(key, { from, to, rate: edge.records_per_second ?? edge.rate ?? null, ratio: edge.ratio }); continue; }
    const rate = edge.records_per_second ?? edge.rate ?? null;
    if (rate !== null) known.rate = (known.rate ?? 0) + rate;
    known.ratio = Math.max(known.ratio, edge.ratio);
  }
  return [...merged.values()];
}

// Those without an edge.
function isAside(group) {
  return group.role === "dead_letter" || group.role === "schedule";
}

// Boxes that were there before are moved, not made.
function draw(place, flow, narrow, before) {
  const aside = flow.groups.filter(isAside).map((group) => group.name);
  const names = flow.groups.map((group) => group.name);
  const plan = narrow ? column(names, aside, flow.edges, narrow) : layout(names, aside, flow.edges);
  const pad = 12, nodes = new Map();
  const picture = svg("svg", { width: plan.width + 2 * pad, height: plan.height + 2 * pad,
    viewBox: [-pad, -pad, plan.width + 2 * pad, plan.height + 2 * pad].join(" ") });
  // It shrinks to the room there is as long as its words can be read, then it is scrolled.
  picture.style.minWidth = Math.round((plan.width + 2 * pad) * 0.75) + "px";
  const ways = new Map(plan.edges.map((way) => [way.edge, way]));
  const edges = flow.edges.map((edge) => edgeOf(ways.get(edge)));
  picture.append(...edges.map((edge) => edge.lines));
  for (const group of flow.groups) {
    const known = before?.width === plan.size.width ? before.nodes.get(group.name) : null;
    const made = known ?? boxOf(group, plan.size);
    const { x, y } = plan.boxes.get(group.name);
    attribute(made.node, "transform", "translate(" + x + " " + y + ")");
    nodes.set(group.name, made);
    picture.append(made.node);
  }
  picture.append(...edges.map((edge) => edge.label));
  place.replaceChildren(picture);
  return { nodes, edges, width: plan.size.width };
}

function boxOf(group, size) {
  const line = (y, kind) => svg("text", { x: 16, y, class: kind });
  const right = (y) => svg("text", { x: size.width - 10, y, class: "soft", "text-anchor": "end" });
  const made = { name: line(22, "name"), kind: line(39, "soft"), state: line(56, "soft state"), rate: right(22), lag: right(39), size };
  const badge = svg("g", { class: "badge", transform: "translate(" + (size.width - 84) + " " + (size.height - 9) + ")" },
    svg("rect", { width: 78, height: 18, rx: 9 }), svg("text", { x: 39, y: 13, "text-anchor": "middle" }, "bottleneck"));
  made.badge = badge;
  made.title = svg("title");
  const open = () => {
    const one = made.group;
    if (one.many) location.hash = "actors";
    else openActor(one.worst.name);
  };
  made.node = svg("g", { role: "button", tabindex: "0", "data-name": group.name, onclick: open,
    onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); } } },
    made.title,
    svg("rect", { class: "box", width: size.width, height: size.height, rx: 7 }),
    svg("rect", { class: "stripe", width: 5, height: size.height, rx: 2.5 }),
    made.name, made.kind, made.state, made.rate, made.lag, badge);
  return made;
}

const cut = (words, most) => words.length > most ? words.slice(0, most - 1) + "\u2026" : words;

function refresh(made, group) {
  made.group = group;
  const { worst } = group, tone = toneOf(worst.state), clones = group.many ? 1 : group.actors.length;
  const title = group.many ? number(group.many) + " more" : group.name + (clones > 1 ? " \u00d7" + clones : "");
  const lag = group.role === "source" && !group.many ? lagOf(worst) : null;
  const rate = group.rate === null ? "" : perSecond(group.rate);
  const behind = lag && (lag.records || lag.seconds) ? "lag " + short(lag.records) + " \u00b7 " + seconds(lag.seconds) : "";
  const room = (pixels, beside) => Math.max(6, Math.floor((made.size.width - 30 - beside.length * 6.2) / pixels));
  const state = tone === "good" || tone === "" ? stateWords(worst.state) : stateWords(worst.state) + " for " + span(facts.since(worst.since_us));
  attribute(made.node, "class", [tone, group.neck ? "neck" : "", isAside(group) ? "aside" : ""].join(" ").trim());
  attribute(made.badge, "visibility", group.neck ? "visible" : "hidden");
  text(made.name, cut(title, room(7.4, rate)));
  text(made.kind, cut(group.many ? "all together" : group.role === "dead_letter" ? "takes rejected records" : group.kind, room(6, behind)));
  text(made.state, cut(state, room(6.4, "")));
  text(made.rate, rate);
  text(made.lag, behind);
  // The duration is left out: a name that changes each second is read aloud each second.
  attribute(made.node, "aria-label", title + ", " + (group.many ? "actors" : group.kind) + ", " + worst.state
    + (worst.reason ? ": " + worst.reason : "") + (group.neck ? ", bottleneck" : "") + (group.many ? ". Show all actors" : ". Show details"));
  text(made.title, title + (worst.reason ? ": " + worst.reason : ""));
}

function edgeOf(way) {
  const [u, v] = way.tip;
  const path = svg("path", { class: "edge", d: way.path });
  const tip = svg("path", { class: "tip", d: "M" + u + " " + v + "l-8 -4v8z" });
  const words = svg("text", { x: 0, y: 0, "text-anchor": "middle", class: "soft" });
  const level = svg("rect", { class: "level", x: -22, y: 13, width: 44, height: 5, rx: 2.5 });
  const inside = svg("rect", { class: "level-in", x: -22, y: 13, width: 0, height: 5, rx: 2.5 });
  const label = svg("g", { "aria-hidden": "true", visibility: way.label ? "visible" : "hidden" }, words, level, inside);
  if (way.label) attribute(label, "transform", "translate(" + way.label.join(" ") + ")");
  return { lines: svg("g", { "aria-hidden": "true" }, path, tip), path, tip, label, words, inside };
}

function refreshEdge(made, edge) {
  const full = edge.ratio >= 0.75;
  attribute(made.path, "class", full ? "edge full" : "edge");
  attribute(made.tip, "class", full ? "tip full" : "tip");
  attribute(made.label, "class", full ? "full" : "");
  attribute(made.path, "stroke-width", (1.4 + Math.min(4, Math.log10(1 + (edge.rate ?? 0)) * 0.8)).toFixed(1));
  text(made.words, perSecond(edge.rate));
  attribute(made.inside, "width", (44 * edge.ratio).toFixed(1));
}

function sayFlow(words, flow) {
  const title = (name) => flow.groups.find((group) => group.name === name)?.many ? "others" : name;
  keyed(words, flow.edges, (edge) => edge.from + "\u0000" + edge.to, () => el("li"), (line, edge) =>
    text(line, title(edge.from) + " to " + title(edge.to) + ": " + perSecond(edge.rate) + ", " + percent(edge.ratio) + " full"));
}
