// The page of a race as people use it, in Chromium: by mouse, by keyboard, on a telephone, in the dark, on paper.
//
// tests/page.rs makes the pages and runs this file; PAGES is the folder they are in, CHROMIUM the browser.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { NARROW, WIDE, assertApart, assertFits, assertForEverybody, boxes, close, visit } from "./people.js";

const open = (name, viewport, more) => visit(pathToFileURL(`${process.env.PAGES}/${name}.html`).href, viewport, more);

const where = (page) => page.locator(".where b").textContent();
const rows = (page, table) => page.locator(`section.table[aria-label="Table ${table}"] tbody tr`).allInnerTexts();

const unfold = async (page) => {
  const folded = page.locator('.fold button[aria-expanded="false"]');
  while ((await folded.count()) > 0) await folded.first().click();
};

describe("two actors, one of whom loses an update", () => {
  test("says what it is, why, and in whose lane each step is", async () => {
    const page = await open("two");
    assert.match(await page.locator("h1").innerText(), /Lost update/);
    assert.ok((await page.locator(".why ol li").count()) >= 3);
    const cards = await page.locator(".step").evaluateAll((all) => all.map((one) => one.innerText));
    assert.equal(cards.length, 6);
    const [first, second] = await boxes(page, ".heads span");
    assert.ok(second.left - first.left > 300, "each actor has a lane");
    assertApart(await boxes(page, ".card"));
    await close(page);
  });

  test("draws the wait as a bar from its step to the one that ends it, and the circle as two arrows", async () => {
    const page = await open("two");
    const [wait] = await boxes(page, ".bar.wait");
    const dots = await boxes(page, ".dot");
    assert.ok(wait.top >= dots[3].top && wait.top <= dots[3].bottom + 4, "it begins at step 4");
    assert.ok(wait.bottom >= dots[4].top - 4 && wait.bottom <= dots[4].bottom + 4, "it ends at step 5");
    assert.equal(await page.locator("path.cycle").count(), 2);
    assert.equal(await page.locator(".on-cycle").count(), 3);
    await close(page);
  });

  test("is scrubbed with the mouse, and the tables follow", async () => {
    const page = await open("two");
    const range = await page.locator("#scrub").boundingBox();
    const at = (part) => [range.x + 9 + (range.width - 18) * part, range.y + range.height / 2];
    await page.mouse.move(...at(1));
    await page.mouse.down();
    await page.mouse.move(...at(0), { steps: 5 });
    assert.equal(await where(page), "At the start");
    assert.deepEqual(await rows(page, "counter"), ["\t1\t0"]);
    await page.mouse.move(...at(5 / 6), { steps: 5 });
    await page.mouse.up();
    assert.equal(await where(page), "After step 5 of 6");
    assert.equal(await page.locator("td.new ins").innerText(), "1");
    assert.equal(await page.locator("td.new del").innerText(), "0");
    assert.match(await page.locator(".pending").innerText(), /a2 has written id=1 \(step 4\) and not committed/);
    await page.locator('[data-step="1"] .card').click();
    assert.equal(await where(page), "After step 2 of 6");
    assert.match(await page.locator(".pending").innerText(), /a1 has written/);
    await close(page);
  });

  test("is walked through with the keyboard alone", async () => {
    const page = await open("two");
    await page.keyboard.press("ArrowLeft");
    assert.equal(await where(page), "After step 5 of 6");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    assert.equal(await where(page), "After step 6 of 6", "it ends at the end");
    await page.locator(".step.now .head").focus();
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("ArrowUp");
    assert.equal(await where(page), "After step 4 of 6");
    assert.match(await page.evaluate(() => document.activeElement.innerText), /^Step\s4/);
    await page.locator("#scrub").focus();
    await page.keyboard.press("Home");
    assert.equal(await where(page), "At the start");
    assert.equal(await page.locator("#scrub").getAttribute("aria-valuetext"), "At the start");
    await page.keyboard.press("End");
    assert.equal(await where(page), "After step 6 of 6");
    await close(page);
  });

  test("can be reached without a mouse from the top of the page to its end", async () => {
    const page = await open("two");
    const seen = [];
    for (let n = 0; n < 60; n += 1) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => document.activeElement.getAttribute("aria-label") || document.activeElement.innerText);
      seen.push(at.trim());
      if (at === "Command") break;
    }
    assert.equal(seen[0], "To the timeline");
    for (const stop of ["Step", "One step back", "Rows of counter", "Command"]) assert.ok(seen.includes(stop), `${stop} in ${seen}`);
    await close(page);
  });

  test("shows the serial orders and what each does otherwise", async () => {
    const page = await open("two");
    const orders = await page.locator(".orders summary .order").allInnerTexts();
    assert.deepEqual(orders, ["a1, then a2", "a2, then a1"]);
    assert.match(await page.locator(".differs").first().innerText(), /id=1 v=1\s+id=1 v=2/);
    await close(page);
  });

  test("prints without what only works on a screen, and says the conflicts in words", async () => {
    const page = await open("two");
    await page.emulateMedia({ media: "print" });
    assert.equal(await page.locator(".controls").isVisible(), false);
    const note = await page.locator("p.conflict").first().boundingBox();
    assert.ok(note.height > 10 && note.width > 100, "the conflict is written out");
    assert.ok((await page.pdf({ format: "A4" })).length > 10_000);
    await close(page);
  });

  test("says why even where scripts are switched off", async () => {
    const page = await open("two", WIDE, { javaScriptEnabled: false });
    assert.match(await page.locator("noscript").innerText(), /update is lost/);
    await close(page);
  });
});

