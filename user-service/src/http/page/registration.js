// What the page knows of the registration under way: its id and when another mail can be asked for. No names, no code.
//
// It is this tab's own, in sessionStorage: it survives a reload and ends with the tab. The browser's newest is in
// localStorage, too: the mail's link opens in a new tab, and is to confirm what was entered here rather than what somebody
// else entered for the same address. On a shared computer the next person finds an id there. It does not say whose it
// is; with it codes can be tried and another mail can be asked for, nothing else. The address stays in the tab.

/** How long other tabs find it: as long as the service knows a registration by default (LINK_TTL), in milliseconds. */
const LIFE = 75 * 60_000;

// Storage may be turned off: then a reload begins anew, and a link confirms what its own registration says.
const [tab, browser] = ["sessionStorage", "localStorage"].map((storage) => ({
  read(key) {
    try {
      return JSON.parse(globalThis[storage].getItem(key)) ?? undefined;
    } catch {
      return undefined;
    }
  },
  write(key, value) {
    try {
      if (value) globalThis[storage].setItem(key, JSON.stringify(value));
      else globalThis[storage].removeItem(key);
    } catch {
      // As above.
    }
  },
}));

let current = tab.read("registration") ?? newest();
let taken = tab.read("link");

/** The registration under way, `{id, email?, resendAt}`, or undefined. Times are milliseconds of this device's clock. */
export const registration = () => current;

/** Replaces it; undefined forgets it. */
export function keep(next) {
  if (next) browser.write("registration", { id: next.id, resendAt: next.resendAt, until: Date.now() + LIFE });
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
