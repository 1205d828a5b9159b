// Moving the actors by hand, in the browser. tests/live.rs runs `deadheat step --ui` and this file; PAGE is its page.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NARROW, assertFits, assertForEverybody, boxes, close, tabTo, visit } from "./people.js";

const seat = (page, name) => page.locator(".seat", { has: page.locator("b", { hasText: new RegExp(`^${name}$`) }) });
const made = (page) => page.locator(".made");
const steps = (page, count) => page.waitForFunction((wanted) => document.querySelectorAll(".made").length === wanted, count);
const counter = async (page) => {
  const rows = await page.locator('section.table[aria-label="Table counter"] tbody tr').allInnerTexts();
  return rows.map((row) => row.replace(/\s+/g, " ").trim());
};

/** Opens the page and takes everything back that others have done. */
async function begin(viewport, more) {
  const page = await visit(process.env.PAGE, viewport, more);
  await page.locator(".seat").first().waitFor({ timeout: 60_000 });
  if ((await made(page).count()) > 0) await made(page).last().locator("button").click();
  await steps(page, 0);
  return page;
}

test("everybody is seen with what they would do next, and moves by a click", async () => {
  const page = await begin();
  assert.match(await seat(page, "a1").innerText(), /starts with\s+begin; select v as n from counter/);
  await seat(page, "a1").locator("button").click();
  await steps(page, 1);
  assert.match(await seat(page, "a1").innerText(), /next\s+update counter set v = '0' \+ 1/);
  assert.match(await made(page).first().innerText(), /n = 0/);
  await seat(page, "a1").locator("button").click();
  await steps(page, 2);
  assert.deepEqual(await counter(page), ["1 0"], "nothing is committed yet");
  await seat(page, "a1").locator("button").click();
  await steps(page, 3);
  assert.deepEqual(await counter(page), ["+ New: 1 1"]);
  assert.match(await seat(page, "a1").innerText(), /finished/);
  assert.ok(await seat(page, "a1").locator("button").isDisabled(), "who has finished cannot move");
  await page.keyboard.press("1");
  await page.getByText("a1 has finished", { exact: true }).first().waitFor();
  await page.getByRole("button", { name: "Take back", exact: false }).first().click();
  await steps(page, 2);
  assert.deepEqual(await counter(page), ["1 0"]);
  await close(page);
});

test("a race is made and saved with the keyboard, and seen as a page", async () => {
  const page = await begin();
  for (const [n, key] of ["1", "ArrowDown", "Enter", "Enter"].entries()) {
    await page.keyboard.press(key);
    if (key === "ArrowDown") await page.locator(".seat.chosen", { hasText: "a2" }).waitFor();
    else await steps(page, n === 0 ? 1 : n);
  }
  await page.keyboard.press("u");
  await steps(page, 2);
  await page.keyboard.press("1");
  await steps(page, 3);
  await page.keyboard.press("2");
  await steps(page, 4);
  assert.match(await seat(page, "a2").innerText(), /waits for a1/);
  await page.keyboard.press("e");
  await page.locator(".verdict.bad").waitFor();
  assert.match(await page.locator(".verdict.bad h2").innerText(), /Race: lost update/);
  await page.keyboard.press("s");
  await page.locator(".saved").waitFor();
  await tabTo(page, /^\.deadheat\/lost-update-1\.json/);
  await page.keyboard.press("Enter");
  await page.locator(".step:not([hidden])").first().waitFor();
  assert.match(await page.locator("h1").innerText(), /Lost update/);
  assert.match(await page.locator(".again").innerText(), /deadheat replay \.deadheat\/lost-update-1\.json/);
  await page.locator("nav a").click();
  await page.locator(".seat").first().waitFor();
  assert.equal(await made(page).count(), 6, "it is where it was left");
  await close(page);
});

test("no race is called so, and is not saved", async () => {
  const page = await begin();
  await page.keyboard.press("e");
  await page.locator(".verdict.fine").waitFor();
  assert.ok(await page.getByRole("button", { name: "Save the race" }).isDisabled());
  await close(page);
});

test("whoever looks in another window sees the same", async () => {
  const [page, other] = [await begin(), await visit(process.env.PAGE)];
  await page.keyboard.press("2");
  await steps(other, 1);
  await other.keyboard.press("u");
  await steps(page, 0);
  await Promise.all([close(page), close(other)]);
});

for (const colorScheme of ["light", "dark"]) {
  test(`it is for everybody, in ${colorScheme}`, async () => {
    const page = await begin(NARROW, { colorScheme });
    await page.keyboard.press("1");
    await steps(page, 1);
    await assertForEverybody(page);
    await page.setViewportSize(NARROW);
    await page.keyboard.press("2");
    await steps(page, 2);
    await page.keyboard.press("e");
    await page.locator(".verdict.bad").waitFor();
    await assertFits(page);
    assert.ok((await boxes(page, ".seat button")).every((one) => one.right - one.left > 200));
    await assertForEverybody(page);
    await close(page);
  });
}
