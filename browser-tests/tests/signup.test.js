// Register, enter the code of the mail, done; and what goes wrong with codes.

import assert from "node:assert/strict";
import { mailTo, wrong } from "../inbox.js";
import { pageTest } from "../page_test.js";
import { focused, newcomer, register, sees, shownIn, submitCode, submitRegistration } from "../person.js";

pageTest("the code of the mail confirms the address", async (page) => {
  const { email } = await register(page);
  await sees(page, email);
  await sees(page, "If your address can get an email now, one with a six-digit code is on its way.");
  const mail = await mailTo(email);
  assert.equal(mail.subject, "Verify Account");
  await submitCode(page, mail.code);
  await sees(page, "Your address is confirmed");
  assert.equal((await mailTo(email, 2)).subject, "Account Verified");
  await page.reload();
  await sees(page, "Create your account");
});

pageTest("a verified address gets the same page as any other", async (page) => {
  const person = await register(page);
  await submitCode(page, (await mailTo(person.email)).code);
  await sees(page, "Your address is confirmed");
  await register(page, person);
  const again = await shownIn(page);
  await page.getByRole("button", { name: "Start again" }).click();
  const newPerson = await register(page);
  const first = await shownIn(page);
  const generic = (text, email) => text.replace(email, "EMAIL").replace(/\d+:\d\d/g, "TIME");
  assert.equal(generic(again, person.email), generic(first, newPerson.email));
});

pageTest("a code is pasted with its spaces and dashes, and with words around it", async (page) => {
  const { email } = await register(page);
  const { code } = await mailTo(email);
  const field = page.getByLabel("Code", { exact: true });
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  for (const text of [` ${code.slice(0, 3)} - ${code.slice(3)}\n`, `\u200eCode: ${code}`, `${code.slice(0, 3)}\u00a0${code.slice(3)}.`]) {
    await field.fill("");
    await page.evaluate((text) => navigator.clipboard.writeText(text), text);
    await field.press("Control+V");
    assert.equal(await field.inputValue(), code);
  }
  await page.keyboard.press("Enter");
  await sees(page, "Your address is confirmed");
});

pageTest("a code in other digits is right, and two codes are not guessed at", async (page) => {
  const { email } = await register(page);
  const { code } = await mailTo(email);
  await submitCode(page, `${code} ${code}`);
  await sees(page, "Enter the six digits from the email, and no others.");
  await submitCode(page, code.replace(/\d/g, (digit) => String.fromCodePoint(0x660 + Number(digit))));
  await sees(page, "Your address is confirmed");
});

pageTest("a wrong code says beside the field how many attempts are left", async (page) => {
  const { email } = await register(page);
  const { code } = await mailTo(email);
  await submitCode(page, wrong(code));
  await sees(page, "That code is not right. You have 4 attempts left. The link in the email works, too.");
  const field = page.getByLabel("Code", { exact: true });
  assert.equal(await field.getAttribute("aria-invalid"), "true");
  assert.equal(await focused(page), "code");
  await submitCode(page, "12345");
  await sees(page, "Enter the six digits from the email, and no others.");
  await submitCode(page, "");
  await sees(page, "Enter the six digits from the email, and no others.");
  await submitCode(page, code);
  await sees(page, "Your address is confirmed");
});

/** Tries five wrong codes. */
async function useUpGuesses(page, code) {
  for (const left of ["4 attempts", "3 attempts", "2 attempts", "1 attempt"]) {
    await submitCode(page, wrong(code, Number(left[0])));
    await sees(page, `You have ${left} left.`);
  }
  await submitCode(page, wrong(code, 5));
  await sees(page, "it was the last one to be tried here. Open the link in the email, which still works, or start again.");
}

pageTest("after five wrong codes even the right one is refused, and the link still works", async (page) => {
  const { email } = await register(page);
  const { code, link } = await mailTo(email);
  await useUpGuesses(page, code);
  await submitCode(page, code);
  await sees(page, "Too many codes were tried here. Open the link in the email, which still works, or start again.");
  await page.goto(link);
  await page.getByRole("button", { name: "Confirm my address" }).click();
  await sees(page, "Your address is confirmed");
});

pageTest("after five wrong codes a new registration has five more", async (page) => {
  const person = await register(page);
  const { code } = await mailTo(person.email);
  await useUpGuesses(page, code);
  await page.getByRole("button", { name: "Start again" }).click();
  await register(page, person);
  await submitCode(page, code);
  await sees(page, "Your address is confirmed");
});

pageTest("a reload keeps the registration, and starting again forgets it", async (page) => {
  const { email } = await register(page);
  await page.reload();
  await sees(page, email);
  await page.getByRole("button", { name: "Start again" }).click();
  await sees(page, "Create your account");
  assert.equal(await focused(page), "email");
  await page.reload();
  await sees(page, "Create your account");
  await submitRegistration(page, { ...newcomer(), email: "nobody" });
  await sees(page, "Use one @, with a name before and a domain after it.");
});

pageTest("in a browser that knows no declarative shadow roots the page is the same", async (page) => {
  await page.route((url) => url.pathname === "/", async (route) => {
    const response = await route.fetch();
    const body = (await response.text()).replace('shadowrootmode="open"', 'shadowrootmode="unknown"');
    await route.fulfill({ response, body });
  });
  const { email } = await register(page);
  await page.goto(`/?return_to=${encodeURIComponent("https://app.example.com/after")}`);
  await submitCode(page, (await mailTo(email)).code);
  await sees(page, "Your address is confirmed");
  assert.equal(await page.getByRole("link", { name: "Go on" }).getAttribute("href"), "https://app.example.com/after");
  // Chromium complains of the value that makes it leave the template alone.
}, { expectsComplaints: true });
