// A search as it is watched while it goes on, and after. tests/live.rs runs the search and this file; PAGE is its page.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NARROW, assertFits, assertForEverybody, close, tabTo, visit } from "./people.js";

const ADDRESS = process.env.PAGE;

const figure = (page, name) => page.locator(".figures div", { has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) }).locator("dd");
const number = async (page, name) => Number((await figure(page, name).textContent()).split(" ")[0].replaceAll(",", ""));
const over = (page) => page.locator(".doing:not(.under-way)").waitFor({ timeout: 60_000 });

test("it is seen how the search goes on: what each lab does, how far it is, a race as it is found", async () => {
  const page = await visit(ADDRESS);
  await page.locator(".lab circle").first().waitFor();
  assert.equal(await page.locator(".lab").count(), 2);
  assert.equal(await page.locator("h1").textContent(), "Five take from one account");
  const before = await number(page, "runs");
  await page.waitForFunction((few) => Number(document.querySelectorAll(".figures dd")[1].textContent) > few, before);
  assert.ok((await number(page, "runs")) > before, "runs are counted as they are made");
  await page.locator(".found a").first().waitFor();
  assert.match(await page.locator(".found b").first().textContent(), /Lost update/);
  assert.equal(await page.locator("img").count(), 0, "what a statement holds is text");
  await close(page);
});

test("a race opens as on the page of a race while the search goes on, by keyboard, and leads back", async () => {
  const page = await visit(ADDRESS);
  await page.locator(".found a").first().waitFor();
  await tabTo(page, /^Lost update/);
  await page.keyboard.press("Enter");
  await page.locator(".step:not([hidden])").first().waitFor();
  assert.match(await page.locator("h1").innerText(), /Lost update/);
  assert.equal(await page.locator(".heads span").count(), 5);
  await tabTo(page, /^The search:/);
  await page.keyboard.press("Enter");
  await page.locator(".figures").waitFor();
  await page.goBack();
  await page.locator(".step:not([hidden])").first().waitFor();
  await close(page);
});

test("when it is over the page says what it came to, and the race is complete", async () => {
  const page = await visit(ADDRESS);
  await over(page);
  assert.equal(await page.locator(".doing").textContent(), "1 race found");
  assert.match(await page.locator("section.outcome pre").textContent(), /many\.toml: race/);
  await page.locator(".found a").first().click();
  await page.locator(".again").waitFor();
  assert.match(await page.locator(".again").innerText(), /deadheat replay \.deadheat\/many-\d+\.json/);
  assert.match(page.url(), /#race-1-1$/);
  const steps = await page.locator(".step").count();
  await page.keyboard.press("ArrowLeft");
  assert.match(await page.locator(".where b").textContent(), new RegExp(`After step ${steps - 1} of ${steps}`));
  assert.ok((await page.locator("section.table tbody tr").count()) > 0, "the tables are there too");
  await page.reload();
  await page.locator(".step:not([hidden])").first().waitFor();
  await close(page);
});

for (const colorScheme of ["light", "dark"]) {
  test(`it is for everybody, in ${colorScheme}`, async () => {
    const page = await visit(ADDRESS, NARROW, { colorScheme });
    await over(page);
    await assertFits(page);
    await assertForEverybody(page);
    await page.locator(".found a").first().click();
    await page.locator(".step:not([hidden])").first().waitFor();
    await assertForEverybody(page);
    await close(page);
  });
}
