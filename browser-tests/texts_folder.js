// The folder of texts of the running system: browser.sh makes an empty one, which tests fill for a while.

import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PAGE } from "./browser.js";
import { eventually } from "./inbox.js";

const FOLDER = process.env.TEXTS_DIR;

/** What the page is made of at the moment. */
async function shown() {
  const answers = await Promise.all(["/?lang=en", "/?lang=de", "/assets/page.css?lang=en"].map((path) => fetch(PAGE + path)));
  return (await Promise.all(answers.map((answer) => answer.text()))).join("");
}

/** Runs with these files, once the page is made of them, and takes them away again. */
export async function withTexts(files, run) {
  const before = await shown();
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(FOLDER, name)), { recursive: true });
    await writeFile(join(FOLDER, name), text);
  }
  try {
    await eventually(async () => (await shown()) !== before, "the texts are taken");
    await run();
  } finally {
    for (const name of Object.keys(files)) await rm(join(FOLDER, name));
    await eventually(async () => (await shown()) === before, "the texts are gone");
  }
}
