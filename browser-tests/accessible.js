// What must hold for every step, whatever language and colours it is in.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { unobservedly } from "./page_test.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe finds against WCAG 2.2 A and AA: contrast, names, roles, structure, languages. */
export async function assertAccessible(page, step) {
  await page.evaluate(AXE);
  // axe writes the styles of shadow roots into the page, which the page's policy refuses.
  const { violations } = await unobservedly(page, () =>
    page.evaluate(() => globalThis.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })),
  );
  assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]), [], step);
}

/** Nothing stands beyond an edge of the window, or of what it is in. */
export async function assertFits(page, step) {
  const outside = await page.evaluate(() => {
    const all = (root) => [...root.querySelectorAll("*")].flatMap((one) => [one, ...(one.shadowRoot ? all(one.shadowRoot) : [])]);
    const width = document.documentElement.clientWidth;
    const isOutside = (one) => {
      const { left, right, width: own } = one.getBoundingClientRect();
      // An input scrolls what is typed into it.
      const isCut = one.localName !== "input" && one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1;
      return own > 0 && (left < -0.5 || right > width + 0.5 || isCut);
    };
    const found = all(document.body).filter((one) => !one.closest(".unseen, svg") && isOutside(one));
    return found.map((one) => one.outerHTML.slice(0, 200));
  });
  assert.deepEqual(outside, [], step);
  const [scrolled, shown] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(scrolled <= shown, `${step}: ${scrolled} of ${shown}`);
}

/** Runs a check at each step of a signup in a language, by ids: labels differ. */
export async function atEachStep(page, lang, { person, mailTo }, check) {
  const fill = async (form, values) => {
    for (const [id, value] of Object.entries(values)) await page.locator(`#${id}`).fill(value);
    await page.locator(`#${form} [type=submit]`).click();
  };
  const names = { first_name: person.firstName, last_name: person.lastName };
  await page.goto(`/?lang=${lang}`);
  await page.locator("#register").waitFor();
  await check("register");
  await fill("register-form", { first_name: "www.example.com", last_name: "", email: "nobody" });
  await page.locator("#email-problem:not(:empty)").waitFor();
  await check("wrong fields");
  await fill("register-form", { ...names, email: person.email });
  await page.locator("#code-entry").waitFor();
  const { link, code } = await mailTo(person.email);
  await fill("code-form", { code: code === "000000" ? "000001" : "000000" });
  await page.locator("#code-problem:not(:empty)").waitFor();
  await check("wrong code");
  await page.goto(`/?lang=${lang}${new URL(link).hash}`);
  await page.locator("#confirms").waitFor();
  await page.locator("#other-names summary").click();
  await fill("other-form", { other_first_name: "", other_last_name: "www.example.com" });
  await page.locator("#other_last_name-problem:not(:empty)").waitFor();
  await check("link");
  await page.locator("#link-form [type=submit]").click();
  await page.locator("#done").waitFor();
  await page.locator(".languages summary").click();
  await check("done, with the list of languages");
}
