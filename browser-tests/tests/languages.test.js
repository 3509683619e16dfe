// The page in every language: what is in it, that it keeps to WCAG, and that nothing is cut off.

import assert from "node:assert/strict";
import { assertAccessible, assertFits, atEachStep } from "../accessible.js";
import { mailTo } from "../inbox.js";
import { LANGUAGES, RIGHT_TO_LEFT } from "../languages.js";
import { pageTest } from "../page_test.js";
import { newcomer, register, sees } from "../person.js";

const FAMILY_NAME_FIRST = ["ja", "zh-Hans"];

/** Text of twice its size, which widths in `rem` follow. */
const zoom = (page, percent) => page.evaluate((size) => (document.documentElement.style.fontSize = size), `${percent}%`);

for (const lang of LANGUAGES) {
  pageTest(`every step keeps to WCAG and fits a small phone in ${lang}`, async (page) => {
    await atEachStep(page, lang, { person: newcomer(), mailTo }, async (step) => {
      const said = await page.evaluate(() => [document.documentElement.lang, document.documentElement.dir]);
      assert.deepEqual(said, [lang, RIGHT_TO_LEFT.includes(lang) ? "rtl" : "ltr"]);
      await assertFits(page, step);
      await assertAccessible(page, step);
      await page.setViewportSize({ width: 640, height: 512 });
      await zoom(page, 200);
      await assertFits(page, `${step}, twice as large`);
      await zoom(page, 100);
      await page.setViewportSize({ width: 320, height: 640 });
    });
  }, { viewport: { width: 320, height: 640 }, colorScheme: RIGHT_TO_LEFT.includes(lang) ? "dark" : "light" });

  pageTest(`mail, problems and page have the same language: ${lang}`, async (page) => {
    const { firstName, lastName, email } = newcomer();
    const asked = [];
    page.on("request", (request) => request.method() === "POST" && asked.push(request));
    await page.goto(`/?lang=${lang}`);
    const order = await page.locator("#register-form .pair input").evaluateAll((inputs) => inputs.map(({ id }) => id));
    assert.deepEqual(order, FAMILY_NAME_FIRST.includes(lang) ? ["last_name", "first_name"] : ["first_name", "last_name"]);
    for (const [id, text] of [["first_name", firstName], ["last_name", lastName], ["email", email]]) await page.locator(`#${id}`).fill(text);
    const registered = page.waitForResponse("**/api/register");
    await page.locator("#register-form [type=submit]").click();
    assert.equal((await registered).headers()["content-language"], lang);
    await page.locator("#code-entry").waitFor();
    const { link, subject } = await mailTo(email);
    assert.equal(subject === "Verify Account", lang === "en");
    assert.equal(await page.locator("#code").getAttribute("dir"), "ltr");
    await page.goto(`/?lang=${lang}${new URL(link).hash}`);
    await page.locator("#confirms").waitFor();
    const name = FAMILY_NAME_FIRST.includes(lang) ? `${lastName} ${firstName}` : `${firstName} ${lastName}`;
    assert.equal((await page.locator("#link-name").innerText()).replace(/\s/g, ""), name.replace(/\s/g, ""));
    assert.deepEqual(asked[0].postDataJSON().locale, lang);
    for (const request of asked) assert.equal(await request.headerValue("accept-language"), lang);
  });
}

pageTest("without a choice the browser's languages decide, and English comes last", async (page) => {
  await page.goto("/");
  await sees(page, "E-Mail-Adresse");
}, { locale: "de-CH" });

pageTest("who reads none of the languages gets English", async (page) => {
  await page.goto("/");
  await sees(page, "Email address");
}, { locale: "da-DK" });

pageTest("another language is chosen by its own name, and the step stays", async (page) => {
  const { email } = await register(page);
  await page.locator(".languages summary").click();
  await page.getByRole("link", { name: "Deutsch" }).click();
  await page.getByRole("button", { name: "Bestätigen", exact: true }).waitFor();
  await sees(page, email);
  assert.equal(await page.evaluate(() => document.documentElement.lang), "de");
  await page.goto((await mailTo(email)).link);
  await sees(page, "Name, as it was entered");
  await page.locator(".languages summary").click();
  await page.getByRole("link", { name: "Français" }).click();
  await page.locator("#link-address").getByText(email).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), "fr");
});
