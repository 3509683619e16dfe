// Where people may be led after the signup: to what the operator lists, and nowhere else.
//
// The browser's own parser says what an address is, since it is what follows the link. An address that another parser
// could read otherwise is refused before that.

// Control and invisible characters, spaces and backslashes: parsers drop them, or turn them into slashes.
const MISLEADING = /[\p{Cc}\p{Cf}\p{White_Space}\\]/u;
const ABSOLUTE = /^https?:\/\/[^/?#]/i;
// A user before the host, even an empty one.
const WITH_USER = /^[^/]*\/\/[^/?#]*@/;
// Slashes in disguise end a segment for some servers alone.
const ENCODED_SLASH = /%2f|%5c/i;

/** Whether an address lies below one of the prefixes, a list separated by spaces. */
export function isAllowed(address, prefixes) {
  if (MISLEADING.test(address) || !ABSOLUTE.test(address) || WITH_USER.test(address)) return false;
  const url = parsed(address);
  if (!url || ENCODED_SLASH.test(url.pathname)) return false;
  return prefixes.split(" ").some((prefix) => prefix && isBelow(url, new URL(prefix)));
}

/** Whether this is the prefix itself, or goes on behind it where a segment of its path ends. */
function isBelow(url, prefix) {
  const folder = prefix.pathname.endsWith("/") ? prefix.pathname : `${prefix.pathname}/`;
  return url.origin === prefix.origin && (url.pathname === prefix.pathname || url.pathname.startsWith(folder));
}

function parsed(address) {
  try {
    return new URL(address);
  } catch {
    return undefined;
  }
}

/** Tells whoever builds the page that leads here. */
export function warnOf(address) {
  console.warn("two-step-signup: the address to return to is ignored; RETURN_URLS does not list it:", address);
}
