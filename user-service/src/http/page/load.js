// The form as a file, for pages of other origins.
//
// It is fetched as a document: that gives a strict page's Trusted Types nothing to refuse.

import { BASE } from "./requests.js";

/** Longer than a file takes to load, in milliseconds. */
const TIMEOUT = 30_000;

/** The form in a language, and its style. Without `lang` the request's own header decides. */
export async function fetchForm(lang) {
  const url = new URL("assets/form.html", BASE);
  if (lang) url.searchParams.set("lang", lang);
  const page = await fetchDocument(url);
  const [style, form] = [page.querySelector("link[rel=stylesheet]"), page.getElementById("signup")];
  const address = new URL(style.getAttribute("href"), BASE).href;
  document.adoptNode(style);
  document.adoptNode(form);
  style.crossOrigin = "anonymous";
  style.href = address;
  return { style, form };
}

/** Waits until a style sheet that was just put into a document holds. */
export function holds(style) {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error(`no style from ${style.href}`));
    const clock = setTimeout(fail, TIMEOUT);
    style.onerror = fail;
    style.onload = () => {
      clearTimeout(clock);
      resolve();
    };
  });
}

function fetchDocument(url) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", url);
    request.responseType = "document";
    request.timeout = TIMEOUT;
    request.onload = () => (request.status === 200 ? resolve(request.response) : reject(new Error(`status ${request.status}`)));
    request.onerror = request.ontimeout = () => reject(new Error("no answer"));
    request.send();
  });
}
