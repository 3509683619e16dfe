// Every mail in every language, opened in a browser: what people and the operator wrote is text there and nothing else.

import assert from "node:assert/strict";
import { PAGE } from "../browser.js";
import { publish } from "../events.js";
import { eventually, mailTo, mailsTo } from "../inbox.js";
import { LANGUAGES } from "../languages.js";
import { examine } from "../mail_frames.js";
import { pageTest } from "../page_test.js";
import { newcomer } from "../person.js";
import { withTexts } from "../texts_folder.js";

/** With these names a mail greets. */
const GREETED = ["Ada", "O'Brien", "مُحَمَّد", "שָׂרָה", "कृष्ण", "Wolfeschlegelsteinha"];
/** These are names, too, but no mail repeats them. */
const SILENT = ["Visit evil example now", "Ada' onload 'ran", "李四", "x".repeat(100), "مريمAda"];
/** Which no registration has, nor any event that a service reads. */
const REFUSED = [
  "<img src=x onerror=ran=1>",
  `"><script>ran=1</script>`,
  "<b>Ada</b>",
  "&lt;b&gt;",
  "{{ code }}",
  "{% raw %}",
  "{code}",
  "javascript:ran=1",
  "www.example.com",
  "Ada\r\nBcc: eve@example.com",
  "Ada\n\n<b>",
  "Ada\0",
  "\u202eadA",
  "\u2067Ada\u2069",
  "Ada\u200b",
  "\ue000",
  "x".repeat(101),
];
/** It stands in no mail. */
const LAST_NAME = "Lovelace' onclick 'ran";
const HEADERS = ["Auto-Submitted", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To", "X-Request-Id"];
/** The mail with the code belongs to the trace of its request; the events that lead to the others here name none. */
const headersOf = (kind) => (kind === "code" ? [...HEADERS, "X-Trace-Id"] : HEADERS);

const post = async (path, body) => {
  const answer = await fetch(`${PAGE}/api/${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return { ...(await answer.json()), status: answer.status };
};

const register = ({ firstName, lastName, email, lang }) =>
  post("register", { first_name: firstName, last_name: lastName, email, locale: lang });

/** Does something for all, some at a time: a client may have so many connections, and no more. */
async function forAll(all, work) {
  const results = [];
  for (let at = 0; at < all.length; at += 50) {
    results.push(...(await Promise.all(all.slice(at, at + 50).map((one, offset) => work(one, at + offset)))));
  }
  return results;
}

/** People with these first names, in each language; `tag` stands in all their addresses. */
function people(firstNames) {
  const tag = newcomer().email.split("@")[0];
  const each = LANGUAGES.flatMap((lang) =>
    firstNames.map((firstName, at) => ({ firstName, lastName: LAST_NAME, lang, email: `${tag}.${lang.toLowerCase()}.${at}@example.com` })),
  );
  return { tag, each };
}

/** Waits until there are so many mails to the addresses with this tag, and returns them. */
async function arrived(tag, count) {
  let mails = [];
  await eventually(async () => (mails = await mailsTo(tag)).length >= count, `${count} mails`);
  assert.equal(mails.length, count);
  return mails;
}

/**
 * Has all mails sent that a person can get: the one with the code by the API, the confirmation and the notice by events that
 * another writer has put into the topics. Returns each with its person and kind.
 */
async function allMails({ tag, each }) {
  const registered = await forAll(each, register);
  assert.deepEqual(registered.filter(({ status }) => status !== 202), []);
  const codes = await arrived(tag, each.length);
  await publish("user_account_verified", each);
  const confirmations = (await arrived(tag, 2 * each.length)).slice(0, each.length);
  await publish("account_exists", each);
  const notices = (await arrived(tag, 3 * each.length)).slice(0, each.length);
  const kinds = Object.entries({ code: codes, confirmation: confirmations, notice: notices });
  return each.flatMap((person) => kinds.map(([kind, mails]) => ({ ...mails.find(({ to }) => to === person.email), person, kind })));
}

/** Shows all mails of a language at a time. */
async function examineAll(page, mails) {
  const found = [];
  for (const lang of LANGUAGES) {
    const own = mails.filter(({ person }) => person.lang === lang);
    await page.goto("about:blank");
    const shown = await examine(page, own);
    found.push(...own.map((mail, at) => ({ ...mail, ...shown[at], what: `${lang} ${mail.kind} ${mail.person.firstName}` })));
  }
  return found;
}

pageTest("a name is text in every mail and language, keeps its direction to itself, and is left out if it could be a message", async (page) => {
  const requests = [];
  page.on("request", (request) => requests.push(request.url()));
  const mails = await examineAll(page, await allMails(people([...GREETED, ...SILENT])));
  for (const { what, person, kind, headers, ran, outline, links, text, name } of mails) {
    const like = mails.find((other) => other.person.lang === person.lang && other.kind === kind && other.person.firstName === "Ada");
    assert.deepEqual(headers, headersOf(kind), what);
    assert.equal(ran, false, what);
    assert.deepEqual(outline, like.outline, what);
    assert.deepEqual(links.map((link) => new URL(link).origin), kind === "notice" ? [] : [PAGE], what);
    assert.ok(!text.includes("Lovelace"), `${what}: ${text}`);
    if (kind === "notice" || SILENT.includes(person.firstName)) {
      assert.ok(name === null && !text.includes(person.firstName), `${what}: ${text}`);
    } else {
      const direction = /\p{Script=Arabic}|\p{Script=Hebrew}/u.test(person.firstName) ? "rtl" : "ltr";
      const words = like.name.words.replace("Ada", person.firstName);
      assert.deepEqual(name, { name: person.firstName, words, direction, unicodeBidi: "isolate", inOrder: true }, what);
    }
  }
  assert.deepEqual(requests, []);
});

pageTest("what could break a mail is no name, and nothing is mailed for it, whoever writes it", async () => {
  const { tag, each } = people([...REFUSED, "Ada"]);
  const inEnglish = each.filter(({ lang }) => lang === "en");
  const refused = inEnglish.slice(0, -1);
  for (const [at, { status, errors }] of (await forAll(refused, register)).entries()) {
    assert.deepEqual([status, errors?.[0].field], [422, "first_name"], refused[at].firstName);
  }
  for (const [at, kind] of ["user_account_verified", "account_exists"].entries()) {
    await publish(kind, [...refused, ...Array(20).fill(inEnglish.at(-1))]);
    const mails = await arrived(tag, 20 * (at + 1));
    assert.deepEqual([...new Set(mails.map(({ to }) => to))], [inEnglish.at(-1).email]);
  }
});

const ATTACK = `"><img src=x onerror="ran=1">{{ code }}`;
const LOGO = `https://logo.example/a.png?"onerror="ran=1"`;
const FOOTER = [`</p></main><script>ran=1</script><b>{{ code }}</b>{% raw %}&#60;b&#62;`, `"onclick="ran=1" שלום <!--`];
/** Where a mail with this brand leads, beside the help. */
const LINKS = { code: [PAGE], confirmation: ["https://app.example.com"], notice: [] };
const BRAND = `name = '${ATTACK}'
url = '''https://app.example.com/?a="><script>ran=1</script>&b='onclick='ran=1'''
help = '''https://help.example.com/"><script>ran=1</script>?a=1&b='onclick='ran=1'''
logo = '${LOGO}'
footer = '''${FOOTER.join("\n")}'''
`;

pageTest("a brand is text in every mail and language, whatever its name, addresses and footer are", async (page) => {
  const loaded = new Set();
  await page.route(/^https?:/, (route) => {
    loaded.add(route.request().url());
    return route.abort();
  });
  await withTexts({ "brand.toml": BRAND }, async () => {
    await eventually(async () => {
      const { email } = newcomer();
      await register({ ...newcomer(), email, lang: "en" });
      return (await mailTo(email)).subject === `${ATTACK}: Verify Account`;
    }, "mails have the brand");
    const mails = await examineAll(page, await allMails(people(["Ada"])));
    for (const { what, kind, headers, ran, outline, links, text } of mails) {
      assert.deepEqual(headers, headersOf(kind), what);
      assert.equal(ran, false, what);
      const names = outline.map((line) => line.split(" ")[0]);
      assert.deepEqual(links.map((link) => new URL(link).origin), [...LINKS[kind], "https://help.example.com"], what);
      for (const one of ["script", "b", "iframe", "form"]) assert.ok(!names.includes(one), `${what}: ${one}`);
      assert.deepEqual(outline.filter((line) => line.startsWith("img ")), [`img src=${new URL(LOGO).href} alt=${ATTACK}`], what);
      for (const part of [ATTACK, ...FOOTER]) {
        assert.ok(text.includes(part), `${what}: ${part} in ${text}`);
      }
    }
  });
  assert.deepEqual([...loaded], [new URL(LOGO).href]);
}, { expectsComplaints: true });
