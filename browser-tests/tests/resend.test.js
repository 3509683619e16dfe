// Another mail, which comes with another registration of the same data. The run sets a short RESEND_COOLDOWN.

import assert from "node:assert/strict";
import { mailTo } from "../inbox.js";
import { pageTest } from "../page_test.js";
import { focused, register, sees, shownIn, submitCode } from "../person.js";
import { answers, problem } from "../problem.js";

const button = (page) => page.getByRole("button", { name: "Send another email" });
const free = (page) => button(page).and(page.locator(":not([aria-disabled])"));

pageTest("a countdown shows when another mail can be asked for, and the answer's id takes the place of the one before", async (page) => {
  const { email } = await register(page);
  assert.equal(await button(page).getAttribute("aria-disabled"), "true");
  await sees(page, /^in 0:0\d$/);
  // During the countdown a click does nothing; the button takes the focus all the same.
  const posts = [];
  page.on("request", (request) => request.method() === "POST" && posts.push(request.postDataJSON()));
  await button(page).click({ force: true });
  assert.deepEqual(posts, []);
  const resent = page.waitForResponse("**/api/resend");
  await free(page).click();
  const { data } = await (await resent).json();
  await sees(page, "If your address can get another email now, it is on its way. The code in the newest one works.");
  await sees(page, /^in 0:0\d$/);
  assert.equal(await focused(page), "code");
  assert.deepEqual([data.resend_after, data.id === posts[0].id], [6, false], "twice the 3 seconds of the run");
  await submitCode(page, (await mailTo(email, 2)).code);
  await sees(page, "Your address is confirmed");
  assert.equal(posts.at(-1).id, data.id);
});

pageTest("the page promises no mail and no time that it can't know of", async (page) => {
  const { email } = await register(page);
  await sees(page, email);
  await free(page).waitFor();
  await free(page).click();
  await sees(page, "If your address can get another email now");
  const text = await shownIn(page);
  for (const untrue of [/we have sent/i, /valid until/i, /\d\d:\d\d/]) assert.doesNotMatch(text, untrue);
  assert.match(text, /The code in the newest email works, whoever asked for it\./);
});

pageTest("a refusal restarts the countdown with the server's time", async (page) => {
  await register(page);
  await page.route("**/api/resend", answers(problem(429, "too-soon", "It is too soon.", { "Retry-After": "754" })));
  await free(page).click();
  await sees(page, "It is too soon.");
  await sees(page, /^in 12:3\d$/);
  await page.reload();
  await sees(page, /^in 12:3\d$/);
  assert.equal(await button(page).getAttribute("aria-disabled"), "true");
});
