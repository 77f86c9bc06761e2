// Orders: each behind the token, each with a confirmation that names what it reaches.

const WORDS = {
  restart: ["Restart", "primary"], stop: ["Stop", "danger"], start: ["Start", "primary"],
  drain: ["Drain", "danger"], reload: ["Reload", "primary"], replay: ["Replay", "primary"],
};

function confirmOrder(what, subject, lines, path, body = null) {
  const [verb, kind] = WORDS[what];
  const said = el("p", { class: "bad", role: "alert" });
  const parts = [el("p", {}, "What this reaches:"), el("ul", {}, lines.map((line) => el("li", {}, line))), said];
  const off = !facts.snapshot.door.orders;
  const field = door.token || off ? null : tokenField();
  if (off) parts.push(el("p", { class: "warn" }, "Orders are off: this node has no admin token. Set AQUEDUCT_ADMIN_TOKEN and start it again."));
  if (field) parts.push(field);
  const give = async (node) => {
    if (field) door.keep(field.input.value);
    const button = node.querySelector("button[type=submit]");
    button.disabled = true;
    text(said, "");
    try {
      const answer = await order(path, body);
      if (answer.ok) {
        toast(verb + " " + subject + ": taken.");
        return true;
      }
      if (answer.status === 401) {
        door.keep("");
        text(said, "The node does not know this token. Close, enter the right one, and ask again.");
      } else text(said, answer.said.error ?? "It answered " + answer.status + ".");
    } catch (error) {
      text(said, "No answer: " + error.message + ". Whether it was taken is not known; look at the events.");
    }
    button.disabled = false;
    return false;
  };
  const node = dialog(verb + " " + subject + "?", parts, [["Leave it", "", () => true], [verb + " " + subject, kind, give]]);
  node.querySelector("button[type=submit]").disabled = off;
  node.showModal();
  (field ? field.input : node.querySelector("footer button")).focus();
}

const orderActor = (what, actor) =>
  confirmOrder(what, actor.name, reachOf(actor, what), "api/actors/" + encodeURIComponent(actor.name) + "/" + what);
const orderNode = (what) => confirmOrder(what, "node " + facts.snapshot.node, reachOfNode(what), "api/" + what);
