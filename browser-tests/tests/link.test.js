// The mail's link: what it carries leaves the address bar, it shows what it confirms, and confirms on a click alone.

import assert from "node:assert/strict";
import { registerElsewhere } from "../api.js";
import { mailTo } from "../inbox.js";
import { pageTest } from "../page_test.js";
import { focused, newcomer, register, sees, submitCode } from "../person.js";
import { answers, problem } from "../problem.js";

const STRANGER = { firstName: "Win", lastName: "Money" };
const confirm = (page) => page.getByRole("button", { name: "Confirm my address" });
const idOf = (link) => new URLSearchParams(new URL(link).hash.slice(1)).get("id");

/** What is posted to an endpoint from now on. */
function posted(page, endpoint) {
  const bodies = [];
  page.on("request", (request) => request.url().endsWith(`/api/${endpoint}`) && bodies.push(request.postDataJSON()));
  return bodies;
}

/** Opens a link in a new tab of the same browser, and waits until it shows what it confirms. */
async function openInNewTab(page, link) {
  const tab = await page.context().newPage();
  await tab.goto(link);
  await confirm(tab).waitFor();
  return tab;
}

/** Waits until the page shows what a click confirms: these data. */
async function assertShows(page, { firstName, lastName, email }) {
  await confirm(page).waitFor();
  assert.equal(await page.locator("#link-address").innerText(), email);
  assert.equal(await page.locator("#link-name").innerText(), `${firstName} ${lastName}`);
}

pageTest("the link confirms on a click and never by being opened", async (page) => {
  const person = await register(page);
  const { link } = await mailTo(person.email);
  const tab = await page.context().newPage();
  const verified = posted(tab, "verify");
  await tab.goto(link);
  await assertShows(tab, person);
  assert.equal(new URL(tab.url()).hash, "");
  await tab.reload();
  await confirm(tab).waitFor();
  await tab.waitForLoadState("networkidle");
  assert.deepEqual(verified, []);
  await confirm(tab).click();
  await sees(tab, "Your address is confirmed");
  assert.equal(await focused(tab), "done-heading");
  assert.equal(verified.length, 1);
  assert.deepEqual(await tab.evaluate(() => [sessionStorage.length, localStorage.length]), [0, 0]);
});

pageTest("of a stranger's registration and this browser's own, the link confirms the own one", async (page) => {
  const owner = newcomer();
  const stranger = await registerElsewhere({ ...owner, ...STRANGER });
  const { link } = await mailTo(owner.email);
  assert.equal(idOf(link), stranger.id);
  await register(page, owner);
  const tab = await openInNewTab(page, link);
  await assertShows(tab, owner);
  const verified = posted(tab, "verify");
  await confirm(tab).click();
  await sees(tab, "Your address is confirmed");
  assert.notEqual(verified[0].id, stranger.id);
});

pageTest("a stranger who comes second changes nothing of what the link confirms", async (page) => {
  const owner = await register(page);
  const { link } = await mailTo(owner.email);
  await registerElsewhere({ ...owner, ...STRANGER });
  await assertShows(await openInNewTab(page, link), owner);
});

pageTest("another mail is a registration of its own, and this browser's own is still the one that is confirmed", async (page) => {
  const owner = await register(page);
  const { link } = await mailTo(owner.email);
  const resent = page.waitForResponse("**/api/resend");
  await page.getByRole("button", { name: "Send another email" }).and(page.locator(":not([aria-disabled])")).click();
  const { id } = (await (await resent).json()).data;
  await sees(page, "If your address can get another email now, it is on its way.");
  const tab = await openInNewTab(page, link);
  const verified = posted(tab, "verify");
  await confirm(tab).click();
  await sees(tab, "Your address is confirmed");
  assert.deepEqual([verified[0].id === id, verified[0].id === idOf(link)], [true, false]);
});

pageTest("the link shows whom it confirms", async (page) => {
  const owner = newcomer();
  await registerElsewhere({ ...owner, ...STRANGER });
  await page.goto((await mailTo(owner.email)).link);
  await assertShows(page, { ...STRANGER, email: owner.email });
  await sees(page, "Name, as it was entered");
  for (const text of [owner.email, STRANGER.firstName]) {
    assert.equal(await page.getByRole("heading").filter({ hasText: text }).count(), 0, text);
  }
  assert.equal(await page.title(), "Confirm your address");
});

