// How far the signup of one element is: the registration under way, with where to go on afterwards, or its end. No names,
// no code.
//
// The registration is this tab's own, in sessionStorage. The browser's newest is in localStorage, too: the mail's link
// opens in a new tab, and is to confirm what was entered here rather than what somebody else entered for the same
// address. On a shared computer the next person finds an id there. It does not say whose it is; with it codes can be
// tried and another mail can be asked for, nothing else. The address stays in the tab.

import { cameFrom, link } from "./arrival.js";
import { browser, tab } from "./storage.js";

/** How long other tabs find it: as long as the service knows a registration by default (LINK_TTL), in milliseconds. */
const LIFE = 75 * 60_000;

export class Progress {
  #current;

  /** The end of the signup that is shown, `{returnTo?}`, or undefined. */
  ended = tab.read("ended");

  constructor() {
    tab.write("ended", undefined);
    const own = tab.read("registration");
    this.#current = own ?? newest();
    // An arrival decides where to go on, and one without an address forgets that of an earlier one. The mail's link does
    // not: its signup leads on where it came from.
    if (!this.#current || link()) return;
    const led = { ...this.#current, returnTo: cameFrom() };
    // What another tab has begun still leads on where that tab came from.
    if (own) this.#replace(led);
    else this.#current = led;
  }

  /**
   * The registration under way, `{id, email?, resendAt, returnTo?}`, or undefined. Times are milliseconds of this device's
   * clock; `returnTo` is where its person came from and wants to go on.
   */
  get registration() {
    return this.#current;
  }

  /** Goes on with the registration that the API has answered with. */
  begin({ id, email = this.#current?.email, resend_after }, returnTo) {
    this.#current = { id, email, resendAt: Date.now() + resend_after * 1000, returnTo };
    tab.write("registration", this.#current);
    browser.write("registration", { ...withoutAddress(this.#current), until: Date.now() + LIFE });
  }

  /** Notes when another mail can be asked for. */
  wait(seconds) {
    this.#replace({ ...this.#current, resendAt: Date.now() + seconds * 1000 });
  }

  /** Forgets the registration. Another one that began in this tab or browser meanwhile stays. */
  forget() {
    const id = this.#current?.id;
    for (const storage of [tab, browser]) {
      if (storage.read("registration")?.id === id) storage.write("registration", undefined);
    }
    this.#current = undefined;
  }

  /** The registration with this id is verified. One of another address stays. */
  end(id) {
    this.ended = { returnTo: this.returnTo(id) };
    if (this.#current?.id === id) this.forget();
  }

  /** Keeps the end for the page that opens next in this tab, and for no other. */
  handOn() {
    tab.write("ended", this.ended);
  }

  /** Where to go on after the registration with this id, if this browser made it. */
  returnTo(id) {
    return [this.#current, newest()].find((kept) => kept?.id === id)?.returnTo;
  }

  /** The ids of what was entered in this tab, and last in this browser. */
  ownIds() {
    return [this.#current?.id, newest()?.id].filter(Boolean);
  }

  /** Keeps new data of the same registration, wherever it is kept. */
  #replace(next) {
    this.#current = next;
    if (tab.read("registration")?.id === next.id) tab.write("registration", next);
    const kept = browser.read("registration");
    if (kept?.id === next.id) browser.write("registration", { ...kept, ...withoutAddress(next) });
  }
}

const withoutAddress = ({ id, resendAt, returnTo }) => ({ id, resendAt, returnTo });

function newest() {
  const { until, ...kept } = browser.read("registration") ?? {};
  return until > Date.now() ? kept : undefined;
}
