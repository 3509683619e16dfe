// Where the page leads people on: where they came from, if RETURN_URLS lists it, and nowhere else.
// browser.sh lists http://localhost:3999/welcome and https://app.example.com.

import assert from "node:assert/strict";
import { registerElsewhere } from "../api.js";
import { mailTo } from "../inbox.js";
import { pageTest } from "../page_test.js";
import { newcomer, register, sees, submitCode, submitRegistration } from "../person.js";

const ALLOWED = "https://app.example.com/after?a=1#b";
const opened = (address) => `/?return_to=${encodeURIComponent(address)}`;
const goOn = (page) => page.getByRole("link", { name: "Go on" });

/** Registers on a page that is open, and types the code. */
async function signUp(page, person = newcomer()) {
  await submitRegistration(page, person);
  await page.getByLabel("Code", { exact: true }).waitFor();
  await submitCode(page, (await mailTo(person.email)).code);
  await sees(page, "Your address is confirmed");
}

/** What the console says of an address. */
function warnings(page) {
  const said = [];
  page.on("console", (entry) => entry.type() === "warning" && said.push(entry.text()));
  return said;
}

pageTest("an address that is listed is gone on to, and stays in the browser", async (page) => {
  const sent = [];
  page.on("request", (request) => request.method() === "POST" && sent.push(`${request.url()} ${request.postData()}`));
  await page.goto(opened(ALLOWED));
  await signUp(page);
  assert.equal(await goOn(page).getAttribute("href"), ALLOWED);
  await sees(page, "Your account is ready.");
  assert.equal(await page.getByText("You can close this page.").isVisible(), false);
  assert.ok(sent.length > 1 && sent.every((text) => !text.includes("app.example.com")), sent.join("\n"));
});

pageTest("without an address there is nothing to go on to", async (page) => {
  await page.goto("/");
  await signUp(page);
  await sees(page, "You can close this page.");
  assert.equal(await goOn(page).isVisible(), false);
});

pageTest("a reload, another language and the mail's link in a new tab keep the address", async (page) => {
  await page.goto(opened(ALLOWED));
  const person = newcomer();
  await submitRegistration(page, person);
  await page.getByLabel("Code", { exact: true }).waitFor();
  await page.reload();
  await page.locator(".languages summary").click();
  await page.getByRole("link", { name: "English" }).click();
  await page.getByLabel("Code", { exact: true }).waitFor();
  assert.equal(new URL(page.url()).searchParams.get("return_to"), ALLOWED);
  const tab = await page.context().newPage();
  await tab.goto((await mailTo(person.email)).link);
  await tab.locator("#confirms").waitFor();
  await tab.reload();
  await tab.getByRole("button", { name: "Confirm my address" }).click();
  await sees(tab, "Your address is confirmed");
  assert.equal(await goOn(tab).getAttribute("href"), ALLOWED);
});

pageTest("another mail keeps the address", async (page) => {
  await page.goto(opened(ALLOWED));
  const person = newcomer();
  await submitRegistration(page, person);
  await page.getByRole("button", { name: "Send another email" }).and(page.locator(":not([aria-disabled])")).click();
  await sees(page, "If your address can get another email now");
  await submitCode(page, (await mailTo(person.email, 2)).code);
  await sees(page, "Your address is confirmed");
  assert.equal(await goOn(page).getAttribute("href"), ALLOWED);
});

pageTest("another fragment leaves the page as it is, at the code and at the end", async (page) => {
  const jump = (name) => page.evaluate((name) => (location.hash = name), name);
  const person = newcomer();
  await page.goto(opened(ALLOWED));
  await submitRegistration(page, person);
  const code = page.getByLabel("Code", { exact: true });
  await code.fill("12");
  await jump("top");
  await page.waitForURL("**#top");
  assert.equal(await code.inputValue(), "12");
  await submitCode(page, (await mailTo(person.email)).code);
  await sees(page, "Your address is confirmed");
  await jump("end");
  await page.waitForURL("**#end");
  assert.equal(await goOn(page).getAttribute("href"), ALLOWED);
});

pageTest("the end stays in another language with where to go on, and is gone after that", async (page) => {
  await page.goto(opened(ALLOWED));
  const person = newcomer();
  await submitRegistration(page, person);
  await page.getByLabel("Code", { exact: true }).waitFor();
  // The tab of the mail's link has no address to return to in its own.
  const tab = await page.context().newPage();
  await tab.goto((await mailTo(person.email)).link);
  await tab.getByRole("button", { name: "Confirm my address" }).click();
  await sees(tab, "Your address is confirmed");
  for (const [name, lang] of [["Deutsch", "de"], ["Français", "fr"]]) {
    await tab.locator(".languages summary").click();
    await tab.getByRole("link", { name }).click();
    await tab.locator(`#signup[lang=${lang}] #done`).waitFor();
    assert.equal(await tab.locator("#go-on").getAttribute("href"), ALLOWED);
  }
  await tab.reload();
  await tab.locator("#register").waitFor();
  assert.equal(await tab.evaluate(() => sessionStorage.length), 0);
});

pageTest("other names behind the mail's link keep the address", async (page) => {
  await page.goto(opened(ALLOWED));
  const person = newcomer();
  await submitRegistration(page, person);
  await page.getByLabel("Code", { exact: true }).waitFor();
  const tab = await page.context().newPage();
  await tab.goto((await mailTo(person.email)).link);
  await tab.getByText("Not your data? Use other names").click();
  for (const [label, name] of [["First name", "Grace"], ["Last name", "Hopper"]]) await tab.locator("#other-form").getByLabel(label).fill(name);
  await tab.getByRole("button", { name: "Confirm with these names" }).click();
  await sees(tab, "Your address is confirmed");
  assert.equal(await goOn(tab).getAttribute("href"), ALLOWED);
});

