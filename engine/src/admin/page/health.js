// Is it well? What is wrong, since when, why, and what to do: the first thing seen at three in the morning.

const REMEDIES = {
  waiting: "It tries again by itself, and a restart helps nothing. Mend what the reason names; this line then goes away.",
  stalled: "The watchdog first makes it connect anew, then restarts it. If it stalls again, look at what it talks to.",
  backoff: "It starts again by itself. The reason is its last crash; if crashes go on, its supervisor gives up and escalates.",
  failed: "Its supervisor gave up. Mend the reason, then start it, or restart the node.",
  stopped: "An operator stopped it, and it stays down through restarts. Start it when the cause is gone.",
  fenced: "Another node has its partitions. That is right after a rebalance; two nodes with one name is not: give each its own.",
  starting: "It is on its way. If it stays here for minutes, its reason and the events tell what it waits for.",
};
const PHRASES = { backoff: "has crashed and starts again", failed: "has failed", fenced: "is fenced off" };
const RANK = { bad: 3, warn: 2, busy: 1, good: 0 };

function problems() {
  const { snapshot } = facts, found = [];
  const add = (tone, who, what, why, since, todo) => found.push({ tone, who, what, why, since, todo });
  if (snapshot.phase !== "running") {
    const tone = snapshot.phase === "ended" ? "bad" : "busy";
    add(tone, null, "The node is " + snapshot.phase, snapshot.phase_reason, snapshot.phase_since_us,
      snapshot.phase === "draining" ? "It finishes what it has read and ends. Start it again where it is still needed." : null);
  }
  if (snapshot.ledger.unaccounted !== 0) {
    add("bad", null, plural(Math.abs(snapshot.ledger.unaccounted), "record") + " unaccounted for",
      "The ledger does not add up, which is a bug.", null,
      "Do not restart: save /api/ledger, /api/events and the log first, then report it.");
  }
  for (const one of snapshot.not_ready) {
    const tone = toneOf(one.state) === "good" ? "warn" : toneOf(one.state);
    add(tone, one.actor, one.actor + " " + (PHRASES[one.state] ?? "is " + one.state), one.reason, one.since_us, REMEDIES[one.state]);
  }
  for (const name of snapshot.bottleneck) {
    add("warn", name, name + " is the bottleneck", "The links into it are full and those out of it are not: the others wait for it.",
      null, "See what it waits for (a slow database, a slow rule). More clones (parallelism) help a transform, not a slow store.");
  }
  return [...found, ...trends()].sort((a, b) => RANK[b.tone] - RANK[a.tone]);
}

// What only shows over time.
function trends() {
  const found = [], { ledger } = facts.snapshot;
  if (ledger.dead_lettered_per_second > 0) {
    found.push({ tone: "warn", who: null, what: "Records are being rejected: " + perSecond(ledger.dead_lettered_per_second),
      why: reasonsOf(), since: null, todo: "See Dead letters for a sample. They are kept and can be replayed once the rules are mended." });
  }
  for (const gate of facts.snapshot.gates) {
    if (gate.mode !== "enforce" || !gate.halted) continue;
    found.push({ tone: "warn", who: null, what: gate.gate + " halts " + number(gate.halted) + " of " + plural(gate.keys_total, "key"),
      why: "Whoever follows its verdicts does not trade on them.", since: null,
      todo: "See Quality for which, why, and since when. What is wrong is in the data or on their way, not in the node." });
  }
  const series = facts.history?.series;
  if (!series || series.restarts.length < 13) return found;
  const at = (name, back) => series[name][series[name].length - 1 - back] ?? null;
  const [restarts, lag, before] = [at("restarts", 0) - at("restarts", Math.min(60, series.restarts.length - 1)),
    at("lag_records", 0), at("lag_records", Math.min(60, series.lag_records.length - 1))];
  if (restarts >= 3) {
    found.push({ tone: "warn", who: null, what: plural(restarts, "restart") + " in five minutes", why: "See Events for the exits.",
      since: null, todo: "Read the last exit of whoever restarts; it names the fault." });
  }
  if (lag > 10000 && before !== null && lag > before * 1.5) {
    found.push({ tone: "warn", who: null, what: "Falling behind: " + number(lag) + " records",
      why: "Five minutes ago it was " + number(before) + ".", since: null,
      todo: "If a bottleneck is named, begin there; else add a node: Kafka divides the partitions." });
  }
  return found;
}

function reasonsOf() {
  const sums = new Map();
  for (const actor of facts.actors.values()) {
    for (const [reason, count] of Object.entries(actor.dead_letters)) sums.set(reason, (sums.get(reason) ?? 0) + count);
  }
  const most = [...sums].sort((a, b) => b[1] - a[1]).slice(0, 3);
  return most.map(([reason, count]) => reason + " (" + number(count) + ")").join(", ");
}

function verdict(found) {
  const { snapshot } = facts, tone = found.length ? found[0].tone : "good";
  const ready = snapshot.actors.filter((actor) => actor.ready).length;
  const words = {
    good: ["All is well", plural(ready, "actor") + " at work since " + clockTime(snapshot.phase_since_us)],
    busy: [snapshot.phase === "running" ? "On its way" : "The node is " + snapshot.phase, snapshot.phase_reason],
    warn: [snapshot.ready ? "At work, with a warning" : "Not ready", ready + " of " + plural(snapshot.actors.length, "actor") + " at work"],
    bad: [snapshot.ready ? "At work, but wrong" : "Not well", ready + " of " + plural(snapshot.actors.length, "actor") + " at work"],
  };
  return { tone, headline: words[tone][0], more: words[tone][1] };
}
