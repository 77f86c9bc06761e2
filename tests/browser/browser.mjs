// A browser for one case: what it must never see fails the case when it ends.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

export const given = JSON.parse(process.argv[2]);
const { chromium } = createRequire(given.modules + "/")("playwright-core");
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

// Opens the page and plays `play(page, open)`. `allowed` are errors of the console that belong to the case.
export async function run(play, { options = {}, allowed = [] } = {}) {
  const browser = await chromium.launch({ executablePath: given.chromium, args: FLAGS });
  const faults = [];
  const open = async (more = {}) => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options, ...more });
    await context.addInitScript(() => addEventListener("securitypolicyviolation", (event) =>
      console.error("policy: " + event.violatedDirective + " " + event.blockedURI)));
    const page = await context.newPage();
    page.setDefaultTimeout(20000);
    page.on("console", (message) => {
      const expected = allowed.some((pattern) => pattern.test(message.text()));
      if (["error", "warning"].includes(message.type()) && !expected) faults.push(message.type() + ": " + message.text());
    });
    page.on("pageerror", (error) => faults.push("exception: " + error.stack));
    page.on("dialog", (dialog) => { faults.push("a script spoke: " + dialog.message()); dialog.dismiss(); });
    page.on("request", (request) => {
      if (!request.url().startsWith(given.base)) faults.push("a request to elsewhere: " + request.url());
      if (request.url().includes(given.token)) faults.push("the token in an address: " + request.url());
    });
    await page.goto(given.base + "/");
    await page.getByRole("navigation", { name: "Views" }).waitFor();
    return page;
  };
  try {
    const page = await open();
    await page.waitForFunction(() => document.querySelector(".verdict strong")?.textContent);
    await play(page, open);
  } finally {
    await browser.close();
  }
  assert.deepEqual(faults, []);
  process.exit(0);
}

export const view = async (page, name) => {
  await page.getByRole("link", { name, exact: name !== "Actors" }).first().click();
  await page.getByRole("region", { name, exact: true }).first().waitFor();
};

// Asks whoever started this case to do something.
const lines = createInterface({ input: process.stdin });
export const ask = (word) => new Promise((done) => { lines.once("line", done); console.log("do " + word); });

export const json = async (path) => (await fetch(given.base + path, { headers: { authorization: "Bearer " + given.token } })).json();

export async function until(what, seen, bound = 20000) {
  const end = Date.now() + bound;
  for (;;) {
    if (await seen()) return;
    assert.ok(Date.now() < end, "not seen: " + what);
    await new Promise((done) => setTimeout(done, 100));
  }
}

// Everything a person can act on has a name in the accessibility tree.
export async function assertNamed(page) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  const acts = ["button", "link", "textbox", "searchbox", "checkbox", "combobox", "dialog", "table", "image", "navigation", "region"];
  const nameless = nodes.filter((node) => !node.ignored && acts.includes(node.role?.value) && !node.name?.value?.trim());
  assert.deepEqual(nameless.map((node) => node.role.value + " " + node.nodeId), []);
}
export { assert };
