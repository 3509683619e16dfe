// What the browser keeps of the signup, as JSON. Each page has the storage of its own origin.

const PREFIX = "two-step-signup:";

// Storage may be turned off: then nothing is found, and nothing kept.
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

/** This tab's storage: it survives a reload and ends with the tab. All tabs share the browser's. */
export { browser, tab };