describe("five actors and a hundred and fifty steps", () => {
  test("folds what does not matter, and opens it with the keyboard", async () => {
    const page = await open("many");
    const shown = (await boxes(page, ".card")).length;
    assert.ok(shown < 20, `${shown} cards are shown`);
    assert.equal(await page.locator(".step").count(), 150);
    const fold = page.locator(".fold button").first();
    await fold.focus();
    await page.keyboard.press("Enter");
    assert.equal(await fold.getAttribute("aria-expanded"), "true");
    await unfold(page);
    assert.equal((await boxes(page, ".card")).length, 150);
    assertApart(await boxes(page, ".card"));
    assertApart(await boxes(page, ".heads span"));
    await assertFits(page);
    await close(page);
  });

  test("marks the fold in which the step is", async () => {
    const page = await open("many");
    const folded = await page.locator(".fold").first().getAttribute("data-steps");
    const step = Number(folded.split(" ")[1]) + 1;
    await page.locator("#scrub").fill(String(step));
    assert.equal(await where(page), `After step ${step} of 150`);
    assert.equal(await page.locator(".fold.now").count(), 1);
    assert.equal(await page.locator(".fold button").first().getAttribute("aria-current"), "step");
    await close(page);
  });

  test("shows rows as they come", async () => {
    const page = await open("many");
    const last = (await rows(page, "entries")).length;
    await page.locator("#scrub").fill("0");
    assert.deepEqual(await rows(page, "entries"), ["\tno rows"]);
    assert.ok(last > 20, `${last} rows in the end`);
    await close(page);
  });

  test("takes what a statement or a row holds as text", async () => {
    const page = await open("many");
    await unfold(page);
    assert.equal(await page.locator("img").count(), 0);
    assert.doesNotMatch(await page.title(), /broken/);
    assert.match(await page.locator(".step .sql:not(.small)").first().innerText(), /<\/script><img src=x onerror=/);
    assert.match((await rows(page, "accounts")).join(), /ben <\/script><img src=x onerror=/);
    await close(page);
  });

  test("fits a telephone, folded and unfolded", async () => {
    const page = await open("many", NARROW);
    await assertFits(page);
    await unfold(page);
    await assertFits(page);
    assertApart(await boxes(page, ".card"));
    assert.ok((await boxes(page, ".card")).every((card) => card.right - card.left > 200), "cards stay wide enough to read");
    await close(page);
  });

  test("shows every race of a report", async () => {
    const page = await open("report");
    const races = page.locator("nav button");
    assert.equal(await races.count(), 2);
    await races.nth(1).click();
    assert.match(await page.locator(".eyebrow").innerText(), /many\.toml/);
    assert.equal(await page.locator("nav [aria-current]").innerText(), "Lost update in many.toml");
    assert.ok((await page.locator("path.cycle").count()) >= 2, "the arrows come along");
    await races.nth(0).click();
    assert.equal(await page.locator(".step").count(), 6);
    assert.match(await page.locator("#page > section.outcome pre").innerText(), /lost-update\.toml: race/);
    await close(page);
  });
});

describe("for everybody", () => {
  for (const name of ["two", "many", "report"]) {
    for (const colorScheme of ["light", "dark"]) {
      test(`${name} in ${colorScheme} has nothing that axe objects to`, async () => {
        const page = await open(name, WIDE, { colorScheme });
        await page.keyboard.press("ArrowLeft");
        await assertForEverybody(page);
        await close(page);
      });
    }
  }
});
