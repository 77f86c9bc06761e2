// What is known of the node: the newest snapshot, what follows from it, the events, the last hour.

const EVENTS_KEPT = 1000;
const facts = {
  snapshot: null, actors: new Map(), clones: new Map(), readers: new Map(), rates: new Map(), events: [], history: null,
  receivedAt: 0,
  // The node's time, whatever this machine's clock says.
  now: () => facts.snapshot ? facts.snapshot.at_us + (performance.now() - facts.receivedAt) * 1000 : Date.now() * 1000,
  since: (us) => (facts.now() - us) / 1e6,
};

const baseName = (name) => name.replace(/#\d+$/, "");

function takeSnapshot(snapshot) {
  if (facts.snapshot && facts.snapshot.started_us !== snapshot.started_us) {
    // Another life of the node: what it told before is another story.
    facts.events = facts.events.filter((event) => event.life === snapshot.started_us);
    facts.history = null;
  }
  facts.snapshot = snapshot;
  facts.receivedAt = performance.now();
  facts.actors = new Map(snapshot.actors.map((actor) => [actor.name, actor]));
  facts.readers = new Map();
  facts.rates = new Map();
  for (const edge of snapshot.edges) {
    if (!facts.readers.has(edge.from)) facts.readers.set(edge.from, new Set());
    facts.readers.get(edge.from).add(edge.to);
    const add = (name, side) => {
      const rate = facts.rates.get(name) ?? { in: null, out: null };
      // A source hands each record to every reader: the most of them counts, and what comes in adds up.
      if (edge.records_per_second !== null) {
        rate[side] = side === "in" ? (rate.in ?? 0) + edge.records_per_second : Math.max(rate.out ?? 0, edge.records_per_second);
      }
      facts.rates.set(name, rate);
    };
    add(edge.to, "in");
    add(edge.from, "out");
  }
}

// The id of an event in the stream begins with the life of the node that it belongs to.
function takeEvent(event, id) {
  event.life = Number(id.split("-")[0]);
  if (facts.events.some((known) => known.id === event.id && known.life === event.life)) return;
  facts.events.push(event);
  if (facts.events.length > EVENTS_KEPT) facts.events.splice(0, facts.events.length - EVENTS_KEPT);
}

async function takeHistory() {
  facts.history = await ask("api/history");
}

const rateOf = (actor) => {
  const rate = facts.rates.get(actor.name) ?? {};
  return actor.role === "source" ? rate.out : rate.in;
};
const lagOf = (actor) => actor.lag.length ? {
  records: actor.lag.reduce((sum, line) => sum + line.records, 0),
  seconds: Math.max(...actor.lag.map((line) => line.seconds)),
} : null;
const lettersOf = (actor) => Object.values(actor.dead_letters).reduce((sum, count) => sum + count, 0);
const fillOf = (actor) => actor.inputs.reduce((most, link) => Math.max(most, link.ratio), 0);

// Everybody below (or above) an actor, it not included, in no order.
function beyond(name, down = true) {
  const seen = new Set([name]), next = [name];
  while (next.length) {
    const at = next.pop();
    const near = down ? [...(facts.readers.get(at) ?? [])]
      : (facts.actors.get(at)?.inputs ?? []).map((link) => link.from);
    for (const one of near) if (!seen.has(one)) { seen.add(one); next.push(one); }
  }
  seen.delete(name);
  return [...seen].map((one) => facts.actors.get(one)).filter(Boolean);
}
const supervisorOf = (actor) => facts.snapshot.supervisors.find((one) => one.name === actor.supervisor);