for (const [sentence, address] of [
  ["a tab that is opened later with an address of its own does not change where the first one leads", "https://app.example.com/other"],
  ["a tab that is opened later without an address does not change where the first one leads", undefined],
]) {
  pageTest(sentence, async (page) => {
    await page.goto(opened(ALLOWED));
    const person = newcomer();
    await submitRegistration(page, person);
    await page.getByLabel("Code", { exact: true }).waitFor();
    const later = await page.context().newPage();
    await later.goto(address ? opened(address) : "/");
    await later.getByLabel("Code", { exact: true }).waitFor();
    const tab = await page.context().newPage();
    await tab.goto((await mailTo(person.email)).link);
    await tab.getByRole("button", { name: "Confirm my address" }).click();
    await sees(tab, "Your address is confirmed");
    assert.equal(await goOn(tab).getAttribute("href"), ALLOWED);
  });
}

pageTest("the address of an earlier visit does not lead a later one", async (page) => {
  await page.goto(opened(ALLOWED));
  const person = newcomer();
  await submitRegistration(page, person);
  await page.getByLabel("Code", { exact: true }).waitFor();
  await page.goto("/");
  await submitCode(page, (await mailTo(person.email)).code);
  await sees(page, "Your address is confirmed");
  assert.equal(await goOn(page).isVisible(), false);
});

pageTest("the link of a signup from elsewhere is not led by this browser's own", async (page) => {
  await page.goto(opened(ALLOWED));
  await submitRegistration(page, newcomer());
  await page.getByLabel("Code", { exact: true }).waitFor();
  const other = newcomer();
  await registerElsewhere(other);
  const tab = await page.context().newPage();
  await tab.goto((await mailTo(other.email)).link);
  await tab.getByRole("button", { name: "Confirm my address" }).click();
  await sees(tab, "Your address is confirmed");
  assert.equal(await goOn(tab).isVisible(), false);
});

// What leads elsewhere, or could be read as if it did by a browser or a server.
const REFUSED = [
  "https://evil.example/",
  "http://app.example.com/",
  "//app.example.com/",
  "/after",
  "app.example.com",
  "https:app.example.com",
  "https:/app.example.com",
  "https:///app.example.com/",
  "javascript:alert(document.domain)",
  "JavaScript://app.example.com/%0aalert(1)",
  "data:text/html,<script>alert(1)</script>",
  "blob:https://app.example.com/0",
  "https://app.example.com@evil.example/",
  "https://app.example.com:443@evil.example/",
  "https://@app.example.com/",
  "https://user:secret@app.example.com/",
  "https://evil.example\\@app.example.com/",
  "https://app.example.com\\.evil.example/",
  "https:\\\\app.example.com/",
  "https://app.example.com.evil.example/",
  "https://app.example.com./",
  "https://evilapp.example.com/",
  "https://app.example.com:8443/",
  "https://\u0430pp.example.com/",
  "https://app.example\u3002com.evil.example/",
  "https://app.example.com\t/",
  "\thttps://app.example.com/",
  "https://app.exam\nple.com/",
  " https://app.example.com/",
  "https://app.example.com/a b",
  "https://app.example.com/\u202ea",
  "https://app.example.com/\u3164",
  "https://app.example.com/a\u034fb",
  "http://localhost:3999/",
  "http://localhost:3999/welcomed",
  "http://localhost:3999/welcome/../other",
  "http://localhost:3999/welcome/%2e%2e/other",
  "http://localhost:3999/welcome/.%2E/other",
  "http://localhost:3999/welcome/..;/other",
  "http://localhost:3999/welcome/;x/..;a=b/other",
  "http://localhost:3999/welcome/%252e%252e/other",
  "http://localhost:3999/welcome/..%2fother",
  "http://localhost:3999/welcome/..%5Cother",
  "http://localhost:3999/welcome/%c0%ae%c0%ae/other",
  "http://localhost:3999/welcome/\uff0e\uff0e/other",
  "http://127.0.0.1:3999/welcome",
  "http://[::1]:3999/welcome",
  "http://localhost:39990/welcome",
  "",
];
const TAKEN = [
  "https://app.example.com",
  "HTTPS://APP.EXAMPLE.COM/",
  "https://app.example.com:443/a/../b",
  "https://app.example.com/?next=%2Fhome",
  "https://app.example.com/caf\u00e9;a=b/%2f",
  "http://localhost:3999/welcome",
  "http://localhost:3999/welcome?a=%2e%2e;b#%2f",
  "http://localhost:3999/welcome/new/",
  "http://localhost:3999/other/../welcome",
];

pageTest("nothing that is not listed is believed, and the console says what was ignored", async (page) => {
  const said = warnings(page);
  for (const address of REFUSED) {
    said.length = 0;
    await page.goto(opened(address));
    await sees(page, "Create your account");
    assert.equal(said.length, 1, JSON.stringify(address));
    assert.match(said[0], /RETURN_URLS does not list it/);
  }
  await signUp(page);
  assert.equal(await goOn(page).isVisible(), false);
}, { expectsComplaints: true });

pageTest("what is listed is believed in every spelling that a browser reads so", async (page) => {
  for (const address of TAKEN) {
    await page.goto(opened(address));
    await page.getByRole("button", { name: "Start again" }).or(page.getByRole("button", { name: "Send me a code" })).first().waitFor();
  }
  await page.goto(opened(TAKEN[1]));
  await signUp(page);
  assert.equal(await goOn(page).getAttribute("href"), "https://app.example.com/");
});
