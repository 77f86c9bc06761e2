import { assert, assertNamed, run, until, view } from "../browser.mjs";

await run(async (page) => {
  const main = page.getByRole("main");
  const shows = async (words) => until(words, async () => (await main.innerText()).includes(words));

  // A halted key is no fault of the node, and is on the first page all the same.
  await shows("At work, with a warning");
  await shows("gate halts 1 of 3 keys");
  await shows("1 of 3\n");
  await assertNamed(page);

  await view(page, "Quality");
  await shows("enforced; 3 keys, 1 halted, 0 watched");
  const line = page.getByRole("region", { name: "Keys of gate" }).getByRole("row").filter({ hasText: "XRP" });
  assert.match(await line.innerText(), /halt\s+0 %\s+stale_after: nothing for 60\.0 s\s+1 min/);
  await line.getByText("Evidence").click();
  await shows("<img src=x onerror=alert(1)>");
  assert.equal(await page.locator("img").count(), 0);
  await assertNamed(page);

  await view(page, "Cache");
  const cache = page.getByRole("region", { name: "last_price" });
  const says = async (words) => assert.match(await cache.innerText(), words);
  await shows("98 % of the last minute's reads found their key");
  await says(/nobody reads now; 41 hits and 3 misses before/);
  await says(/2 missing, of 214 keys compared \d+ s ago/);
  await says(/aqueduct cache rebuild FILE --cache last_price/);
  await says(/20,411, whoever wrote them/);
  await says(/3 MiB of 8 MiB/);
  await says(/12 keys for want of memory/);
  const other = page.getByRole("region", { name: "gate_cache" });
  assert.match(await other.innerText(), /not compared: no table takes the same rows/);
  await assertNamed(page);
});
