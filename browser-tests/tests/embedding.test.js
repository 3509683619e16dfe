// The element <two-step-signup> on a page of another origin; browser.sh lists http://localhost:3999.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { assertAccessible } from "../accessible.js";
import { PAGE } from "../browser.js";
import { eventually, mailTo } from "../inbox.js";
import { onConsole, pageTest } from "../page_test.js";
import { focused, newcomer, sees, submitCode } from "../person.js";

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

/** Registers somebody with the form in a page or in one of its elements. */
async function fillAndSend(where, { firstName, lastName, email }) {
  for (const [id, text] of [["first_name", firstName], ["last_name", lastName], ["email", email]]) await where.locator(`#${id}`).fill(text);
  await where.locator("#register-form [type=submit]").click();
  await where.locator("#code-entry").waitFor();
}

/** Puts another element into the page, perhaps in the shadow root of an element with a language. */
const addElement = (page, around) =>
  page.evaluate((lang) => {
    const place = document.querySelector("main").appendChild(document.createElement("div"));
    if (lang !== undefined) place.lang = lang;
    const root = lang === undefined ? place : place.attachShadow({ mode: "closed" }).appendChild(document.createElement("p"));
    root.append(document.createElement("two-step-signup"));
    globalThis.place = place;
    globalThis.added = root.firstChild;
  }, around);

/** The language of the form in the element that was added, and what is typed there. */
const added = (page) =>
  page.evaluate(() => {
    const root = globalThis.added.shadowRoot;
    return [root.getElementById("signup")?.lang, root.getElementById("email")?.value];
  });

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

embedTest("two elements of a page are two signups, and each comes to its end", "", async (page) => {
  await page.goto(LISTED);
  await addElement(page);
  const elements = [0, 1].map((at) => page.locator("two-step-signup").nth(at));
  const people = [newcomer(), newcomer()];
  for (const [at, element] of elements.entries()) await fillAndSend(element, people[at]);
  for (const [at, element] of elements.entries()) {
    assert.equal(await element.locator("#address").innerText(), people[at].email);
    await element.locator("#code").fill((await mailTo(people[at].email)).code);
    await element.locator("#code-form [type=submit]").click();
    await element.locator("#done").waitFor();
  }
  assert.deepEqual(await page.evaluate(() => [sessionStorage.length, localStorage.length]), [0, 0]);
});

embedTest("a request of one element does not hold up another", "", async (page) => {
  await page.goto(LISTED);
  await addElement(page);
  const [first, second] = [0, 1].map((at) => page.locator("two-step-signup").nth(at));
  let held;
  await page.route("**/api/register", (route) => (held = route), { times: 1 });
  await first.locator("#register-form [type=submit]").click();
  await first.locator("[aria-busy]").waitFor();
  await fillAndSend(second, newcomer());
  await held.continue();
  await first.locator("#email-problem:not(:empty)").waitFor();
});

for (const file of ["form.html", "page.css"]) {
  embedTest(`without ${file} the element says so, and loads again on a click`, "", async (page) => {
    await page.route(`**/assets/${file}*`, (route) => route.abort());
    await page.goto(LISTED);
    await sees(page, "The form could not be loaded. Check your connection.");
    await assertAccessible(page, "not loaded");
    const again = page.getByRole("button", { name: "Try again" });
    await again.focus();
    const failed = page.waitForEvent("console", (entry) => entry.text().includes("could not be loaded"));
    await page.keyboard.press("Enter");
    await failed;
    await again.waitFor();
    assert.equal(await focused(page), "Try again");
    await page.unroute(`**/assets/${file}*`);
    await page.keyboard.press("Enter");
    await sees(page, "Create your account");
    assert.equal(await focused(page), "email");
  });
}

embedTest("a style that never ends loading is reported like one that can't be loaded", "", async (page) => {
  await page.clock.install();
  await page.route("**/assets/page.css*", () => {});
  const asked = page.waitForRequest("**/assets/page.css*");
  await page.goto(LISTED);
  await asked;
  await page.clock.fastForward("00:29");
  assert.equal(await page.getByText("could not be loaded").count(), 0);
  await page.clock.fastForward("00:02");
  await sees(page, "The form could not be loaded. Check your connection.");
  await page.unroute("**/assets/page.css*");
  await page.getByRole("button", { name: "Try again" }).click();
  await sees(page, "Create your account");
});

embedTest("the form follows the language around it, and keeps what is typed, the focus and the step", "", async (page) => {
  const speak = (lang) => page.evaluate((lang) => (document.documentElement.lang = lang), lang);
  const shows = (lang) => page.locator(`#signup[lang=${lang}]`).waitFor();
  const person = newcomer();
  await page.goto(LISTED);
  await shows("en");
  await page.locator("#email").fill(person.email);
  await speak("de");
  await shows("de");
  assert.deepEqual([await page.locator("#email").inputValue(), await focused(page)], [person.email, "email"]);
  await fillAndSend(page, person);
  await speak("fr");
  await shows("fr");
  await sees(page, person.email);
  await page.route("**/assets/form.html*", (route) => route.abort());
  const failed = page.waitForEvent("console", (entry) => entry.text().includes("could not be loaded"));
  await speak("it");
  await failed;
  await page.locator("#code").fill((await mailTo(person.email)).code);
  await page.locator("#code-form [type=submit]").click();
  await page.locator("#done").waitFor();
  await page.unroute("**/assets/form.html*");
  await speak("es");
  await shows("es");
  await page.locator("#done").waitFor();
});

embedTest("a change of language waits for the request that is under way", "", async (page) => {
  await page.goto(LISTED);
  await page.locator("#register").waitFor();
  let held;
  await page.route("**/api/register", (route) => (held = route), { times: 1 });
  await page.locator("#register-form [type=submit]").click();
  await page.locator("[aria-busy]").waitFor();
  const styled = page.waitForResponse("**/assets/page.css?lang=de");
  await page.evaluate(() => (document.documentElement.lang = "de"));
  await (await styled).finished();
  assert.equal(await page.locator("[aria-busy]").count(), 1);
  await held.continue();
  await page.locator("#signup[lang=de]").waitFor();
});

embedTest("the language comes from outside of the shadow roots that the element is in", "", async (page) => {
  await page.goto(LISTED);
  await addElement(page, "fr");
  await eventually(async () => (await added(page))[0] === "fr", "the form in French");
  await page.evaluate(() => (globalThis.place.lang = "pl"));
  await eventually(async () => (await added(page))[0] === "pl", "the form in Polish");
});

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
