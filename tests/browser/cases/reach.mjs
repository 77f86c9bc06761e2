import { assert, given, run, until, view } from "../browser.mjs";

const VIEWS = ["Overview", "Actors", "Events", "Ledger", "Dead letters", "Quality", "Cache", "Drills", "Configuration"];

// Contrast of two colours, as WCAG counts it.
const contrast = (a, b) => {
  const light = ([r, g, b]) => [r, g, b].map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const [high, low] = [light(a), light(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
};

const readable = async (page, what) => {
  const colours = await page.evaluate(() => {
    const probe = document.createElement("i");
    document.body.append(probe);
    const of = (name) => { probe.style.color = "var(--" + name + ")"; return getComputedStyle(probe).color.match(/\d+/g).map(Number); };
    const names = ["paper", "card", "sunk", "ink", "faint", "good", "busy", "warn", "bad", "good-ground", "busy-ground", "warn-ground", "bad-ground"];
    const found = Object.fromEntries(names.map((name) => [name, of(name)]));
    probe.remove();
    return found;
  });
  const pairs = ["paper", "card", "sunk"].flatMap((ground) => ["ink", "faint"].map((ink) => [ink, ground]))
    .concat(["good", "busy", "warn", "bad"].flatMap((tone) => [[tone, "card"], [tone, tone + "-ground"], ["ink", tone + "-ground"]]));
  for (const [ink, ground] of pairs) {
    const ratio = contrast(colours[ink], colours[ground]);
    assert.ok(ratio >= 4.5, `${what}: ${ink} on ${ground} has ${ratio.toFixed(2)}`);
  }
};

await run(async (page, open) => {
  await readable(page, "light");
  const theme = page.getByRole("button", { name: /^Theme/ });
  for (const wanted of ["light", "dark", "system"]) {
    await theme.click();
    assert.equal(await theme.innerText(), "Theme: " + wanted);
    if (wanted === "dark") await readable(page, "dark by choice");
  }

  // Nothing hangs over the edge of a narrow screen, in the dark.
  const narrow = await open({ viewport: { width: 360, height: 740 }, colorScheme: "dark" });
  await narrow.waitForFunction(() => document.querySelector(".verdict strong")?.textContent);
  await readable(narrow, "dark by the system");
  for (const name of VIEWS) {
    await view(narrow, name);
    const over = await narrow.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(over, 0, name + " is wider than the screen");
  }
  await narrow.context().close();

  // By keyboard: every stop is seen, named, and the ways lead everywhere.
  await page.goto(given.base + "/#overview");
  await page.reload();
  await page.getByRole("link", { name: "All events" }).waitFor();
  const stops = [];
  for (let presses = 0; presses < 60; presses++) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const at = document.activeElement;
      if (!at || at === document.body) return null;
      const style = getComputedStyle(at), box = at.querySelector?.(".box");
      const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1 || (box && parseFloat(getComputedStyle(box).strokeWidth) >= 3);
      return { name: at.getAttribute("aria-label") || at.textContent.trim() || at.labels?.[0]?.textContent, seen: Boolean(seen) };
    });
    if (!stop) break;
    stops.push(stop);
  }
  assert.deepEqual(stops.filter((stop) => !stop.seen || !stop.name), [], "seen and named");
  for (const name of ["Overview", "Configuration", "Enter token", "Theme: system", "last_price is waiting", "All events"]) {
    assert.ok(stops.some((stop) => stop.name === name), name + " is reached: " + stops.map((stop) => stop.name).join(" | "));
  }
  assert.ok(stops.some((stop) => stop.name.startsWith("ticks, kafka_source")), "boxes of the graph are reached");

  const box = page.getByRole("group", { name: "Data flow" }).getByRole("button", { name: /^last_price/ });
  await box.focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "last_price" });
  await dialog.waitFor();
  // Its words change each second; focus stays where it is.
  await page.keyboard.press("Tab");
  const focused = await page.evaluate(() => document.activeElement.textContent);
  await page.waitForTimeout(1500);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), focused);
  await page.keyboard.press("Escape");
  await until("closed", async () => (await dialog.count()) === 0);
  assert.ok(await box.evaluate((node) => node === document.activeElement), "focus comes back to where it was");
});
