// The token: in this tab's memory, never in an address, gone when the tab is closed.

const TOKEN = "aqueduct-token";
const door = {
  token: sessionStorage.getItem(TOKEN) ?? "",
  changed: new Set(),
  headers: () => door.token ? { authorization: "Bearer " + door.token } : {},
  keep(token) {
    door.token = token.trim();
    if (door.token) sessionStorage.setItem(TOKEN, door.token);
    else sessionStorage.removeItem(TOKEN);
    for (const tell of door.changed) tell();
  },
};

// JSON of the node, or an error that says what it said.
async function ask(path) {
  const answer = await fetch(path, { headers: door.headers(), cache: "no-store" });
  if (!answer.ok) throw new Error((await answer.text()).trim() || path + " answered " + answer.status);
  return answer.json();
}

async function order(path, body = null) {
  const headers = { ...door.headers(), ...(body ? { "content-type": "application/json" } : {}) };
  const answer = await fetch(path, { method: "POST", headers, body: body ? JSON.stringify(body) : null });
  const words = await answer.text();
  let said = {};
  try { said = JSON.parse(words); } catch { said = { error: words.trim() }; }
  return { ok: answer.ok, status: answer.status, said };
}

// A field for the token, where one is needed.
let fields = 0;
function tokenField() {
  const id = "token-" + ++fields;
  const input = el("input", { id, type: "password", autocomplete: "off", spellcheck: "false", value: door.token });
  const node = el("div", { class: "field" }, el("label", { for: id }, "Admin token"), input,
    el("span", { class: "faint" }, "The value of AQUEDUCT_ADMIN_TOKEN. Kept in this tab only, until it is closed."));
  node.input = input;
  return node;
}

function askToken() {
  const field = tokenField();
  const node = dialog("Admin token", [field], [
    ["Forget it", "", () => { door.keep(""); }],
    ["Use it", "primary", () => { door.keep(field.input.value); }],
  ]);
  node.showModal();
  field.input.focus();
}

// A dialog with a heading and, below, buttons [words, kind, what]; the last one is what Enter does. Closed = gone.
let dialogs = 0;
function dialog(title, parts, buttons) {
  const id = "dialog-" + ++dialogs;
  const close = () => { node.close(); };
  const foot = buttons.map(([words, kind, act], index) => el("button", {
    type: index === buttons.length - 1 ? "submit" : "button", class: kind,
    onclick: index === buttons.length - 1 ? () => {} : () => { if (act() !== false) close(); },
  }, words));
  const submit = async (event) => {
    event.preventDefault();
    if (!buttons.length || await buttons[buttons.length - 1][2](node) !== false) close();
  };
  const opener = document.activeElement;
  const node = el("dialog", { "aria-labelledby": id },
    el("form", { onsubmit: submit },
      el("header", {}, el("h2", { id }, title),
        el("button", { type: "button", "aria-label": "Close", onclick: close }, "\u2715")),
      ...parts, el("footer", {}, foot)));
  node.addEventListener("close", () => {
    node.remove();
    if (opener && opener.isConnected) opener.focus();
  });
  document.body.append(node);
  return node;
}
