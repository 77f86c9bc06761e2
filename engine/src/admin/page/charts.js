// The last hour as lines, drawn when it is asked for anew; each with a sentence that says the same.

const CHARTS = [
  { title: "Throughput", unit: "/s", lines: [["read_per_second", "read"], ["written_per_second", "written"]] },
  { title: "Lag in records", unit: "", lines: [["lag_records", "records behind"]] },
  { title: "Lag in seconds", unit: " s", lines: [["lag_seconds", "age of the first record the sinks lack"]] },
  { title: "In flight and rejected", unit: "", lines: [["in_flight_records", "in flight"], ["dead_lettered_per_second", "rejected a second"]] },
];

function chartsView() {
  const charts = CHARTS.map(chart);
  const node = el("div", { class: "pair" }, charts.map((one) => one.node));
  let shown = null;
  const update = () => {
    const due = facts.history && (facts.history !== shown || charts.some((one) => one.width() !== one.drawnWidth));
    if (!due) return;
    shown = facts.history;
    for (const one of charts) one.draw();
  };
  return { node, update };
}

function chart({ title, unit, lines }) {
  const picture = svg("svg", { class: "chart", role: "img" });
  const caption = el("figcaption");
  const legend = el("div", { class: "legend faint" }, lines.length > 1
    ? lines.map(([, words], index) => el("span", { class: index ? "key two" : "key" }, words)) : [el("span", {}, lines[0][1])]);
  const values = el("div");
  const details = el("details", {}, el("summary", {}, "As a table"), values);
  const node = card(title, legend, el("figure", {}, picture, caption), details);
  const made = { node, drawnWidth: 0, width: () => picture.clientWidth };
  details.addEventListener("toggle", () => { if (facts.history) asTable(values, title, lines, unit); });
  made.draw = () => {
    made.drawnWidth = made.width();
    if (!made.drawnWidth) return;
    const { series } = facts.history;
    const words = lines.map(([name, words]) => words + " " + summary(series[name] ?? [], unit)).join("; ");
    attribute(picture, "aria-label", title + ", last hour: " + words);
    text(caption, words);
    drawLines(picture, made.drawnWidth, lines.map(([name]) => series[name] ?? []), unit);
    if (details.open) asTable(values, title, lines, unit);
  };
  picture.addEventListener("pointermove", (event) => readOut(picture, event, caption, lines, unit));
  picture.addEventListener("pointerleave", () => { picture.querySelector(".cursor")?.remove(); if (facts.history) made.draw(); });
  return made;
}

const known = (values) => values.filter((value) => value !== null);
function summary(values, unit) {
  const real = known(values);
  if (!real.length) return "not known yet";
  const most = Math.max(...real), at = values.lastIndexOf(most);
  return short(real[real.length - 1]) + unit + " now, at most " + short(most) + unit + " at " + clockTime(timeOf(at)).slice(0, 5);
}
const timeOf = (index) => facts.history.from_us + index * facts.history.step_seconds * 1e6;

const FRAME = { left: 46, right: 8, top: 10, bottom: 20, height: 150 };
// So many samples are drawn: the last hour, or less of a node that is younger, but five minutes at least.
const drawn = () => Math.min(720, Math.max(60, facts.history.series.read_per_second.length));

function drawLines(picture, width, all, unit) {
  const most = nice(Math.max(0, ...all.flatMap(known)));
  const right = width - FRAME.right, floor = FRAME.height - FRAME.bottom;
  const x = (index, count) => right - (count - 1 - index) * (right - FRAME.left) / (drawn() - 1);
  const y = (value) => floor - value / most * (floor - FRAME.top);
  const parts = [];
  for (const share of [0, 0.5, 1]) {
    parts.push(svg("line", { class: "grid", x1: FRAME.left, x2: right, y1: y(most * share), y2: y(most * share) }));
    parts.push(svg("text", { x: FRAME.left - 6, y: y(most * share) + 4, "text-anchor": "end" }, short(most * share)));
  }
  const minutes = drawn() / 12, step = [1, 2, 5, 10, 15].find((one) => minutes / one <= (width < 400 ? 3 : 6)) ?? 30;
  for (let back = 0; back <= minutes; back += step) {
    const at = right - back / minutes * (right - FRAME.left);
    parts.push(svg("text", { x: at, y: FRAME.height - 5, "text-anchor": back ? "middle" : "end" }, back ? "\u2212" + back + " min" : "now"));
  }
  all.forEach((values, line) => parts.push(svg("path", { class: line ? "line two" : "line", d: pathOf(values, x, y) })));
  attribute(picture, "viewBox", "0 0 " + width + " " + FRAME.height);
  picture.replaceChildren(...parts);
}

function pathOf(values, x, y) {
  let path = "", gap = true;
  values.forEach((value, index) => {
    if (value === null) { gap = true; return; }
    path += (gap ? "M" : "L") + x(index, values.length).toFixed(1) + " " + y(value).toFixed(1);
    gap = false;
  });
  return path;
}

// The next round figure.
function nice(value) {
  if (value <= 0) return 1;
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 10].map((factor) => factor * size).find((candidate) => candidate >= value);
}

function readOut(picture, event, caption, lines, unit) {
  if (!facts.history) return;
  const box = picture.getBoundingClientRect(), right = box.width - FRAME.right;
  const count = facts.history.series[lines[0][0]].length;
  const back = Math.round((right - (event.clientX - box.left)) / (right - FRAME.left) * (drawn() - 1));
  const index = count - 1 - back;
  if (index < 0 || index >= count) return;
  const at = right - back * (right - FRAME.left) / (drawn() - 1);
  let cursor = picture.querySelector(".cursor");
  if (!cursor) picture.append(cursor = svg("line", { class: "cursor", y1: FRAME.top, y2: FRAME.height - FRAME.bottom }));
  attribute(cursor, "x1", at); attribute(cursor, "x2", at);
  text(caption, clockTime(timeOf(index)) + ": " + lines.map(([name, words]) => words + " " + short(facts.history.series[name][index]) + unit).join("; "));
}

// One line for every five minutes.
function asTable(place, title, lines, unit) {
  const columns = [["Until"], ...lines.map(([, words]) => [words + (unit ? " (" + unit.trim() + ")" : ""), "number"])];
  if (!place.table) place.append(place.table = table(title + ", by five minutes", columns));
  const count = facts.history.series[lines[0][0]].length, spans = [];
  for (let end = count; end > 0; end -= 60) spans.push([Math.max(0, end - 60), end]);
  keyed(place.table.body, spans, ([, end]) => "until " + (count - end), () => row(columns), (node, [begin, end]) => {
    text(node.cells[0], clockTime(timeOf(end - 1)));
    lines.forEach(([name], index) => {
      const real = known(facts.history.series[name].slice(begin, end));
      text(node.cells[index + 1], real.length ? short(real.reduce((sum, value) => sum + value, 0) / real.length) : "\u2013");
    });
  });
}
