// That person's inbox.

import assert from "node:assert/strict";

const INBOX = process.env.INBOX_URL ?? "http://127.0.0.1:8025";
/** How long to wait for anything, in milliseconds. */
export const DEADLINE = 15_000;

/** Waits for a mail to this address: the first, or the `count`-th. */
export async function mailTo(address, count = 1) {
  let found = [];
  await eventually(async () => {
    const { items } = await (await fetch(`${INBOX}/api/v2/messages?limit=250`)).json();
    found = items.filter((item) => item.Raw.To.includes(address));
    return found.length >= count;
  }, `mail ${count} to ${address}`);
  return parseMail(found[found.length - count].Content);
}

/** All mails to addresses with this text in them, the newest first, each with its parts and the names of its headers. */
export async function mailsTo(text) {
  // By their ids: what arrives meanwhile moves mails to the next page of the list.
  const found = new Map();
  for (let start = 0, total = 1; start < total; start += 250) {
    const query = new URLSearchParams({ kind: "to", query: text, limit: 250, start });
    const answer = await (await fetch(`${INBOX}/api/v2/search?${query}`)).json();
    total = answer.total;
    for (const item of answer.items) found.set(item.ID, item);
  }
  return [...found.values()].map(({ Raw, Content }) => ({
    to: Raw.To[0],
    headers: Object.keys(Content.Headers),
    html: htmlOf(Content.Body),
    ...parseMail(Content),
  }));
}

/** The newest is first in MailHog's list. */
function parseMail({ Headers, Body }) {
  const text = decoded(Body);
  const code = /^(\d{6})\r?$/m.exec(text)?.[1];
  return { subject: Headers.Subject[0], code, link: /https?:\/\/\S+#id=[\w-]+&token=[\w-]+/.exec(text)?.[0] };
}

/** The text of a body whose parts are encoded as they need it: code and link are ASCII, whatever stands around them. */
function decoded(body) {
  const inBase64 = /^Content-Transfer-Encoding: base64\r\n(?:[\w-]+:.*\r\n)*\r\n([A-Za-z0-9+/=\r\n]+)/gim;
  // Quoted-printable first: what base64 holds may look like it.
  return unquoted(body).replace(inBase64, (_, content) => Buffer.from(content, "base64").toString());
}

/** The part that is HTML. */
function htmlOf(body) {
  const [, encoding, content] = /^Content-Type: text\/html;.*\r\nContent-Transfer-Encoding: ([\w-]+)\r\n\r\n([^]*?)\r\n--part-/im.exec(body);
  if (encoding === "base64") return Buffer.from(content, "base64").toString();
  if (encoding === "quoted-printable") return Buffer.from(unquoted(content), "latin1").toString();
  return content;
}

const unquoted = (text) =>
  text.replace(/=\r?\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));

/** Another code than this one. */
export const wrong = (code, difference = 1) => String((Number(code) + difference) % 1_000_000).padStart(6, "0");

/** Waits until a condition holds. */
export async function eventually(condition, what) {
  const deadline = Date.now() + DEADLINE;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
