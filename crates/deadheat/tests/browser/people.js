// What people do and see in Chromium, for the tests of all pages. CHROMIUM is the browser.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before } from "node:test";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
export const WIDE = { width: 1600, height: 1000 };
export const NARROW = { width: 375, height: 812 };

let browser;
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: QUIET });
});
after(() => browser.close());

/** Opens an address; whatever the page complains of, or asks of anybody else, fails the test. */
export async function visit(address, viewport = WIDE, more = {}) {
  const home = new URL(".", address).href;
  const page = await browser.newPage({ viewport, ...more });
  page.setDefaultTimeout(20_000);
  page.complaints = [];
  page.on("console", (message) => page.complaints.push(message.text()));
  page.on("pageerror", (error) => page.complaints.push(error.message));
  page.on("request", (request) => request.url().startsWith(home) || request.url().startsWith("data:") || page.complaints.push(request.url()));
  page.on("dialog", (dialog) => page.complaints.push(dialog.message()));
  await page.goto(address);
  return page;
}

export async function close(page) {
  assert.deepEqual(page.complaints, []);
  await page.close();
}

/** Boxes of whatever is shown of these. */
export const boxes = (page, selector) =>
  page.locator(selector).evaluateAll((all) =>
    all.filter((one) => one.checkVisibility()).map((one) => {
      const { left, right, top, bottom } = one.getBoundingClientRect();
      return { left, right, top, bottom, what: one.innerText?.slice(0, 20) };
    }),
  );

export function assertApart(all) {
  for (const [n, a] of all.entries()) {
    for (const b of all.slice(n + 1)) {
      const meet = a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
      assert.ok(!meet, `${a.what} lies over ${b.what}`);
    }
  }
}

export async function assertFits(page) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `${content} pixels of content in a window of ${window}`);
}

/** Wide and narrow, axe objects to nothing, and nothing is cut off. */
export async function assertForEverybody(page) {
  for (const viewport of [WIDE, NARROW]) {
    await page.setViewportSize(viewport);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => axe.run());
    const said = violations.map((one) => `${one.id}: ${one.nodes.map((node) => `${node.html} ${node.failureSummary}`).slice(0, 3).join("; ")}`);
    assert.deepEqual(said, [], `${viewport.width} pixels`);
    await assertFits(page);
  }
}

/** Presses Tab until the focus is on what the words name. */
export async function tabTo(page, words) {
  for (let n = 0; n < 80; n += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => document.activeElement.getAttribute("aria-label") || document.activeElement.innerText || "");
    if (words.test(at.trim())) return;
  }
  assert.fail(`the keyboard does not come to ${words}`);
}