pageTest("names that somebody else entered can be replaced before they are confirmed", async (page) => {
  const owner = newcomer();
  await registerElsewhere({ ...owner, ...STRANGER });
  await page.goto((await mailTo(owner.email)).link);
  const [registered, verified] = [posted(page, "register"), posted(page, "verify")];
  await page.getByText("Not your data? Use other names").click();
  const form = page.locator("#other-form");
  await form.getByLabel("First name").fill("www.example.com");
  await form.getByRole("button", { name: "Confirm with these names" }).click();
  await sees(page, "Please fill this in.");
  await sees(page, "Use a period only before a space or at the end.");
  assert.deepEqual(verified, []);
  await form.getByLabel("First name").fill(owner.firstName);
  await form.getByLabel("Last name").fill(owner.lastName);
  const answer = page.waitForResponse((response) => response.url().endsWith("/api/register"));
  await form.getByRole("button", { name: "Confirm with these names" }).click();
  const { id } = (await (await answer).json()).data;
  await sees(page, "Your address is confirmed");
  assert.deepEqual(registered.at(-1), { first_name: owner.firstName, last_name: owner.lastName, email: owner.email, locale: "en" });
  assert.deepEqual(verified.map((body) => body.id), [id]);
});

pageTest("a mail for another address than this browser's own shows its own data and leaves the other alone", async (page) => {
  const mine = await register(page);
  const other = { ...newcomer(), firstName: "Grace" };
  await registerElsewhere(other);
  const tab = await openInNewTab(page, (await mailTo(other.email)).link);
  await assertShows(tab, other);
  await confirm(tab).click();
  await sees(tab, "Your address is confirmed");
  await assertShows(await openInNewTab(page, (await mailTo(mine.email)).link), mine);
});

pageTest("two tabs with two registrations confirm each its own", async (page) => {
  const first = await register(page);
  const second = await page.context().newPage();
  await second.goto("/");
  await second.getByRole("button", { name: "Start again" }).click();
  const other = await register(second, { ...newcomer(), firstName: "Grace" });
  await page.reload();
  await sees(page, first.email);
  await submitCode(page, (await mailTo(first.email)).code);
  await sees(page, "Your address is confirmed");
  await page.goto((await mailTo(other.email)).link);
  await assertShows(page, other);
});

pageTest("what is kept for other tabs says nothing of the person, and ends", async (page) => {
  const owner = newcomer();
  const stranger = await registerElsewhere({ ...owner, ...STRANGER });
  await register(page, owner);
  const kept = await page.evaluate(() => localStorage.getItem("two-step-signup:registration"));
  for (const text of [owner.email, owner.firstName, owner.lastName]) assert.ok(!kept.includes(text), text);
  assert.ok(Math.abs(JSON.parse(kept).until - Date.now() - 75 * 60_000) < 60_000, kept);
  await page.evaluate((kept) => localStorage.setItem("two-step-signup:registration", JSON.stringify({ ...kept, until: Date.now() - 1 })), JSON.parse(kept));
  const tab = await openInNewTab(page, (await mailTo(owner.email)).link);
  await assertShows(tab, { ...STRANGER, email: owner.email });
  const verified = posted(tab, "verify");
  await confirm(tab).click();
  await sees(tab, "Your address is confirmed");
  assert.equal(verified[0].id, stranger.id);
});

pageTest("without its fragment the page says to type the code", async (page) => {
  await page.goto("/");
  await sees(page, /It was cut off on the way: open it again, or type its code where you signed up\.$/);
  const { email } = await register(page);
  const tab = await page.context().newPage();
  await tab.goto("/");
  await submitCode(tab, (await mailTo(email)).code);
  await sees(tab, "Your address is confirmed");
});

pageTest("a link that is wrong or cut off says so and confirms nothing", async (page) => {
  const { email } = await register(page);
  const { link, code } = await mailTo(email);
  await page.goto(link.slice(0, -22) + "A".repeat(22));
  await sees(page, /^This link does not work, or not any more\. Please open the one in the newest email/);
  assert.equal(await confirm(page).isVisible(), false);
  await page.goto(link.slice(0, -3));
  await sees(page, "This link is not complete. Please open it from the email again.");
  await page.getByRole("button", { name: "Type the code instead" }).click();
  await submitCode(page, code);
  await sees(page, "Your address is confirmed");
});

