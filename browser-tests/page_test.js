// A test of the page: a sentence, a browser profile of its own, and no complaint of the browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { PAGE, launch } from "./browser.js";
import { DEADLINE } from "./inbox.js";

/** Pages whose complaints are not the page's own doing for the moment. */
const unobserved = new WeakSet();

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

/**
 * A test in a browser profile of its own. It fails when the page logs an error, breaks its Content-Security-Policy
 * or asks another origin for anything, unless that is what is tested.
 */
export function pageTest(sentence, run, { expectsComplaints = false, ...options } = {}) {
  test(sentence, { timeout: 4 * DEADLINE }, async () => {
    const context = await browser.newContext({ baseURL: PAGE, locale: "en-GB", ...options });
    context.setDefaultTimeout(DEADLINE);
    const page = await context.newPage();
    const complaints = complaintsOf(page);
    try {
      await run(page);
      if (!expectsComplaints) assert.deepEqual(complaints, []);
    } finally {
      await context.close();
    }
  });
}

/** Does what makes the browser complain, such as writing a style for an examination. */
export async function unobservedly(page, work) {
  unobserved.add(page);
  try {
    return await work();
  } finally {
    unobserved.delete(page);
  }
}

/** Calls `take` with what the browser says of the page itself. */
export const onConsole = (page, take) => page.on("console", (entry) => unobserved.has(page) || take(entry));

function complaintsOf(page) {
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  onConsole(page, (entry) => {
    // The browser itself logs each refused request; refusals of the API are answers like any other.
    const isRefusal = entry.text().startsWith("Failed to load resource") && entry.location().url.includes("/api/");
    if (["error", "warning"].includes(entry.type()) && !isRefusal) complaints.push(entry.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(PAGE)) complaints.push(`request to ${request.url()}`);
  });
  return complaints;
}
