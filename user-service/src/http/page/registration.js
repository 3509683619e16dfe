// What the browser keeps of the registration under way: its id, when another mail can be asked for, and where to go on
// afterwards. No names, no code.
//
// It is this tab's own, in sessionStorage: it survives a reload and ends with the tab. The browser's newest is in
// localStorage, too: the mail's link opens in a new tab, and is to confirm what was entered here rather than what somebody
// else entered for the same address. On a shared computer the next person finds an id there. It does not say whose it
// is; with it codes can be tried and another mail can be asked for, nothing else. The address stays in the tab.

/** How long other tabs find it: as long as the service knows a registration by default (LINK_TTL), in milliseconds. */
const LIFE = 75 * 60_000;
/** Pages of other origins have keys of their own. */
const PREFIX = "two-step-signup:";

// Storage may be turned off: then a reload begins anew, and a link confirms what its own registration says.
const [tab, browser] = ["sessionStorage", "localStorage"].map((storage) => ({
  read(key) {
    try {
      return JSON.parse(globalThis[storage].getItem(PREFIX + key)) ?? undefined;
    } catch {
      return undefined;
    }
  },
  write(key, value) {
    try {
      if (value) globalThis[storage].setItem(PREFIX + key, JSON.stringify(value));
      else globalThis[storage].removeItem(PREFIX + key);
    } catch {
      // As above.
    }
  },
}));

let current = tab.read("registration") ?? newest();
let taken = tab.read("link");
let origin;

/**
 * The registration under way, `{id, email?, resendAt, returnTo?}`, or undefined. Times are milliseconds of this device's
 * clock; `returnTo` is where its person came from and wants to go on.
 */
export const registration = () => current;

/** Replaces it; undefined forgets it. */
export function keep(next) {
  if (next) {
    const { id, resendAt, returnTo } = next;
    browser.write("registration", { id, resendAt, returnTo, until: Date.now() + LIFE });
  }
  else if (newest()?.id === current?.id) browser.write("registration", undefined);
  current = next;
  tab.write("registration", next);
}

/** The ids of what was entered in this tab, and last in this browser. */
export const ownIds = () => [current?.id, newest()?.id].filter(Boolean);

function newest() {
  const { until, ...kept } = browser.read("registration") ?? {};
  return until > Date.now() ? kept : undefined;
}

/** The mail's link that was opened in this tab, `{id, token}`, or undefined. */
export const link = () => taken;

/**
 * Notes where to go on after the signup that begins now. An arrival without such an address forgets that of an earlier
 * one, unless the mail's link was opened: its signup leads on where it came from.
 */
export function arrive(address) {
  if (!address && taken) return;
  origin = address;
  if (!current || current.returnTo === address) return;
  current = { ...current, returnTo: address };
  if (tab.read("registration")) tab.write("registration", current);
  const kept = browser.read("registration");
  if (kept?.id === current.id) browser.write("registration", { ...kept, returnTo: address });
}

/** Where whoever opened this page came from, for what is registered now. */
export const cameFrom = () => origin;

/** Where to go on after the registration with this id, if this browser made it. */
export const returnTo = (id) => [current, newest()].find((kept) => kept?.id === id)?.returnTo;

/** Takes the link's `#id=…&token=…` out of the address bar, the history and whatever is shared from there. */
export function takeLink() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const [id, token] = [fragment.get("id"), fragment.get("token")];
  if (!id || !token) return;
  history.replaceState(null, "", location.pathname + location.search);
  keepLink({ id, token });
}

/** Forgets the link. */
export const forgetLink = () => keepLink(undefined);

function keepLink(next) {
  taken = next;
  tab.write("link", next);
}
