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
  return body
    .replace(/=\r?\n/g, "")
    .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)))
    .replace(inBase64, (_, content) => Buffer.from(content, "base64").toString());
}

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
