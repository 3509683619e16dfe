// The element <two-step-signup> on a page of another origin; browser.sh lists http://localhost:3999.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { assertAccessible } from "../accessible.js";
import { PAGE } from "../browser.js";
import { mailTo } from "../inbox.js";
import { onConsole, pageTest } from "../page_test.js";
import { newcomer, sees, submitCode } from "../person.js";

const LISTED = "http://localhost:3999";
/** As strict as a page with the element can be. */
const POLICY = `default-src 'none'; script-src ${PAGE} 'nonce-own'; style-src ${PAGE}; connect-src ${PAGE}; require-trusted-types-for 'script'`;

const host = (attributes) => `<!doctype html><html lang="en"><head><title>A page elsewhere</title>
<meta name="viewport" content="width=device-width">
<script nonce="own">document.addEventListener("verified", ({ detail }) => (globalThis.verified = detail));</script>
<script type="module" src="${PAGE}/assets/signup.js"></script></head>
<body><main><h1 id="theirs" class="lead">Join us</h1>
<two-step-signup ${attributes}><p>One moment…</p></two-step-signup></main></body></html>`;

/** Runs with a page that has the element. */
async function serving(port, attributes, run) {
  const server = createServer((_, answer) =>
    answer.writeHead(200, { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": POLICY }).end(host(attributes)),
  );
  try {
    await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
    await run();
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** A test with the element on a page of a listed origin. It fails when that page's own policy stops anything. */
const embedTest = (sentence, attributes, run) =>
  pageTest(sentence, async (page) => {
    const violations = [];
    onConsole(page, (entry) => /Content Security Policy|TrustedHTML/.test(entry.text()) && violations.push(entry.text()));
    await serving(3999, attributes, () => run(page));
    assert.deepEqual(violations, []);
  }, { expectsComplaints: true });

async function fillAndSend(page, { firstName, lastName, email }) {
  for (const [id, text] of [["first_name", firstName], ["last_name", lastName], ["email", email]]) await page.locator(`#${id}`).fill(text);
  await page.locator("#register-form [type=submit]").click();
  await page.locator("#code-entry").waitFor();
}

embedTest("a page of a listed origin has the whole signup in it, and is told of its end", 'lang="en" return-to="http://localhost:3999/welcome/new"', async (page) => {
  const person = newcomer();
  await page.goto(LISTED);
  const leadOfTheirs = () => page.locator("#theirs").evaluate((one) => getComputedStyle(one).marginBottom);
  const before = await leadOfTheirs();
  await sees(page, "Create your account");
  assert.equal(await page.getByText("One moment…").count(), 1);
  assert.equal(await page.getByText("One moment…").isVisible(), false);
  await assertAccessible(page, "embedded");
  await fillAndSend(page, person);
  await page.reload();
  await sees(page, person.email);
  const { code, link } = await mailTo(person.email);
  assert.ok(new URL(link).origin !== LISTED, "the mail's link leads to our own page");
  const verified = page.waitForResponse("**/api/verify");
  await submitCode(page, code);
  await sees(page, "Your address is confirmed");
  assert.deepEqual(await page.evaluate(() => globalThis.verified), (await (await verified).json()).data);
  assert.equal(await page.getByRole("link", { name: "Go on" }).getAttribute("href"), "http://localhost:3999/welcome/new");
  assert.deepEqual([await page.title(), await leadOfTheirs()], ["A page elsewhere", before]);
});

embedTest("the form has the element's language, and problems too", 'lang="pt-PT"', async (page) => {
  await page.goto(LISTED);
  const form = page.locator("#signup");
  await form.waitFor();
  assert.equal(await form.getAttribute("lang"), "pt-BR");
  const refused = page.waitForResponse("**/api/register");
  await page.locator("#register-form [type=submit]").click();
  assert.equal((await refused).headers()["content-language"], "pt-BR");
  assert.equal(await page.locator("#email-problem").innerText(), (await (await refused).json()).errors.at(-1).detail);
});

embedTest("an address to return to that is not listed is ignored", 'return-to="https://evil.example/"', async (page) => {
  const person = newcomer();
  await page.goto(LISTED);
  await page.locator("#register").waitFor();
  await fillAndSend(page, person);
  const warned = page.waitForEvent("console", (entry) => entry.text().includes("RETURN_URLS does not list it"));
  await submitCode(page, (await mailTo(person.email)).code);
  await warned;
  await sees(page, "You can close this page.");
});

for (const file of ["form.html", "page.css"]) {
  embedTest(`without ${file} the element says so, and loads again on a click`, "", async (page) => {
    await page.route(`**/assets/${file}*`, (route) => route.abort());
    await page.goto(LISTED);
    await sees(page, "The form could not be loaded. Check your connection.");
    await assertAccessible(page, "not loaded");
    await page.unroute(`**/assets/${file}*`);
    await page.getByRole("button", { name: "Try again" }).click();
    await sees(page, "Create your account");
  });
}

embedTest("what stands in the element is seen until the form has come", "", async (page) => {
  let release;
  const released = new Promise((resolve) => (release = resolve));
  await page.route("**/assets/page.css*", async (route) => {
    await released;
    await route.continue();
  });
  const asked = page.waitForRequest("**/assets/page.css*");
  await page.goto(LISTED, { waitUntil: "commit" });
  await asked;
  await sees(page, "One moment…");
  assert.equal(await page.locator("#signup").isVisible(), false);
  release();
  await sees(page, "Create your account");
  assert.equal(await page.getByText("One moment…").isVisible(), false);
});

embedTest("an element that is taken out and put back goes on where it was", "", async (page) => {
  await page.goto(LISTED);
  await page.locator("#register").waitFor();
  await fillAndSend(page, newcomer());
  await page.evaluate(() => {
    const element = document.querySelector("two-step-signup");
    element.remove();
    document.querySelector("main").append(element);
  });
  await page.getByText(/^in 0:0\d$/).waitFor();
  assert.equal(await page.locator("#code-entry").count(), 1);
});

embedTest("an element that is moved while it loads shows its form, and keeps it", "", async (page) => {
  await page.goto(LISTED);
  await page.locator("#register").waitFor();
  await page.evaluate(() => {
    const element = document.createElement("two-step-signup");
    document.querySelector("two-step-signup").replaceWith(element);
    document.querySelector("main").append(element);
  });
  await page.locator("#register").waitFor();
  assert.equal(await page.getByText("could not be loaded").count(), 0);
});

pageTest("a page of an origin that is not listed gets neither script nor form", (page) =>
  serving(3998, "", async () => {
    await page.goto("http://localhost:3998");
    await sees(page, "One moment…");
    assert.equal(await page.evaluate(() => customElements.get("two-step-signup") === undefined), true);
    const refused = await page.evaluate((url) => fetch(url).catch((error) => error.name), `${PAGE}/assets/form.html`);
    assert.equal(refused, "TypeError");
  }), { expectsComplaints: true });
