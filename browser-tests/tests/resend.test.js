// Another mail with the code. The run sets a short RESEND_COOLDOWN.

import assert from "node:assert/strict";
import { mailTo } from "../inbox.js";
import { pageTest } from "../page_test.js";
import { focused, register, sees, submitCode } from "../person.js";

pageTest("a countdown shows when the code can be sent again, and then it is", async (page) => {
  const { email } = await register(page);
  const button = page.getByRole("button", { name: "Send the code again" });
  assert.equal(await button.getAttribute("aria-disabled"), "true");
  await sees(page, /^in 0:0\d$/);
  // During the countdown a click does nothing; the button takes the focus all the same.
  const posts = [];
  page.on("request", (request) => request.method() === "POST" && posts.push(request.url()));
  await button.click({ force: true });
  assert.deepEqual(posts, []);
  const { code } = await mailTo(email);
  await button.and(page.locator(":not([aria-disabled])")).click();
  await sees(page, "We have sent another email. Please use the code in the newest one.");
  await sees(page, /^in 0:0\d$/);
  assert.equal(await focused(page), "code");
  assert.equal((await mailTo(email, 2)).code, code, "the same code while it is valid");
  await submitCode(page, code);
  await sees(page, "Your address is confirmed");
});

pageTest("a refusal restarts the countdown with the server's time", async (page) => {
  await register(page);
  await page.route("**/api/resend", (route) =>
    route.fulfill({ status: 429, headers: { "Retry-After": "754" }, body: "{}" }),
  );
  const button = page.getByRole("button", { name: "Send the code again" });
  await button.and(page.locator(":not([aria-disabled])")).click();
  await sees(page, "Another email can't be sent yet.");
  await sees(page, /^in 12:3\d$/);
  await page.reload();
  await sees(page, /^in 12:3\d$/);
  assert.equal(await button.getAttribute("aria-disabled"), "true");
});