pageTest("a link of a registration that is gone leads back to the start, and no code is typed for data that nobody saw", async (page) => {
  const { email } = newcomer();
  await registerElsewhere({ ...newcomer(), email });
  const { link } = await mailTo(email);
  await page.goto(link.replace(/#id=[0-9a-f]{8}/, "#id=00000000"));
  await sees(page, "We don't know this registration, or not any more. Please start again.");
  for (const name of ["Type the code instead", "Try again", "Confirm my address"]) {
    assert.equal(await page.getByRole("button", { name }).isVisible(), false, name);
  }
  await page.getByRole("button", { name: "Start again" }).click();
  await sees(page, "Create your account");
});

pageTest("a link that can't be looked up is confirmed by nobody, and looked up again on a click", async (page) => {
  const owner = await register(page);
  const { link } = await mailTo(owner.email);
  const notNow = answers(problem(503, "unavailable", "Not now.", { "Retry-After": "1" }));
  await page.route("**/api/registration", notNow);
  await page.goto(link);
  await sees(page, "Not now.");
  assert.equal(await confirm(page).isVisible(), false);
  await page.getByRole("button", { name: "Try again" }).focus();
  const refused = page.waitForResponse("**/api/registration");
  await page.keyboard.press("Enter");
  await refused;
  await page.locator("#look-again:not([aria-busy])").waitFor();
  await sees(page, "Not now.");
  assert.equal(await focused(page), "look-again");
  await page.unroute("**/api/registration");
  await page.keyboard.press("Enter");
  await assertShows(page, owner);
  assert.equal(await focused(page), "link-heading");
});

pageTest("a link that is opened in a tab that shows the page already leads the focus to it", async (page) => {
  const owner = await register(page);
  assert.equal(await focused(page), "code");
  await page.evaluate((hash) => (location.hash = hash), new URL((await mailTo(owner.email)).link).hash);
  await assertShows(page, owner);
  assert.equal(await focused(page), "link-heading");
  assert.equal(new URL(page.url()).hash, "");
});

pageTest("with other names that can't be confirmed for now the focus is where to try again", async (page) => {
  const owner = await register(page);
  await page.goto("about:blank");
  await page.goto((await mailTo(owner.email)).link);
  await page.getByText("Not your data? Use other names").click();
  for (const label of ["First name", "Last name"]) await page.locator("#other-form").getByLabel(label).fill("Grace");
  await page.route("**/api/verify", answers(problem(503, "unavailable", "Not now.", { "Retry-After": "1" })));
  await page.keyboard.press("Enter");
  await sees(page, "Not now.");
  assert.equal(await focused(page), "Confirm my address");
});

pageTest("what only looks like a link is taken out of the address bar and changes nothing", async (page) => {
  const { email } = await register(page);
  const { link } = await mailTo(email);
  const token = link.split("token=")[1];
  for (const hash of ["#id=1&token=2", `#id=${"a".repeat(36)}&token=${token}`, `${new URL(link).hash}A`, `#id=${idOf(link)}&token=a%20b`]) {
    await page.goto("about:blank");
    await page.goto(`/${hash}`);
    await sees(page, email);
    assert.equal(new URL(page.url()).hash, "");
    await page.evaluate((hash) => (location.hash = hash), hash);
    await page.waitForURL((url) => url.hash === "");
    assert.equal(await page.getByLabel("Code", { exact: true }).isVisible(), true, hash);
  }
  await page.reload();
  await sees(page, email);
});

for (const [what, status, kind] of [
  ["expires", 422, "wrong-token"],
  ["is forgotten", 404, "unknown-id"],
]) {
  pageTest(`a link that ${what} between the look and the click says so`, async (page) => {
    const { email } = await register(page);
    await page.goto((await mailTo(email)).link);
    await page.route("**/api/verify", answers(problem(status, kind, "Not any more.")));
    await confirm(page).click();
    await sees(page, "Not any more.");
  });
}

pageTest("where the browser keeps nothing, code and link work all the same", async (page) => {
  await page.addInitScript(() => {
    const refuse = { get: () => { throw new Error("storage is turned off"); } };
    for (const storage of ["localStorage", "sessionStorage"]) Object.defineProperty(globalThis, storage, refuse);
  });
  const first = await register(page);
  await submitCode(page, (await mailTo(first.email)).code);
  await sees(page, "Your address is confirmed");
  const second = newcomer();
  await registerElsewhere(second);
  await page.goto((await mailTo(second.email)).link);
  await assertShows(page, second);
  await confirm(page).click();
  await sees(page, "Your address is confirmed");
});
