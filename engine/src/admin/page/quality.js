// What the quality gates say of each key. Without a gate it says so, instead of looking well.

const QUALITY_COLUMNS = [["Key"], ["Verdict"], ["Score", "number"], ["Why", "wrap"], ["For", "number"], ["Rules", "wrap wide"]];
const VERDICT_TONES = { trade: "good", watch: "warn", halt: "bad" };
const hasGate = () => [...facts.actors.values()].some((actor) => actor.kind === "quality_gate");

function qualityView() {
  const none = card("Quality", el("p", { class: "empty" }, "This topology has no quality gate, so nothing here judges its keys."),
    el("p", { class: "faint" }, "Add an actor of kind quality_gate behind a normalizer: it gives each key a verdict (trade, watch, halt) with its evidence."));
  const gates = el("div", { class: "gates" });
  const update = () => { none.hidden = hasGate(); gates.hidden = !hasGate(); };
  const load = async () => {
    if (!hasGate()) return;
    const answer = await ask("api/quality");
    keyed(gates, answer.gates, (gate) => gate.gate, gateCard, (node, gate) => node.update(gate));
  };
  return { nodes: [none, gates], update, load, everyMs: 3000 };
}

function gateCard(gate) {
  const grid = table("Keys of " + gate.gate, QUALITY_COLUMNS);
  const node = card("Gate " + gate.gate, grid);
  const keyOf = (entry) => Object.values(entry.key).join(" ") + (entry.override ? " (" + entry.override + ")" : "");
  node.update = (gate) => {
    text(node.aside, (gate.mode === "shadow" ? "shadow: it says, and stops nobody; " : "enforced; ") + plural(gate.keys_total, "key") + ", "
      + number(gate.halted) + " halted, " + number(gate.watched) + " watched" + (gate.keys_total && !gate.keys.length ? "; the token shows which" : ""));
    keyed(grid.body, gate.keys, (entry) => JSON.stringify(entry.key), () => row(QUALITY_COLUMNS), (line, entry) => {
      const rules = (entry.rules ?? []).filter((rule) => rule.score < 1 || rule.count).map((rule) => rule.rule + " " + percent(rule.score) + (rule.detail ? " (" + rule.detail + ")" : ""));
      [keyOf(entry), entry.verdict, percent(entry.score), entry.reason, span(facts.since(entry.since_us))].forEach((value, index) => text(line.cells[index], value));
      attribute(line.cells[1], "class", "state " + (VERDICT_TONES[entry.verdict] ?? ""));
      const evidence = (entry.evidence ?? []).slice(0, 5).map((one) => clockTime(one.at_us) + " " + one.rule + " " + JSON.stringify(one.row)).join("\n");
      if (line.shown !== rules.join() + evidence) {
        line.shown = rules.join() + evidence;
        line.cells[5].replaceChildren(rules.join(", "), ...(evidence ? [el("details", {}, el("summary", {}, "Evidence"), el("pre", {}, evidence))] : []));
      }
    });
  };
  return node;
}
