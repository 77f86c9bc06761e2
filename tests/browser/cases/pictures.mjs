import { given, run, until } from "../browser.mjs";

await run(async (page, open) => {
  await until("lines", async () => (await page.getByRole("img", { name: /^Throughput, last hour: read/ }).count()) === 1, 20000);
  await page.waitForTimeout(1500);
  await page.screenshot({ path: given.pictures + "/page-dark.png", clip: { x: 0, y: 0, width: 1280, height: 1000 }, fullPage: true });
  const narrow = await open({ viewport: { width: 360, height: 780 }, colorScheme: "light" });
  await narrow.waitForFunction(() => document.querySelector(".flow svg"));
  await narrow.waitForTimeout(2500);
  await narrow.screenshot({ path: given.pictures + "/page-narrow.png", clip: { x: 0, y: 0, width: 360, height: 1000 }, fullPage: true });
}, { options: { colorScheme: "dark" } });
