// What people bring along who open our own page: the mail's link, and where they came from. On pages of other origins
// there are neither: an attribute says there where to go on.

import { tab } from "./storage.js";

const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** The token, or its beginning: a link that was cut off at its end is shown as one that is not complete. */
const TOKEN = /^[\w-]{1,22}$/;

let taken = tab.read("link");
let origin;

/** The mail's link that was opened in this tab, `{id, token}`, or undefined. */
export const link = () => taken;

/**
 * Takes the link's `#id=…&token=…` out of the address bar, the history and whatever is shared from there. Returns whether
 * it was one: what only looks like a link leaves the tab as it is.
 */
export function takeLink() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const [id, token] = ["id", "token"].map((name) => fragment.get(name));
  if (!id || !token) return false;
  history.replaceState(null, "", location.pathname + location.search);
  if (!ID.test(id) || !TOKEN.test(token)) return false;
  keepLink({ id, token });
  return true;
}

/** Forgets the link. */
export const forgetLink = () => keepLink(undefined);

function keepLink(next) {
  taken = next;
  tab.write("link", next);
}

/** Notes where whoever opened this page came from; undefined if the page's address does not say it. */
export const arrive = (address) => (origin = address);

/** Where whoever opened this page came from, for what is registered now. */
export const cameFrom = () => origin;
