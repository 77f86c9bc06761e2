import { given, run, until } from "../browser.mjs";

await run(async (page) => {
  await until("lines", async () => (await page.getByRole("img", { name: /^Throughput, last hour: read/ }).count()) === 1, 20000);
  await page.screenshot({ path: given.pictures + "/page-light.png", clip: { x: 0, y: 0, width: 1280, height: 1000 }, fullPage: true });
}, { options: { colorScheme: "light" } });
