import { assert, assertNamed, given, json, run, until, view } from "../browser.mjs";

const actor = async (name) => (await json("/api/actors")).find((one) => one.name === name);

await run(async (page) => {
  const open = async (name) => {
    await page.getByRole("region", { name: "Supervision tree" }).getByRole("button", { name, exact: true }).click();
    return page.getByRole("dialog", { name, exact: true });
  };
  const order = async (from, verb, title) => {
    await from.getByRole("button", { name: verb, exact: true }).click();
    return page.getByRole("dialog", { name: title });
  };
  await view(page, "Actors");

  // Who leaves it has done nothing, and is told what it would reach.
  let detail = await open("trades");
  let confirm = await order(detail, "Restart", "Restart trades?");
  let words = await confirm.innerText();
  assert.match(words, /An order is not a crash: it does not count, and ingest restarts nobody else for it/);
  assert.match(words, /these sinks get nothing: history, /);
  assert.match(words, /ticks pauses md\.raw 0–3; lag grows/);
  assert.match(words, /If it crashes when it starts, ingest \(rest_for_one\) takes down with it: history\./);
  await assertNamed(page);
  await confirm.getByRole("button", { name: "Leave it" }).click();
  assert.equal((await actor("trades")).restarts, 0);

  // A wrong token is said to be one, and is forgotten.
  confirm = await order(detail, "Restart", "Restart trades?");
  await confirm.getByLabel("Admin token").fill("wrong");
  await confirm.getByRole("button", { name: "Restart trades" }).click();
  await confirm.getByText("The node does not know this token").waitFor();
  assert.equal((await actor("trades")).restarts, 0);
  await confirm.getByRole("button", { name: "Close" }).click();

  // The right one is asked for once.
  confirm = await order(detail, "Restart", "Restart trades?");
  await confirm.getByLabel("Admin token").fill(given.token);
  await confirm.getByRole("button", { name: "Restart trades" }).click();
  await until("restarted", async () => (await actor("trades")).restarts === 1);
  await detail.getByRole("button", { name: "Close" }).click();
  assert.equal(page.url().includes(given.token), false);

  detail = await open("history");
  confirm = await order(detail, "Stop", "Stop history?");
  assert.equal(await confirm.getByLabel("Admin token").count(), 0, "kept in this tab");
  assert.match(await confirm.innerText(), /stays down until somebody starts it/);
  assert.match(await confirm.innerText(), /The node is not ready while it is down/);
  await confirm.getByRole("button", { name: "Stop history" }).click();
  await until("stopped", async () => (await actor("history")).state === "stopped");
  await detail.getByText("stopped").first().waitFor();
  confirm = await order(detail, "Start", "Start history?");
  await confirm.getByRole("button", { name: "Start history" }).click();
  await until("started", async () => (await actor("history")).state === "running");
  await detail.getByRole("button", { name: "Close" }).click();

  await view(page, "Dead letters");
  confirm = await order(page, "Replay letters of trades for not_decimal", "Replay trades?");
  assert.match(await confirm.innerText(), /12 letters of trades for not_decimal go through the topology file of today/);
  await confirm.getByRole("button", { name: "Replay trades" }).click();
  await view(page, "Events");
  await page.getByText("12 taken: 12 written").waitFor();

  await view(page, "Configuration");
  confirm = await order(page, "Reload…", "Reload node edge-1?");
  assert.match(await confirm.innerText(), /everything is taken back/);
  await confirm.getByRole("button", { name: "Reload node" }).click();
  await page.getByText("Reload node edge-1: taken.").waitFor();
  confirm = await order(page, "Drain…", "Drain node edge-1?");
  assert.match(await confirm.innerText(), /ticks \(md\.raw 0–3\)/);
  assert.match(await confirm.innerText(), /Nobody here can take it back/);
  await confirm.getByRole("button", { name: "Drain node" }).click();
  await page.getByRole("status").filter({ hasText: /draining|No answer/ }).first().waitFor();

  // Another tab knows nothing of the token.
  assert.equal(await page.evaluate(() => localStorage.getItem("aqueduct-token")), null);
}, { allowed: [/status of 401/, /net::ERR/] });
