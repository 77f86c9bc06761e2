// Dead letters by actor and reason, with a sample each and a way to replay them.

function lettersView() {
  const state = el("p", { class: "empty", role: "status" });
  const groups = el("div", { class: "letters" });
  const node = card("Dead letters", el("p", { class: "faint" },
    "Records that the rules or a sink rejected. They are kept where the rows are, and a replay sends them through the topology of today."), state, groups);
  const counted = card("Rejected since this node began", el("p", { class: "empty" }));
  const update = () => {
    const sums = [...facts.actors.values()].flatMap((actor) => Object.entries(actor.dead_letters).map(([reason, count]) => ({ actor: actor.name, reason, count })));
    text(counted.querySelector("p"), sums.length ? "" : "None.");
    counted.querySelector("p").hidden = sums.length > 0;
    if (!counted.table) counted.append(counted.table = table("Rejected since this node began", [["Actor"], ["Reason", "wrap"], ["Records", "number"]]));
    counted.table.hidden = !sums.length;
    keyed(counted.table.body, sums.slice(0, 200), (one) => one.actor + "\u0000" + one.reason, () => row([[], ["", "wrap"], ["", "number"]]), (line, one) =>
      [one.actor, one.reason, number(one.count)].forEach((value, index) => text(line.cells[index], value)));
  };
  const load = async () => {
    const answer = await ask("api/letters");
    const open = answer.groups.reduce((sum, group) => sum + group.new + group.failed_again, 0);
    text(state, answer.away ? sentence(answer.away) : answer.replaying
      ? "A replay of " + answer.replaying.actor + "\u2019s letters is under way; Events tells how far it has come."
      : open ? plural(open, "letter") + " not replayed." : "No letter waits for a replay.");
    attribute(state, "class", answer.away ? "warn" : "empty");
    keyed(groups, answer.groups, (group) => group.actor + "\u0000" + group.reason, letterGroup, (one, group) => one.update(group, answer.replaying));
  };
  return { nodes: [node, counted], update, load, everyMs: 6000, needsToken: true };
}

function letterGroup() {
  const title = el("h3"), counts = el("p", { class: "faint" }), detail = el("p"), sample = el("pre"), place = el("p", { class: "faint" });
  const replay = el("button", { type: "button" }, "Replay"), paste = el("div");
  const node = el("section", { class: "letter" }, el("div", { class: "tools-row" }, title, replay), counts, detail,
    el("details", {}, el("summary", {}, "Sample"), place, sample), el("details", {}, el("summary", {}, "By hand"), paste));
  let shown = null;
  replay.addEventListener("click", () => {
    const again = shown.new === 0;
    const count = again ? shown.failed_again : shown.new;
    confirmOrder("replay", shown.actor, [
      plural(count, "letter") + " of " + shown.actor + " for " + shown.reason + " go through the topology file of today, beside what runs.",
      "What passes is written to the sinks that lack it; what is rejected again is marked and kept.",
      "It runs as a process of its own and takes its share of the database; it may be ended and run again at any point.",
      "The actors of this node go on undisturbed.",
    ], "api/letters/replay", { actor: shown.actor, reason: shown.reason, again });
  });
  node.update = (group, replaying) => {
    shown = group;
    text(title, group.actor + ": " + group.reason);
    text(counts, plural(group.new, "letter") + " new, " + number(group.failed_again) + " rejected again, " + number(group.replayed) + " replayed; first "
      + date(group.oldest_us) + ", last " + date(group.newest_us));
    const one = group.sample;
    text(detail, one ? one.class + ": " + one.detail : "");
    text(place, one ? "letter " + one.id + ", " + one.topic + " partition " + one.partition + " offset " + one.offset + ", " + date(one.at_us)
      + (one.key === null ? "" : ", key " + one.key) : "All of them are replayed.");
    text(sample, one ? (one.value ?? "(no value)") + (one.bytes > (one.value ?? "").length ? "\n\u2026 " + bytesOf(one.bytes) + " in all" : "") : "");
    sample.hidden = !one;
    replay.disabled = Boolean(replaying) || !group.command || group.new + group.failed_again === 0;
    attribute(replay, "aria-label", "Replay letters of " + group.actor + " for " + group.reason);
    if (group.command && paste.textContent !== group.command + "Copy") paste.replaceChildren(command(group.command));
    else if (!group.command && !paste.childElementCount) text(paste, "This node\u2019s topology does not come from a file; replay where the file is: aqueduct dlq replay FILE");
  };
  return node;
}
