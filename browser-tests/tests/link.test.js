// The mail's link: what it carries leaves the address bar, and is posted on a click alone.

import assert from "node:assert/strict";
import { mailTo } from "../inbox.js";
import { pageTest } from "../page_test.js";
import { focused, register, sees, submitCode } from "../person.js";

pageTest("the link confirms on a click and never by being opened", async (page) => {
  const { email } = await register(page);
  const { link } = await mailTo(email);
  const tab = await page.context().newPage();
  const posts = [];
  tab.on("request", (request) => request.url().endsWith("/api/verify") && posts.push(request.url()));
  await tab.goto(link);
  await sees(tab, "You opened the link in our email.");
  await sees(tab, email);
  assert.equal(new URL(tab.url()).hash, "");
  await tab.reload();
  await sees(tab, "You opened the link in our email.");
  await tab.waitForLoadState("networkidle");
  assert.deepEqual(posts, []);
  await tab.getByRole("button", { name: "Confirm my address" }).click();
  await sees(tab, "Your address is confirmed");
  assert.equal(await focused(tab), "done-heading");
  assert.equal(posts.length, 1);
  assert.equal(await tab.evaluate(() => sessionStorage.length), 0);
});

pageTest("a link opened in the tab of the page is noticed too, and the code can be typed instead", async (page) => {
  const { email } = await register(page);
  const { link, code } = await mailTo(email);
  await page.goto(link);
  await sees(page, "You opened the link in our email.");
  await page.getByRole("button", { name: "Type the code instead" }).click();
  await submitCode(page, code);
  await sees(page, "Your address is confirmed");
});

pageTest("a link that is wrong or cut off says so", async (page) => {
  const { email } = await register(page);
  const { link } = await mailTo(email);
  const confirm = page.getByRole("button", { name: "Confirm my address" });
  await page.goto(link.slice(0, -22) + "A".repeat(22));
  await confirm.click();
  await sees(page, /^The link is wrong: open the link of the newest mail/);
  await page.goto(link.slice(0, -3));
  await confirm.click();
  await sees(page, "This link is not complete. Please open it from the email again.");
  await page.goto(link.replace(/#id=.../, "#id="));
  await page.getByRole("button", { name: "Type the code instead" }).click();
  await submitCode(page, "123456");
  await sees(page, "We don't know this registration any more. Please start again.");
});
