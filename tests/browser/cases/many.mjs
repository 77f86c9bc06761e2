import { assert, run, until, view } from "../browser.mjs";

await run(async (page) => {
  const main = page.getByRole("main");
  await until("who waits", async () => (await main.innerText()).includes("last_57 is waiting"));
  const flow = page.getByRole("group", { name: "Data flow" });
  const boxes = await flow.getByRole("button").count();
  assert.ok(boxes <= 12 * 3 + 1, boxes + " boxes");
  await flow.getByRole("button", { name: /^last_57, redis_cache, waiting/ }).waitFor();
  await flow.getByRole("button", { name: /^\d+ more, actors/ }).first().waitFor();

  // Seconds change what they must and no more: boxes are moved, not made, and few change places.
  const made = await page.evaluate(async () => {
    const boxes = () => [...document.querySelectorAll(".flow g[role=button]")];
    const before = new Set(boxes());
    await new Promise((done) => setTimeout(done, 2500));
    return boxes().filter((box) => !before.has(box)).length;
  });
  assert.ok(made <= 12, made + " boxes made anew");

  await view(page, "Actors");
  const rows = page.getByRole("region", { name: "Supervision tree" }).getByRole("row");
  await until("rows", async () => (await rows.count()) >= 100);
  assert.ok((await rows.count()) <= 110, "so many at first, the unwell among them");
  assert.ok((await main.innerText()).includes("out_33"));
  await page.getByRole("button", { name: /^Show all 50\d/ }).click();
  await until("all of them", async () => (await rows.count()) >= 500);
  await page.getByRole("searchbox", { name: /Filter actors/ }).fill("history_42");
  await until("one", async () => (await rows.count()) <= 4 && (await main.innerText()).includes("history_42"));
  await page.getByRole("searchbox", { name: /Filter actors/ }).fill("");
  await page.getByRole("checkbox", { name: "Only what is not well" }).check();
  await until("three", async () => (await main.innerText()).includes("3 of 501 actors"));

  // It answers a click while snapshots come.
  await page.getByRole("button", { name: "last_7", exact: true }).click();
  await page.getByRole("dialog", { name: "last_7" }).getByText("refuses connections").waitFor();
});
