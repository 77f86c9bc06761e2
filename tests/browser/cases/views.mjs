import { assert, assertNamed, given, json, run, until, view } from "../browser.mjs";

await run(async (page) => {
  const main = page.getByRole("main");
  const shows = async (words) => until(words, async () => (await main.innerText()).includes(words));
  const oneLine = given.hostile.split("\n")[0];

  // First glance: it is not well, who, since when, why, what to do.
  await shows("Not well");
  const problems = page.getByRole("list", { name: "What is wrong" });
  await shows("last_price is waiting");
  const waiting = problems.getByRole("listitem").filter({ hasText: "last_price is waiting" });
  assert.match(await waiting.innerText(), /for \d+ s, since \d\d:\d\d:\d\d/);
  assert.match(await waiting.innerText(), /redis 10\.0\.0\.7:6379 refuses connections/);
  assert.match(await waiting.innerText(), /Mend what the reason names/);
  await shows("history is the bottleneck");
  assert.match(await page.title(), /Not well/);
  await assertNamed(page);

  // The graph: states, rates, the bottleneck marked, the same in words.
  const flow = page.getByRole("group", { name: "Data flow" });
  await flow.getByRole("button", { name: /^ticks, kafka_source, running/ }).waitFor();
  await flow.getByRole("button", { name: /^history, timescale_writer, running, bottleneck/ }).waitFor();
  await until("a rate on an edge", async () => /\d\/s/.test(await flow.textContent()));
  await page.getByText("The same in words").click();
  await shows("ticks to trades: ");
  assert.equal(await flow.getByRole("button").count(), 7);

  // The last hour, with words for who sees no lines.
  await until("a chart", async () => (await page.getByRole("img", { name: /^Throughput, last hour: read [\d,.]+\/s now/ }).count()) === 1, 20000);
  await page.locator("section", { hasText: "Throughput" }).getByText("As a table").first().click();
  await page.getByRole("region", { name: "Throughput, by five minutes" }).waitFor();
  await assertNamed(page);

  await view(page, "Actors");
  for (const words of ["root", "ingest", "rest_for_one, more than 5 in 30 s escalates, 3 actors", "redis 10.0.0.7:6379"]) await shows(words);
  await shows(oneLine);
  const rows = page.getByRole("region", { name: "Supervision tree" }).getByRole("row");
  assert.equal(await rows.count(), 1 + 3 + 7);
  await page.getByRole("button", { name: "serve" }).click();
  assert.equal(await rows.count(), 1 + 3 + 4, "a group folds");
  await page.getByRole("button", { name: "serve" }).click();
  await page.getByRole("searchbox", { name: /Filter actors/ }).fill("cache");
  await until("one is left", async () => (await rows.count()) === 1 + 3 + 1);
  await page.getByRole("searchbox", { name: /Filter actors/ }).fill("");
  await page.getByRole("checkbox", { name: "Only what is not well" }).check();
  await until("the well are gone", async () => !(await main.innerText()).includes("dead_letter"));
  await page.getByRole("checkbox", { name: "Only what is not well" }).uncheck();
  await assertNamed(page);

  // One actor, whole.
  await page.getByRole("button", { name: "ticks" }).click();
  const dialog = page.getByRole("dialog", { name: "ticks" });
  await dialog.getByRole("region", { name: "Lag by partition" }).waitFor();
  assert.equal(await dialog.getByRole("row").count(), 1 + 4);
  await dialog.getByRole("button", { name: "Close" }).click();

  await view(page, "Events");
  await shows("every actor was started");
  await page.getByRole("combobox", { name: "Which events" }).selectOption("restarts");
  await until("crashes only", async () => !(await main.innerText()).includes("every actor was started"));
  await shows("topic `out` went away");
  await page.getByRole("img", { name: /The last hour: \d+ events, [1-9]\d* exits?/ }).waitFor();
  await assertNamed(page);

  await view(page, "Ledger");
  await page.getByRole("region", { name: "Ledger by partition" }).getByRole("row").nth(4).waitFor();
  const [line] = await json("/api/ledger");
  assert.equal(line.unaccounted, 0);

  await view(page, "Dead letters");
  await shows("trades: not_decimal");
  await shows("13 letters not replayed.");
  await page.getByText("Sample").first().click();
  await shows("\"p\":\"" + oneLine);
  await page.getByText("By hand").first().click();
  await shows("aqueduct dlq replay --actor=trades -- trades.yaml");
  await assertNamed(page);

  await view(page, "Quality");
  await shows("This topology has no quality gate");
  await view(page, "Cache");
  await shows("redis 10.0.0.7:6379 refuses connections");
  await view(page, "Drills");
  await shows("failover");
  await shows("recovered_seconds 2.1");
  await view(page, "Configuration");
  await shows("The file on disk differs from what runs");
  await shows("price > 0 -> price >= 0");
  await shows("aqueduct plan /etc/aqueduct/trades.yaml --node " + given.base);
  await shows("2 (file, engine.yaml:3)");
  await assertNamed(page);

  // What a name or a reason holds is text, everywhere.
  assert.equal(await page.locator("img").count(), 0);
  assert.equal(await page.locator("script").count(), 1);
});
