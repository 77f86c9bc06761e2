// The blast radius of an order: who goes down with it, who gets nothing meanwhile, which partitions pause. An order is not
// a crash: it concerns that actor alone, whatever the strategy (supervisor/core.rs); what follows if its next start crashes
// is said apart.

function partitionsOf(actors) {
  const byTopic = new Map();
  for (const line of actors.flatMap((actor) => actor.lag)) {
    if (!byTopic.has(line.topic)) byTopic.set(line.topic, []);
    byTopic.get(line.topic).push(line.partition);
  }
  return [...byTopic].map(([topic, parts]) => topic + " " + ranges([...new Set(parts)].sort((a, b) => a - b))).join("; ");
}

function ranges(parts) {
  const runs = [];
  for (const part of parts) {
    const last = runs[runs.length - 1];
    if (last && last[1] === part - 1) last[1] = part;
    else runs.push([part, part]);
  }
  return list(runs.map(([from, to]) => from === to ? String(from) : from + "\u2013" + to), 12);
}

// Who falls with `actor` when it crashes.
function felledWith(actor) {
  const supervisor = supervisorOf(actor);
  if (!supervisor || supervisor.strategy === "one_for_one") return [];
  const at = supervisor.children.indexOf(actor.name);
  const felled = supervisor.strategy === "one_for_all" ? supervisor.children : supervisor.children.slice(at);
  return felled.filter((name) => name !== actor.name);
}

function reachOf(actor, what) {
  const lines = [], supervisor = supervisorOf(actor);
  const below = beyond(actor.name), sinks = below.filter((one) => one.role === "sink").map((one) => one.name);
  const sources = actor.role === "source" ? [actor] : beyond(actor.name, false).filter((one) => one.role === "source");
  const names = (actors) => list(actors.map((one) => one.name));
  if (what === "start") {
    lines.push("Only " + actor.name + " starts. What waits on the links into it, it finds there.");
  } else {
    lines.push("Only " + actor.name + (what === "stop" ? " stops, and stays down until somebody starts it." : " stops and starts again.")
      + " An order is not a crash: it does not count, and " + (supervisor ? supervisor.name : "its supervisor") + " restarts nobody else for it.");
    const while_ = what === "stop" ? "While it is down" : "For that moment";
    if (sinks.length) lines.push(while_ + " these sinks get nothing: " + list(sinks) + ".");
    if (actor.role === "source") {
      const parts = partitionsOf([actor]);
      lines.push(while_ + " nothing is read" + (parts ? " of " + parts : "") + "; lag grows.");
    } else if (sources.length) {
      const parts = partitionsOf(sources);
      lines.push("Once the links into it are full, " + names(sources) + " pauses" + (parts ? " " + parts : "") + "; lag grows.");
    }
    if (actor.role === "dead_letter") lines.push("Whoever rejects a record waits for it, so the whole flow may stand still.");
    lines.push("No record is lost or written twice: what it holds is delivered again.");
    if (what === "stop") lines.push("The node is not ready while it is down.");
  }
  const felled = felledWith(actor);
  if (felled.length && what !== "stop") {
    lines.push("If it crashes when it starts, " + supervisor.name + " (" + supervisor.strategy + ") takes down with it: " + list(felled) + ".");
  }
  if (supervisor && what !== "stop") {
    lines.push("More than " + plural(supervisor.intensity, "crash", "crashes") + " within " + seconds(supervisor.period_seconds) + " escalate from " + supervisor.name + ".");
  }
  return lines;
}

function reachOfNode(what) {
  const actors = [...facts.actors.values()];
  const of = (role) => actors.filter((one) => one.role === role);
  if (what === "drain") {
    return [
      "Every source stops reading: " + list(of("source").map((one) => one.name)) + " (" + (partitionsOf(of("source")) || "no partition now") + ").",
      "What was read is finished, then the process ends; " + plural(facts.snapshot.ledger.in_flight, "record") + " in flight now.",
      "The node is not ready from now on. Nobody here can take it back: start the process again.",
      "Where several nodes share the group, the others take its partitions.",
    ];
  }
  return [
    "The topology file is read again and what changed is applied; actors that are the same are not touched.",
    "Those that change stop in data order, finish what they hold, and start; their links may be worked off first.",
    "If what was started does not hold for a moment, everything is taken back.",
    "See the plan under Configuration for what would change.",
  ];
}
