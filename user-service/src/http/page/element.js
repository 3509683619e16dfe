// The element <two-step-signup>: the whole signup in an open shadow root, on our own page and on pages of other origins.
//
// On our own page the form is there already, in a declarative shadow root. Elsewhere it is fetched as a document: that
// gives a strict page's Trusted Types nothing to refuse. What stands in the element is shown until then.

import { offerCode } from "./code.js";
import { offerLink } from "./link.js";
import { offerForm, Steps } from "./steps.js";
import { BASE } from "./requests.js";

/** Longer than a file takes to load, in milliseconds. */
const TIMEOUT = 30_000;
// Nothing that has the words in other languages could be loaded.
const FAILED = { text: "The form could not be loaded. Check your connection.", again: "Try again" };

export class TwoStepSignup extends HTMLElement {
  #steps;
  #clock;
  #isLoading = false;

  connectedCallback() {
    // One that is moved while it loads goes on with what it has begun.
    if (!this.#steps && !this.#isLoading) this.#start();
    this.#clock ??= setInterval(() => this.#steps?.tick(), 250);
  }

  disconnectedCallback() {
    clearInterval(this.#clock);
    this.#clock = undefined;
  }

  /** Shows the step that is due: the mail's link, the code's form, or the registration's. */
  begin() {
    this.#steps?.begin();
  }

  #start() {
    const template = this.querySelector(":scope > template[shadowrootmode]");
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    if (template) root.append(template.content);
    if (root.getElementById("signup")) this.#run(root);
    else this.#load(root);
  }

  #run(root) {
    this.#steps = new Steps(root, this);
    for (const offer of [offerForm, offerCode, offerLink]) offer(this.#steps);
    this.begin();
  }

  async #load(root) {
    this.#isLoading = true;
    root.replaceChildren(document.createElement("slot"));
    try {
      const { style, form } = await fetchForm(this.closest("[lang]")?.lang);
      form.hidden = true;
      // The form is shown with its style, or not at all.
      await new Promise((resolve, reject) => {
        style.onload = resolve;
        style.onerror = reject;
        root.append(style, form);
      });
      root.querySelector("slot").remove();
      form.hidden = false;
      this.#run(root);
    } catch (error) {
      console.warn("two-step-signup: the form could not be loaded from", BASE.href, error);
      this.#offerAgain(root);
    } finally {
      this.#isLoading = false;
    }
  }

  #offerAgain(root) {
    const [problem, again] = [document.createElement("p"), document.createElement("button")];
    for (const part of [problem, again]) part.lang = "en";
    problem.setAttribute("role", "alert");
    problem.textContent = FAILED.text;
    again.type = "button";
    again.textContent = FAILED.again;
    again.addEventListener("click", () => this.#load(root));
    root.replaceChildren(problem, again);
  }
}

/** The form in a language, or in the browser's, and its style. Without `lang` the request's own header decides. */
async function fetchForm(lang) {
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
