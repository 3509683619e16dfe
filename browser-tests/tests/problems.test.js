// What a person sees when something is refused, and that nothing typed is lost by it.

import assert from "node:assert/strict";
import { pageTest } from "../page_test.js";
import { focused, newcomer, register, sees, submitCode, submitRegistration } from "../person.js";
import { answers, problem } from "../problem.js";

pageTest("each wrong field has its sentence, and the first of them the focus", async (page) => {
  await page.goto("/");
  await submitRegistration(page, { firstName: "www.example.com", lastName: "", email: "ada@localhost" });
  await sees(page, "Use a period only before a space or at the end.");
  await sees(page, "Please fill this in.");
  await sees(page, "After the @, use a valid domain name with a dot, such as example.com.");
  assert.equal(await focused(page), "first_name");
  for (const label of ["First name", "Last name", "Email address"]) {
    const input = page.locator("#register-form").getByLabel(label);
    assert.equal(await input.getAttribute("aria-invalid"), "true", label);
    const describedBy = await input.getAttribute("aria-describedby");
    assert.match(await page.locator(`#${describedBy}`).innerText(), /^[A-Z].+\.$/);
  }
  await submitRegistration(page, newcomer());
  await sees(page, "Check your inbox");
  await page.getByRole("button", { name: "Start again" }).click();
  assert.equal(await page.locator("[aria-invalid]").count(), 0);
});

for (const [what, answer, sentence] of [
  ["a service that is away", answers(problem(503, "unavailable", "Not now.", { "Retry-After": "1" })), "Not now."],
  ["too many requests", answers(problem(429, "too-many-requests", "Too many.", { "Retry-After": "20" })), "Too many."],
  ["a fault", answers(problem(500, "internal", "A fault.")), "A fault."],
  ["an answer that is not ours", answers({ status: 502, body: "<h1>Bad Gateway</h1>" }), "We could not reach the service."],
  ["an answer that is no object", answers({ status: 502, body: "null", contentType: "application/json" }), "We could not reach the service."],
  ["no connection", (route) => route.abort(), "We could not reach the service."],
]) {
  pageTest(`${what} is told, the form stays as it is, and trying again works`, async (page) => {
    const person = newcomer();
    await page.route("**/api/register", answer);
    await page.goto("/");
    await submitRegistration(page, person);
    await sees(page, sentence);
    assert.equal(await page.getByLabel("Email address").inputValue(), person.email);
    await page.unroute("**/api/register");
    await page.getByRole("button", { name: "Send me a code" }).click();
    await sees(page, "Check your inbox");
  });
}

for (const [what, status, kind, isOfCode] of [
  ["a registration that is known no more", 404, "unknown-id", false],
  ["a registration with which no more codes can be tried", 410, "no-longer-valid", true],
  ["a network that has tried too many codes", 429, "too-many-wrong-codes", true],
  ["a client that has asked too much", 429, "too-many-requests", false],
]) {
  pageTest(`${what}: what the API says stands where it belongs`, async (page) => {
    await register(page);
    await page.route("**/api/verify", answers(problem(status, kind, "What the API says.", { "Retry-After": "754" })));
    await submitCode(page, "123456");
    await sees(page, "What the API says.");
    assert.equal(await page.locator("#code-problem").innerText(), isOfCode ? "What the API says." : "");
  });
}

pageTest("a second click while a request is under way sends nothing", async (page) => {
  let posts = 0;
  let release;
  const released = new Promise((resolve) => (release = resolve));
  await page.route("**/api/register", async (route) => {
    posts += 1;
    await released;
    await route.continue();
  });
  await page.goto("/");
  await submitRegistration(page, newcomer());
  await page.getByRole("button", { name: "Sending…" }).click();
  await page.keyboard.press("Enter");
  release();
  await sees(page, "Check your inbox");
  assert.equal(posts, 1);
});

pageTest("without JavaScript the page says what it needs", async (page) => {
  await page.goto("/");
  // Playwright looks for texts everywhere but in this element.
  await page.locator("noscript p", { hasText: "This page needs JavaScript." }).waitFor();
  assert.equal(await page.locator("form:visible").count(), 0);
}, { javaScriptEnabled: false });

pageTest("the policy stops scripts that are not the page's own", async (page) => {
  await page.goto("/");
  const { refused, attacked } = await page.evaluate(async () => {
    const refused = [];
    document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
    const image = document.createElement("img");
    image.src = "data:image/gif;base64,R0lGODlhAQABAAAAACw=";
    document.body.append(image);
    const style = document.createElement("style");
    style.textContent = "main { display: none }";
    document.body.append(style);
    try {
      document.body.setAttribute("onclick", "globalThis.attacked = true");
    } catch (error) {
      refused.push(error.name);
    }
    document.body.click();
    // The test's own time-out ends it when one is not refused.
    const expected = ["img-src", "style-src-elem"];
    while (!expected.every((directive) => refused.includes(directive))) await new Promise(requestAnimationFrame);
    return { refused, attacked: globalThis.attacked };
  });
  assert.equal(attacked, undefined);
  assert.ok(refused.includes("TypeError") || refused.includes("require-trusted-types-for"), `the handler: ${refused}`);
}, { expectsComplaints: true });
