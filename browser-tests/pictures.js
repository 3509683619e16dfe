// Writes docs/pages.png and docs/mails.png: `node pictures.js PREVIEW_FOLDER PAGES.png MAILS.png`. The folder is that of
// `notification-service mails preview`.

import { pathToFileURL } from "node:url";
import { PAGE, launch } from "./browser.js";
import { LANGUAGES } from "./languages.js";

const [preview, pagesFile, mailsFile] = process.argv.slice(2);
const isDark = (at) => at % 3 === 2;

const browser = await launch();

/** A phone's picture of an address, as a data URL. */
async function picture(url, colorScheme) {
  const page = await browser.newPage({ viewport: { width: 360, height: 740 }, colorScheme });
  await page.goto(url, { waitUntil: "networkidle" });
  const image = await page.screenshot();
  await page.close();
  return `data:image/png;base64,${image.toString("base64")}`;
}

/** All pictures in two rows. */
async function montage(file, address) {
  const images = [];
  for (const [at, tag] of LANGUAGES.entries()) images.push(await picture(address(tag, isDark(at)), isDark(at) ? "dark" : "light"));
  const page = await browser.newPage({ viewport: { width: 1456, height: 100 } });
  const cells = images.map((image) => `<img width="200" src="${image}">`).join("");
  await page.setContent(`<body style="margin:4px;display:grid;gap:4px;grid-template-columns:repeat(7,1fr);background:#888">${cells}</body>`);
  await page.screenshot({ path: file, fullPage: true });
}

try {
  await montage(pagesFile, (tag) => `${PAGE}/?lang=${tag}`);
  const mail = (tag, dark) => `${preview}/verify_account.${tag}${dark ? ".dark" : ""}.html`;
  await montage(mailsFile, (tag, dark) => pathToFileURL(mail(tag, dark)).href);
} finally {
  await browser.close();
}
