// Debian's Chromium, and where it finds the page.

import { chromium } from "playwright-core";

export const PAGE = process.env.PAGE_URL ?? "http://127.0.0.1:3006";

/** Debian's browser, without what it would like to load from elsewhere. */
export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
