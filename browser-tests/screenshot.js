// Writes the README's picture: `node screenshot.js FILE`.

import { PAGE, launch } from "./browser.js";
import { register } from "./person.js";
import { mailTo } from "./inbox.js";

const [file] = process.argv.slice(2);
const person = { firstName: "Ada", lastName: "Lovelace", email: "ada@example.com" };

const browser = await launch();
try {
  const page = await browser.newPage({ baseURL: PAGE, locale: "en-GB", viewport: { width: 720, height: 660 } });
  await register(page, person);
  await page.getByLabel("Code", { exact: true }).fill((await mailTo(person.email)).code);
  await page.screenshot({ path: file });
} finally {
  await browser.close();
}
