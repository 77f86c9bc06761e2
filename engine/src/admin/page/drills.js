// Drills that were carried out, the newest first; where there is none, that is what it says.

const DRILL_COLUMNS = [["Drill"], ["Outcome"], ["Ended"], ["Took", "number"], ["Node"], ["Measured", "wrap"]];

function drillsView() {
  const said = el("p", { class: "empty" });
  const hint = el("p", { class: "faint" }, "A drill proves on real servers that a failure is survived; each is recorded in aqueduct.drills.");
  const grid = table("Drills", DRILL_COLUMNS);
  const node = card("Drills", said, hint, grid);
  grid.hidden = true;
  const load = async () => {
    const answer = await ask("api/drills");
    const drills = answer.drills;
    text(said, answer.away ? sentence(answer.away) : drills.length ? "" : "No drill has been recorded.");
    said.hidden = !said.textContent;
    hint.hidden = drills.length > 0;
    grid.hidden = !drills.length;
    keyed(grid.body, drills, (drill) => drill.drill + drill.ended_us, () => row(DRILL_COLUMNS), (line, drill) => {
      [drill.drill, drill.passed ? "\u2713 passed" : "\u2715 failed", date(drill.ended_us), seconds((drill.ended_us - drill.started_us) / 1e6), drill.node,
        Object.entries(drill.report ?? {}).map(([name, value]) => name + " " + JSON.stringify(value)).join(", ")].forEach((value, index) => text(line.cells[index], value));
      attribute(line.cells[1], "class", "state " + (drill.passed ? "good" : "bad"));
    });
  };
  return { nodes: [node], update: () => {}, load, everyMs: 15000, needsToken: true };
}
