import { assert, assertNamed, given, run, until, view } from "../browser.mjs";

await run(async (page) => {
  const main = page.getByRole("main");
  const shows = (words) => until(words, async () => (await main.innerText()).includes(words));
  await shows("last_price is waiting");
  await view(page, "Events");
  await shows("Events may quote values, so away from this machine they need the admin token");
  await view(page, "Dead letters");
  await shows("it needs the admin token");
  assert.ok(!(await main.innerText()).includes("BTC-USD"));
  await page.getByRole("button", { name: "Enter token" }).click();
  const dialog = page.getByRole("dialog", { name: "Admin token" });
  await assertNamed(page);
  await dialog.getByLabel("Admin token").fill(given.token);
  await dialog.getByRole("button", { name: "Use it" }).click();
  await shows("trades: not_decimal");
  await view(page, "Events");
  await shows("every actor was started");
  assert.ok(!page.url().includes(given.token));
  await page.getByRole("button", { name: "Token entered" }).click();
  await page.getByRole("dialog", { name: "Admin token" }).getByRole("button", { name: "Forget it" }).click();
  await shows("need the admin token");
});
