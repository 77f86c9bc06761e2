// One actor, whole: what it is at, what it talks to, what it rejected, and the orders it takes.

let openedActor = null;

function openActor(name) {
  const facts_ = el("dl", { class: "facts" }), inputs = el("ul", {}), lag = el("div"), letters = el("ul", {}), figures = el("dl", { class: "facts" });
  const section = (title, body) => el("div", {}, el("h3", {}, title), body);
  const parts = [facts_, section("Inputs", inputs), section("Lag by partition", lag), section("Rejected here, since the node began", letters), section("Figures", figures)];
  const orderNow = (what) => () => { const actor = facts.actors.get(name); if (actor) orderActor(what, actor); return false; };
  const node = dialog(name, parts, [
    ["Start", "", orderNow("start")], ["Stop", "danger", orderNow("stop")], ["Restart", "primary", orderNow("restart")],
  ]);
  node.id = "actor";
  openedActor = { name, parts: { facts_, inputs, lag, letters, figures, sections: parts.slice(1),
    buttons: node.querySelectorAll("footer button") } };
  node.addEventListener("close", () => { openedActor = null; });
  updateActor();
  node.showModal();
  node.querySelector("header button").focus();
}

function updateActor() {
  if (!openedActor || !facts.snapshot) return;
  const { name, parts } = openedActor, actor = facts.actors.get(name);
  if (!actor) {
    text(parts.facts_, "It is not part of the topology any more.");
    return;
  }
  const [start, stop, restart] = parts.buttons;
  start.disabled = actor.ready || actor.state === "starting";
  stop.disabled = actor.state === "stopped";
  restart.disabled = actor.state === "stopped" || actor.state === "finished";
  const [inputs, lag, letters, figures] = parts.sections;
  const lines = [
    ["State", stateWords(actor.state) + " for " + span(facts.since(actor.since_us))],
    ["Why", actor.reason],
    ["Kind", actor.kind + " (" + actor.role + ")" + (actor.id === actor.name ? "" : ", identity " + actor.id)],
    ["Supervisor", actor.supervisor],
    ["Restarts", number(actor.restarts) + (actor.last_exit ? "; last exit: " + actor.last_exit : "")],
    ["Records", perSecond(rateOf(actor))],
    ["Held up by outputs", actor.blocked_seconds >= 0.05 ? seconds(actor.blocked_seconds) : "never"],
    ["Last answer of what it depends on", actor.last_contact_us ? span(facts.since(actor.last_contact_us)) + " ago" : null],
    ["Last write", actor.last_write_us ? span(facts.since(actor.last_write_us)) + " ago" : null],
    ["Goes on to", list([...(facts.readers.get(name) ?? [])]) || null],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");
  factList(parts.facts_, lines);
  inputs.hidden = !actor.inputs.length;
  keyed(parts.inputs, actor.inputs, (link) => link.from, () => el("li"), (line, link) =>
    text(line, link.from + ": " + percent(link.ratio) + " full, " + plural(link.batches, "batch", "batches") + ", " + bytesOf(link.bytes)));
  lag.hidden = !actor.lag.length;
  if (actor.lag.length) lagTable(parts.lag, actor.lag);
  const reasons = Object.entries(actor.dead_letters).sort((a, b) => b[1] - a[1]);
  letters.hidden = !reasons.length;
  keyed(parts.letters, reasons, ([reason]) => reason, () => el("li"), (line, [reason, count]) => text(line, reason + ": " + number(count)));
  const shown = (actor.figures ?? []).slice(0, 60);
  figures.hidden = !shown.length;
  factList(parts.figures, shown.map((figure) => [figureName(figure), short(figure.value)]));
}

const figureName = (figure) => figure.name.replace(/^aqueduct_/, "")
  + Object.entries(figure.labels ?? {}).map(([name, value]) => " " + name + "=" + value).join("");

function factList(place, lines) {
  const flat = lines.flatMap(([name, value]) => [["dt", name, name], ["dd", name + "\u0000", value]]);
  keyed(place, flat, ([, key]) => key, ([tag]) => el(tag), (node, [, , value]) => text(node, value));
}

function lagTable(place, lines) {
  const columns = [["Topic"], ["Partition", "number"], ["Records", "number"], ["Age", "number"]];
  if (!place.table) place.append(place.table = table("Lag by partition", columns));
  const worst = [...lines].sort((a, b) => b.records - a.records).slice(0, 50);
  keyed(place.table.body, worst, (line) => line.topic + "/" + line.partition, () => row(columns), (node, line) => {
    [line.topic, line.partition, number(line.records), seconds(line.seconds)].forEach((value, index) => text(node.cells[index], value));
  });
}
