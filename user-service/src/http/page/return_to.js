// Where people may be led after the signup: to what the operator lists, and nowhere else.
//
// The browser's own parser says what an address is, since it is what follows the link. An address that another parser
// could read otherwise is refused before that.

// Control and invisible characters, spaces and backslashes: parsers drop them, or turn them into slashes.
const MISLEADING = /[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\p{White_Space}\\]/u;
const ABSOLUTE = /^https?:\/\/[^/?#]/i;
// A user before the host, even an empty one.
const WITH_USER = /^[^/]*\/\/[^/?#]*@/;
// Where a path is the boundary, servers must agree on where it leads. They don't about `%2f`, `%252e%252e` and `..;`.
const AMBIGUOUS = /[%;]/;

/** Whether an address lies below one of the prefixes, a list separated by spaces. */
export function isAllowed(address, prefixes) {
  if (MISLEADING.test(address) || !ABSOLUTE.test(address) || WITH_USER.test(address)) return false;
  const url = parsed(address);
  return Boolean(url) && prefixes.split(" ").some((prefix) => prefix && isBelow(url, new URL(prefix)));
}

/** Whether this is the prefix itself, or goes on behind it where a segment of its path ends. */
function isBelow(url, prefix) {
  if (url.origin !== prefix.origin) return false;
  if (prefix.pathname === "/" || url.pathname === prefix.pathname) return true;
  const folder = prefix.pathname.endsWith("/") ? prefix.pathname : `${prefix.pathname}/`;
  return url.pathname.startsWith(folder) && !AMBIGUOUS.test(url.pathname.slice(folder.length));
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
