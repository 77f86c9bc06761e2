import { ask, assert, json, run, until, view } from "../browser.mjs";

await run(async (page) => {
  const asked = [];
  page.on("request", (request) => { if (request.url().endsWith("/api/live")) asked.push(request.headers()["last-event-id"] ?? null); });
  await view(page, "Events");
  const lines = page.getByRole("list", { name: "Events, the newest first" }).getByRole("listitem");
  await until("events", async () => (await lines.count()) >= 7);
  const before = await lines.count();

  await ask("cut");
  const alert = page.getByRole("alert");
  await until("said to be dead", async () => /No answer from this node for \d+ s/.test(await alert.innerText()));
  assert.match(await alert.innerText(), /as of \d\d:\d\d:\d\d.*tried again/s);
  assert.match(await page.title(), /No answer/);
  assert.equal(await page.evaluate(() => document.body.classList.contains("stale")), true, "what is shown is greyed");
  assert.equal(await lines.count(), before, "and kept");

  await ask("mend");
  await until("back", async () => (await alert.count()) === 0 && /All is well/.test(await page.title()), 15000);
  assert.equal(await page.evaluate(() => document.body.classList.contains("stale")), false);
  assert.ok(asked.length >= 1 && asked.every((id) => /^\d+-\d+$/.test(id)), "resumed after the last event: " + asked);
  assert.equal(await lines.count(), before, "no event twice");
  const events = await json("/api/events");
  assert.equal(before, events.length, "and none missed");
}, { allowed: [/net::ERR/] });
