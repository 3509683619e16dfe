// The page of somebody with a name, colours and words of their own.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { assertAccessible, assertFits, atEachStep } from "../accessible.js";
import { mailTo } from "../inbox.js";
import { pageTest } from "../page_test.js";
import { newcomer, register, sees, submitCode } from "../person.js";
import { withTexts } from "../texts_folder.js";

const PICTURE = `<svg xmlns="http://www.w3.org/2000/svg" width="120" height="40"><rect width="120" height="40" fill="#7a1f5c"/></svg>`;
const LONG = "Wörter".padEnd(80, "sehrlanger");
const BRAND = `name = "Acme"
url = "https://app.example.com/"
help = "help@example.com"
accent = "#7a1f5c"
footer = """
Acme Inc.
1 Main Street
"""
[language.de]
name = "Acme Deutschland"
`;

const accent = (page) =>
  page.locator("#register-form [type=submit]").evaluate((button) => getComputedStyle(button).backgroundColor);

for (const [colorScheme, colour] of [["light", "rgb(122, 31, 92)"], ["dark", "rgb(170, 112, 151)"]]) {
  pageTest(`a brand has its name, colours, help and footer in ${colorScheme} colours`, async (page) => {
    await withTexts({ "brand.toml": BRAND, "page/page.css": "h1 { text-transform: uppercase }" }, async () => {
      await page.goto("/");
      await sees(page, "Create your account");
      assert.equal(await page.title(), "Sign up – Acme");
      assert.equal(await accent(page), colour);
      assert.equal(await page.locator("#register h1").evaluate((one) => getComputedStyle(one).textTransform), "uppercase");
      assert.equal(await page.getByRole("banner").getByText("Acme", { exact: true }).count(), 1);
      await page.getByRole("contentinfo").getByText("1 Main Street").waitFor();
      assert.equal(await page.getByRole("link", { name: "help@example.com" }).getAttribute("href"), "mailto:help@example.com");
      await assertAccessible(page, "register");
      const { email } = await register(page);
      assert.equal(await page.title(), "Enter your code – Acme");
      await submitCode(page, (await mailTo(email)).code);
      await sees(page, "Your account is ready.");
      assert.equal(await page.getByRole("link", { name: "Go on" }).getAttribute("href"), "https://app.example.com/");
      await assertAccessible(page, "done");
      await page.goto("/?lang=de");
      assert.match(await page.title(), / – Acme Deutschland$/);
    });
  }, { colorScheme });
}

pageTest("a logo comes from its origin alone, and says the name", async (page) => {
  const server = createServer((_, answer) => answer.writeHead(200, { "Content-Type": "image/svg+xml" }).end(PICTURE));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://localhost:${server.address().port}`;
  try {
    await withTexts({ "brand.toml": `name = "Acme"\nlogo = "${origin}/logo.svg"\n` }, async () => {
      const answer = await page.goto("/");
      assert.match(answer.headers()["content-security-policy"], new RegExp(`img-src 'self' ${origin};`));
      const logo = page.getByRole("img", { name: "Acme" });
      await logo.waitFor();
      assert.equal(await logo.evaluate(async (picture) => (await picture.decode(), picture.naturalWidth)), 120);
      await assertAccessible(page, "with a logo");
    });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}, { expectsComplaints: true });

pageTest("words of eighty letters are cut off nowhere", async (page) => {
  const keys = ["register_heading", "register_lead", "first_name", "last_name", "email", "send_code", "link_was_cut", "code_heading",
    "code_lead", "code", "confirm", "spam", "resend", "wrong_address", "start_again", "link_heading", "link_lead", "link_address", "link_name",
    "link_confirm", "link_not_you", "other_names", "other_names_confirm", "done_heading", "done_lead", "done_lead_go_on", "go_on"];
  const sentences = (section, keys) => `[${section}]\n${keys.map((key) => `${key} = "${LONG}"`).join("\n")}\n`;
  const language = `name = "${LONG}"\n${sentences("page", keys)}${sentences("problem.field", ["required", "name_period", "email_shape"])}`;
  const brand = `[language.de]\nname = "${LONG.slice(0, 60)}"\nurl = "https://app.example.com/"\nfooter = "${LONG}"\nhelp = "${LONG.replace("ö", "o").slice(0, 64)}@example.com"\n`;
  await withTexts({ "languages/de.toml": language, "brand.toml": brand }, async () => {
    await atEachStep(page, "de", { person: { ...newcomer(), firstName: "long".repeat(25), lastName: "long".repeat(25) }, mailTo }, (step) =>
      assertFits(page, step),
    );
  });
}, { viewport: { width: 320, height: 640 } });
