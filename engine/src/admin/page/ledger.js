// The fate of every record, by partition and claim.

const LEDGER_COLUMNS = [["Source"], ["Topic"], ["Partition", "number"], ["Epoch", "number"], ["Read", "number"], ["Written", "number"],
  ["Dead-lettered", "number"], ["Filtered", "number"], ["Skipped", "number"], ["In flight", "number"], ["Unaccounted", "number"]];
const LEDGER_FATES = ["read", "written", "dead_lettered", "filtered", "skipped", "in_flight", "unaccounted"];
const FATE_WORDS = { read: "Read", written: "Written", dead_lettered: "Dead-lettered", filtered: "Filtered", skipped: "Skipped",
  in_flight: "In flight", unaccounted: "Unaccounted" };
const LEDGER_SHOWN = 200;

function ledgerView() {
  const sums = el("dl", { class: "figures" });
  const filter = el("input", { type: "search", "aria-label": "Filter the ledger by source or topic", placeholder: "Filter: source, topic" });
  const grid = table("Ledger by partition", LEDGER_COLUMNS);
  const lines = card("By partition and epoch", el("div", { class: "tools-row" }, filter), grid);
  const law = el("p", { class: "faint" }, "read = written + dead-lettered + filtered + skipped + in flight. Unaccounted is the difference: 0, always.");
  const node = el("div", {}, el("h2", { class: "unseen" }, "Ledger"));
  node.append(sums);
  const whole = el("div", { class: "pair-none" }, law);
  let rows = [];
  const show = () => {
    const words = filter.value.trim().toLowerCase();
    const wanted = rows.filter((line) => !words || (line.source + " " + line.topic).toLowerCase().includes(words));
    const worst = [...wanted].sort((a, b) => Math.abs(b.unaccounted) - Math.abs(a.unaccounted)).slice(0, LEDGER_SHOWN);
    text(lines.aside, wanted.length > worst.length ? worst.length + " of " + wanted.length : plural(wanted.length, "line"));
    keyed(grid.body, worst, (line) => [line.source, line.topic, line.partition, line.epoch].join("\u0000"), () => row(LEDGER_COLUMNS), (node, line) => {
      [line.source, line.topic, line.partition, line.epoch, ...LEDGER_FATES.map((fate) => number(line[fate]))]
        .forEach((value, index) => text(node.cells[index], value));
      attribute(node.cells[10], "class", line.unaccounted ? "number bad" : "number");
    });
  };
  filter.addEventListener("input", show);
  const update = () => keyed(sums, LEDGER_FATES, (fate) => fate, (fate) => figure(FATE_WORDS[fate]), (tile, fate) => {
    text(tile.value, short(facts.snapshot.ledger[fate]));
    attribute(tile.value, "class", fate === "unaccounted" && facts.snapshot.ledger[fate] ? "bad" : null);
    attribute(tile.value, "title", number(facts.snapshot.ledger[fate]));
  });
  const load = async () => { rows = await ask("api/ledger"); show(); };
  return { nodes: [node, whole, lines], update, load, everyMs: 3000 };
}

function figure(name) {
  const value = el("dd");
  const tile = el("div", { class: "figure" }, el("dt", {}, name), value);
  tile.value = value;
  return tile;
}
