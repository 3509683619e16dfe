// Pages of another site, in the same browser: what they send must not reach the signup.

import assert from "node:assert/strict";
import { createServer, request as httpRequest } from "node:http";
import { mailTo, wrong } from "../inbox.js";
import { pageTest } from "../page_test.js";
import { PAGE } from "../browser.js";
import { newcomer, sees, submitRegistration } from "../person.js";

const listen = (server) => new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));

/** A page elsewhere whose form, sent as any form is, would register somebody. */
const attack = (action, { email }) => `<!doctype html><title>Another site</title><form method="post" action="${action}/api/register">
  <input name="first_name" value="Ada"><input name="last_name" value="Lovelace"><input name="email" value="${email}">
  <button>Win a prize</button></form>`;

/** Runs with a server, and its origin by this host name. */
async function serving(handler, host, run) {
  const server = createServer(handler);
  try {
    await run(`http://${host}:${await listen(server)}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** A proxy that gives the service another Host than the browser's. */
const rewriting = (incoming, outgoing) => {
  const headers = { ...incoming.headers, host: "internal.example" };
  const onward = httpRequest(new URL(incoming.url, PAGE), { method: incoming.method, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode, answer.headers);
    answer.pipe(outgoing);
  });
  incoming.pipe(onward);
};

const page = (content) => (_, answer) => answer.writeHead(200, { "Content-Type": "text/html" }).end(content);

/** The answer to the form of a page at another origin. */
async function sendFormFrom(site, browserPage) {
  await browserPage.goto(site);
  const [answer] = await Promise.all([
    browserPage.waitForResponse((response) => response.url().endsWith("/api/register")),
    browserPage.getByRole("button").click(),
  ]);
  return { status: answer.status(), fetchSite: (await answer.request().allHeaders())["sec-fetch-site"] };
}

for (const [host, fetchSite] of [
  ["localhost", "cross-site"],
  ["127.0.0.1", "same-site"],
]) {
  pageTest(
    `a form of a page at another origin is refused (${fetchSite})`,
    (browserPage) =>
      serving(page(attack(PAGE, newcomer())), host, async (site) => {
        assert.deepEqual(await sendFormFrom(site, browserPage), { status: 403, fetchSite });
      }),
    { expectsComplaints: true },
  );
}

pageTest(
  "behind a proxy that rewrites Host the page works, and pages elsewhere don't",
  (browserPage) =>
    serving(rewriting, "127.0.0.1", async (proxy) => {
      await browserPage.goto(proxy);
      await submitRegistration(browserPage, newcomer());
      await sees(browserPage, "Check your inbox");
      await serving(page(attack(proxy, newcomer())), "localhost", async (site) => {
        assert.deepEqual(await sendFormFrom(site, browserPage), { status: 403, fetchSite: "cross-site" });
      });
    }),
  { expectsComplaints: true },
);

// The client that this API was made for: form bodies, `data.id` of the answer, then `uid` and `code`. browser.sh lists its origin.
const CLIENT = `<!doctype html><title>A page elsewhere</title><form id="register"><input name="first_name"><input name="last_name">
  <input name="email"></form><script>
  const send = async (path, fields) => {
    const answer = await fetch("${PAGE}/api/" + path, { method: "POST", body: new URLSearchParams(fields) });
    return { ...(await answer.json()), status: answer.status };
  };
</script>`;

pageTest(
  "a page of a listed origin signs people up with forms, uid and code",
  async (browserPage) => {
    const server = createServer(page(CLIENT));
    try {
      await new Promise((resolve) => server.listen(3999, "127.0.0.1", resolve));
      await browserPage.goto("http://localhost:3999");
      const { firstName, lastName, email } = newcomer();
      for (const [name, text] of [["first_name", firstName], ["last_name", lastName], ["email", email]]) {
        await browserPage.locator(`[name=${name}]`).fill(text);
      }
      const registered = await browserPage.evaluate(() => send("register", new FormData(document.forms[0])));
      assert.deepEqual([registered.status, typeof registered.data.id], [202, "string"]);
      const { code } = await mailTo(email);
      const verify = (code) => browserPage.evaluate((fields) => send("verify", fields), { uid: registered.data.id, code });
      assert.equal((await verify(wrong(code))).status, 422);
      const verified = await verify(code);
      assert.deepEqual([verified.status, verified.message], [200, "The account is verified."]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  },
  { expectsComplaints: true },
);
