// What the page knows of the registration under way. It survives a reload, belongs to this tab alone, and holds no
// code: `{id, email?, expiresAt?, resendAt, token?}`, times in milliseconds of this device's clock.

const KEY = "registration";
let current = read();

/** The registration under way, or undefined. */
export const registration = () => current;

/** Replaces it; undefined forgets it. */
export function keep(next) {
  current = next;
  try {
    if (next) sessionStorage.setItem(KEY, JSON.stringify(next));
    else sessionStorage.removeItem(KEY);
  } catch {
    // Storage may be turned off: then a reload begins anew.
  }
}

/** Takes the link's `#id=…&token=…` out of the address bar, the history and whatever is shared from there. */
export function takeLink() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const [id, token] = [fragment.get("id"), fragment.get("token")];
  if (!id || !token) return undefined;
  history.replaceState(null, "", location.pathname + location.search);
  return { id, token, resendAt: 0 };
}

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? undefined;
  } catch {
    return undefined;
  }
}
