// What happened: a strip of the last hour, and the events below it, the newest first.

const EVENT_TONES = {
  started: "good", up: "good", flowing: "good", reloaded: "good", replayed: "good", finished: "good",
  exited: "warn", backoff: "warn", killed: "bad", gave_up: "bad", stalled: "bad", displaced: "bad", cut: "bad",
  rolled_back: "bad", reload_refused: "warn", replay_failed: "bad", left_behind: "warn",
};
const eventTone = (event) => EVENT_TONES[event.what] ?? (event.what.endsWith("_ordered") ? "busy" : "busy");
const EVENT_KINDS = {
  all: ["Everything", () => true],
  restarts: ["Exits and restarts", (event) => ["exited", "backoff", "started", "killed", "gave_up", "displaced", "stalled"].includes(event.what)],
  wrong: ["Only what went wrong", (event) => ["bad", "warn"].includes(eventTone(event))],
  orders: ["Orders, reloads, replays", (event) => event.what.endsWith("_ordered") || /reload|replay|drain|rolled/.test(event.what)],
};
const EVENTS_SHOWN = 200;

function timelineView(most = EVENTS_SHOWN, whole = true) {
  const strip = svg("svg", { class: "strip", role: "img" });
  const kind = el("select", { "aria-label": "Which events" }, Object.entries(EVENT_KINDS).map(([value, [words]]) => el("option", { value }, words)));
  const filter = el("input", { type: "search", "aria-label": "Filter events by actor or words", placeholder: "Filter: actor, words" });
  const lines = el("ol", { class: "events", "aria-label": "Events, the newest first" });
  const empty = el("p", { class: "empty" });
  const parts = whole ? [strip, el("div", { class: "tools-row" }, kind, filter), empty, lines] : [empty, lines];
  const node = card(whole ? "Restarts and events" : "Lately", ...parts);
  let seen = "";
  const update = () => {
    const now = [facts.events.length, facts.events.at(-1)?.id, kind.value, filter.value, Math.floor(facts.now() / 1e7), strip.clientWidth].join(" ");
    if (now === seen) return;
    seen = now;
    const words = filter.value.trim().toLowerCase(), [, of] = EVENT_KINDS[kind.value];
    const wanted = facts.events.filter((event) => of(event) && (!words || (event.subject + " " + event.what + " " + event.detail).toLowerCase().includes(words)));
    const needsToken = facts.snapshot.door.payloads_need_token && !door.token;
    text(empty, needsToken ? "Events may quote values, so away from this machine they need the admin token." : wanted.length ? "" : "Nothing yet.");
    attribute(empty, "hidden", !empty.textContent);
    if (whole) drawStrip(strip, wanted);
    text(node.aside, wanted.length > most ? "the newest " + most + " of " + wanted.length : "");
    keyed(lines, wanted.slice(-most).reverse(), (event) => event.life + "-" + event.id, eventLine, () => {});
  };
  kind.addEventListener("change", update);
  filter.addEventListener("input", update);
  if (!whole) node.append(el("p", {}, el("a", { href: "#events" }, "All events")));
  return { node, update };
}

function eventLine(event) {
  const subject = facts.actors.has(event.subject)
    ? el("button", { type: "button", class: "link", onclick: () => openActor(event.subject) }, event.subject) : el("span", {}, event.subject);
  return el("li", {}, el("time", { class: "faint", datetime: new Date(event.at_us / 1000).toISOString(), title: date(event.at_us) }, clockTime(event.at_us)),
    subject, el("span", { class: "state " + eventTone(event) }, event.what.replaceAll("_", " ")), el("span", {}, event.detail));
}

function drawStrip(strip, events) {
  const width = strip.clientWidth, now = facts.now(), hour = 3600e6;
  if (!width) return;
  const recent = events.filter((event) => now - event.at_us < hour);
  const x = (us) => Math.max(1, width - 1 - (now - us) / hour * (width - 2));
  const high = { bad: 4, warn: 12, busy: 18, good: 24 };
  const ticks = recent.map((event) => svg("line", { class: "tick " + eventTone(event), x1: x(event.at_us), x2: x(event.at_us), y1: high[eventTone(event)], y2: 36 }));
  const marks = [60, 30, 0].map((minutes) => svg("text", { x: minutes === 60 ? 0 : minutes ? width / 2 : width, y: 51,
    "text-anchor": minutes === 60 ? "start" : minutes ? "middle" : "end" }, minutes ? "\u2212" + minutes + " min" : "now"));
  attribute(strip, "viewBox", "0 0 " + width + " 56");
  const exits = recent.filter((event) => event.what === "exited").length;
  attribute(strip, "aria-label", "The last hour: " + plural(recent.length, "event") + ", " + plural(exits, "exit"));
  strip.replaceChildren(svg("line", { class: "base", x1: 0, x2: width, y1: 36, y2: 36 }), ...ticks, ...marks);
}
