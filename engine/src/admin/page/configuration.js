// What runs: its generation, how the last reload went, whether the file on disk says something else; the orders to the node.

function configurationView() {
  const runs = el("dl", { class: "facts" });
  const orders = el("div", { class: "tools-row" },
    el("button", { type: "button", onclick: () => orderNode("reload") }, "Reload\u2026"),
    el("button", { type: "button", onclick: () => orderNode("drain") }, "Drain\u2026"));
  const node = card("What runs", runs, el("h3", {}, "Orders to the node"), orders);
  const said = el("p", { role: "status" }), plan = el("pre"), paste = el("div");
  const planned = card("Plan", said, plan, paste);
  attribute(planned, "class", "card plan");
  plan.hidden = true;
  const settings = card("Settings", el("dl", { class: "facts" }));
  const update = () => {
    const { snapshot } = facts;
    const last = facts.events.findLast((event) => ["reloaded", "rolled_back", "reload_refused"].includes(event.what));
    factList(runs, [
      ["Topology", snapshot.topology],
      ["Generation", snapshot.generation + (snapshot.generation === 1 ? ", since the start" : "")],
      ["Last reload", last ? last.what.replaceAll("_", " ") + " at " + date(last.at_us) + ": " + last.detail : "none that the events still tell of"],
      ["Node", snapshot.node], ["Version", snapshot.version],
      ["Since", date(snapshot.started_us) + " (" + span(facts.since(snapshot.started_us)) + ")"],
      ["Orders", snapshot.door.orders ? (door.token ? "with the token of this tab" : "with the admin token") : "off: this node has no admin token"],
    ]);
  };
  const load = async () => {
    const answer = await ask("api/plan");
    const changes = answer.plan?.changes;
    text(said, answer.error ? sentence(answer.error) : changes ? "The file on disk differs from what runs. A reload would do this:" : "The file on disk says what runs.");
    attribute(said, "class", answer.error && answer.file ? "bad" : changes ? "warn" : answer.error ? "faint" : "good");
    const words = answer.findings ?? (changes ? answer.plan_text : "");
    text(plan, words);
    plan.hidden = !words;
    const line = answer.file ? "aqueduct plan " + answer.file + " --node " + location.origin : null;
    if (line && paste.dataset.line !== line) { paste.dataset.line = line; paste.replaceChildren(command(line)); }
    const known = await ask("api/settings");
    const flat = Object.entries(known.settings ?? {}).map(([name, { value, origin, place }]) =>
      [name, (value ?? "none") + (origin === place ? " (" + origin + ")" : " (" + origin + ", " + place + ")")]);
    factList(settings.querySelector("dl"), flat);
  };
  return { nodes: [el("div", { class: "pair" }, node, planned), settings], update, load, everyMs: 15000, needsToken: true };
}
