// Figures and states in words.

const STATES = {
  running: ["good", "\u25cf"], finished: ["good", "\u2713"], starting: ["busy", "\u25d4"], draining: ["busy", "\u25d1"],
  waiting: ["bad", "\u25b2"], stalled: ["bad", "\u25b2"], fenced: ["warn", "\u25c6"], backoff: ["bad", "\u21bb"],
  stopped: ["warn", "\u25a0"], failed: ["bad", "\u2715"], stopping: ["busy", "\u25d1"], ended: ["bad", "\u25a0"],
};
const toneOf = (state) => (STATES[state] ?? ["", ""])[0];
const glyphOf = (state) => (STATES[state] ?? ["", "\u25cb"])[1];
const stateWords = (state) => glyphOf(state) + " " + state;

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compactNumber = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const number = (value) => value === null || value === undefined ? "\u2013" : whole.format(value);
const short = (value) => value === null || value === undefined ? "\u2013"
  : Math.abs(value) < 10 ? String(Math.round(value * 10) / 10)
  : Math.abs(value) < 100000 ? whole.format(value) : compactNumber.format(value);
const perSecond = (value) => value === null || value === undefined ? "\u2013" : short(value) + "/s";
const percent = (ratio) => whole.format(ratio * 100) + " %";
const plural = (count, one, many = one + "s") => number(count) + " " + (count === 1 ? one : many);

function span(seconds) {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const left = Math.max(0, Math.round(seconds));
  for (let index = 0; index < parts.length; index++) {
    const [size, unit] = parts[index];
    if (left < size && index < parts.length - 1) continue;
    const next = parts[index + 1];
    const rest = next && index < 2 ? Math.floor((left % size) / next[0]) : 0;
    return Math.floor(left / size) + " " + unit + (rest ? " " + rest + " " + next[1] : "");
  }
}

const seconds = (value) => value < 60 ? (Math.round(value * 10) / 10) + " s" : span(value);
const two = (part) => String(part).padStart(2, "0");
function clockTime(us) {
  const at = new Date(us / 1000);
  return two(at.getHours()) + ":" + two(at.getMinutes()) + ":" + two(at.getSeconds());
}
function date(us) {
  const at = new Date(us / 1000);
  return at.getFullYear() + "-" + two(at.getMonth() + 1) + "-" + two(at.getDate()) + " " + clockTime(us);
}
const bytesOf = (count) => count < 1024 ? count + " B" : count < 1048576 ? short(count / 1024) + " KiB"
  : short(count / 1048576) + " MiB";
const list = (names, most = 8) => names.length <= most ? names.join(", ")
  : names.slice(0, most).join(", ") + " and " + (names.length - most) + " more";
const sentence = (words) => words ? words[0].toUpperCase() + words.slice(1).replace(/\.$/, "") + "." : "";
