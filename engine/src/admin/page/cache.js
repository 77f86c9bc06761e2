// What the caches say of themselves, as answers: do readers find what they ask for, is it as new as the table, what does the
// server hold. Every figure as it is named for scrapers lies below them, folded.

function cacheView() {
  const none = card("Cache", el("p", { class: "empty" }, "This topology has no cache."));
  const cards_ = el("div", { class: "caches" });
  const caches = () => [...facts.actors.values()].filter((actor) => actor.kind === "redis_cache");
  const update = () => {
    none.hidden = caches().length > 0;
    keyed(cards_, caches(), (actor) => actor.name, cacheCard, (node, actor) => node.update(actor));
  };
  return { nodes: [none, cards_], update };
}

function cacheCard(actor) {
  const parts = ["Updater", "Readers", "Beside the table", "Server"].map((title) => {
    const lines = el("dl", { class: "facts" });
    return { lines, node: el("div", {}, el("h3", {}, title), lines) };
  });
  const raw = el("dl", { class: "facts" }), folded = el("details", {}, el("summary", {}, "Every figure"), raw);
  const node = card(actor.name, el("div", { class: "beside" }, parts.map((part) => part.node)), folded);
  node.update = (actor) => {
    [updaterLines, readerLines, tableLines, serverLines].forEach((linesOf, index) => factList(parts[index].lines, linesOf(actor)));
    const figures = actor.figures ?? [];
    folded.hidden = !figures.length;
    factList(raw, figures.slice(0, 60).map((figure) => [figureName(figure), short(figure.value)]));
  };
  return node;
}

// A figure of that name and those labels; undefined = it is not told.
function figureOf(actor, name, labels = {}) {
  const fits = (figure) => figure.name === "aqueduct_cache_" + name
    && Object.entries(labels).every(([label, value]) => figure.labels[label] === value);
  return actor.figures?.find(fits)?.value;
}

function updaterLines(actor) {
  const told = (name) => number(figureOf(actor, name));
  const age = figureOf(actor, "age_seconds");
  return [
    ["State", stateWords(actor.state) + (actor.reason ? ": " + actor.reason : "")],
    ["Takes", perSecond(rateOf(actor)) + ", " + percent(fillOf(actor)) + " of its link full"],
    ["Last write", actor.last_write_us ? span(facts.since(actor.last_write_us)) + " ago" : "none yet"],
    ["Last answer", actor.last_contact_us ? span(facts.since(actor.last_contact_us)) + " ago" : "none yet"],
    ["Newest value", age === undefined ? "none yet" : seconds(age) + " old when it was written"],
    ["Keys written", told("writes_total") + "; " + told("pending_keys") + " wait"],
    ["Not written", told("stale_total") + " no newer, " + told("expired_total") + " expired, " + told("skipped_total") + " left out"],
  ];
}

function readerLines(actor) {
  return [["readers", "By their own count"], ["server", "By the server's count"]].map(([by, title]) => {
    const ratio = figureOf(actor, "hit_ratio", { by });
    const reads = ["hit", "miss"].map((outcome) => figureOf(actor, "reads_total", { by, outcome }) ?? 0);
    if (ratio !== undefined) return [title, percent(ratio) + " of the last minute's reads found their key"];
    const past = reads[0] + reads[1] ? "; " + number(reads[0]) + " hits and " + number(reads[1]) + " misses before" : "";
    return [title, "nobody reads now" + past];
  });
}

function tableLines(actor) {
  const sampled = figureOf(actor, "sampled_keys");
  if (sampled === undefined) return [["Drift", "not compared: no table takes the same rows"]];
  const drifted = ["missing", "behind", "refused"].map((how) => [figureOf(actor, "drifted_keys", { how }) ?? 0, how]);
  const wrong = drifted.filter(([count]) => count > 0).map(([count, how]) => number(count) + " " + how);
  const lines = [["Drift", (wrong.length ? wrong.join(", ") : "none") + ", of " + plural(sampled, "key") + " compared "
    + span(facts.since((figureOf(actor, "sampled_timestamp_seconds") ?? 0) * 1e6)) + " ago"]];
  if (wrong.length) {
    lines.push(["Behind", seconds(figureOf(actor, "behind_seconds") ?? 0) + " at most, in event time"]);
    lines.push(["Cure", "aqueduct cache rebuild FILE --cache " + actor.name]);
  }
  return lines;
}

function serverLines(actor) {
  const keys = figureOf(actor, "server_keys"), used = figureOf(actor, "server_memory_bytes"), most = figureOf(actor, "server_memory_max_bytes");
  const evicted = figureOf(actor, "evicted_keys_total") ?? 0;
  return [
    ["Keys", keys === undefined ? "not told" : number(keys) + ", whoever wrote them"],
    ["Memory", used === undefined ? "not told" : bytesOf(used) + (most ? " of " + bytesOf(most) : ", no bound set")],
    ["Thrown out", evicted ? number(evicted) + " keys for want of memory: raise maxmemory or shorten ttl" : "none for want of memory"],
    ["Ended", number(figureOf(actor, "expired_keys_total")) + " at the end of their time to live"],
  ];
}
