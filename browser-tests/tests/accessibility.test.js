// The whole way by keyboard alone, and every step checked against WCAG, in both colour schemes.

import assert from "node:assert/strict";
import { assertAccessible, assertFits } from "../accessible.js";
import { mailTo, wrong } from "../inbox.js";
import { pageTest } from "../page_test.js";
import { focused, newcomer, register, sees, submitCode, submitRegistration } from "../person.js";

pageTest("everything can be done by keyboard alone", async (page) => {
  const { firstName, lastName, email } = newcomer();
  await page.goto("/");
  await sees(page, "Create your account");
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "Language: English");
  for (const text of [firstName, lastName, email]) {
    await page.keyboard.press("Tab");
    await page.keyboard.type(text);
  }
  await page.keyboard.press("Enter");
  await sees(page, "Check your inbox");
  assert.equal(await focused(page), "code");
  const { code } = await mailTo(email);
  await page.keyboard.type(wrong(code));
  await page.keyboard.press("Enter");
  await sees(page, "You have 4 attempts left.");
  const order = [];
  for (let presses = 0; presses < 3; presses += 1) {
    await page.keyboard.press("Tab");
    order.push(await focused(page));
  }
  assert.deepEqual(order, ["Confirm", "resend", "Start again"]);
  for (let presses = 0; presses < 3; presses += 1) await page.keyboard.press("Shift+Tab");
  // The wrong code is selected: typing replaces it.
  await page.keyboard.type(code);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  await sees(page, "Your address is confirmed");
  assert.equal(await focused(page), "done-heading");
});

pageTest("a link is confirmed with other names by keyboard alone", async (page) => {
  const { email } = await register(page);
  await page.goto("about:blank");
  await page.goto((await mailTo(email)).link);
  await sees(page, "Name, as it was entered");
  await page.keyboard.press("Tab");
  const order = [];
  for (let presses = 0; presses < 2; presses += 1) {
    await page.keyboard.press("Tab");
    order.push(await focused(page));
  }
  assert.deepEqual(order, ["Confirm my address", "Not your data? Use other names"]);
  await page.keyboard.press("Enter");
  for (const name of ["Grace", "Hopper"]) {
    await page.keyboard.press("Tab");
    await page.keyboard.type(name);
  }
  await page.keyboard.press("Enter");
  await sees(page, "Your address is confirmed");
  assert.equal(await focused(page), "done-heading");
});

for (const colorScheme of ["light", "dark"]) {
  pageTest(`every step keeps to WCAG in ${colorScheme} colours`, async (page) => {
    const person = newcomer();
    await page.goto("/");
    await sees(page, "Create your account");
    await assertAccessible(page, "register");
    await submitRegistration(page, { ...person, firstName: "", email: "" });
    await sees(page, "Please fill this in.");
    await assertAccessible(page, "wrong fields");
    await submitRegistration(page, person);
    await sees(page, "Check your inbox");
    const { code, link } = await mailTo(person.email);
    await submitCode(page, wrong(code));
    await sees(page, "You have 4 attempts left.");
    await assertAccessible(page, "wrong code");
    await page.goto(link);
    await sees(page, "Name, as it was entered");
    await assertAccessible(page, "link");
    await page.getByText("Not your data? Use other names").click();
    await page.getByRole("button", { name: "Confirm with these names" }).click();
    await sees(page, "Please fill this in.");
    await assertAccessible(page, "other names");
    await page.getByRole("button", { name: "Confirm my address" }).click();
    await sees(page, "Your address is confirmed");
    await assertAccessible(page, "done");
  }, { colorScheme });
}

for (const [name, width] of [["a small phone", 320], ["a tablet", 768]]) {
  pageTest(`nothing is cut off on ${name}`, async (page) => {
    await page.goto("/");
    await submitRegistration(page, { ...newcomer(), email: `${"long".repeat(16)}@${"domain".repeat(10)}.example.com` });
    await sees(page, "Check your inbox");
    await assertFits(page, "code");
    const person = { ...newcomer(), firstName: "long".repeat(25), lastName: "long".repeat(25) };
    await page.getByRole("button", { name: "Start again" }).click();
    await register(page, person);
    await page.goto((await mailTo(person.email)).link);
    await page.getByText("Not your data? Use other names").click();
    await assertFits(page, "link");
  }, { viewport: { width, height: 640 } });
}
