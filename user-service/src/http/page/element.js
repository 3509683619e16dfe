// The element <two-step-signup>: the whole signup in an open shadow root, on our own page and on pages of other origins.
//
// On our own page the form is there already, in a declarative shadow root. Elsewhere it is loaded, and again when the
// element's language changes. What stands in the element is shown until the form is there.

import { offerCode } from "./code.js";
import { settled } from "./form.js";
import { offerLink } from "./link.js";
import { fetchForm, holds } from "./load.js";
import { Progress } from "./progress.js";
import { BASE } from "./requests.js";
import { offerForm, Steps } from "./steps.js";

// Nothing that has the words in other languages could be loaded.
const FAILED = { text: "The form could not be loaded. Check your connection.", again: "Try again", busy: "Loading…" };

export class TwoStepSignup extends HTMLElement {
  #progress;
  #steps;
  #clock;
  /** The language that was asked for last. */
  #lang;
  #isLoading = false;

  connectedCallback() {
    // One that is moved while it loads goes on with what it has begun.
    if (!this.#steps && !this.#isLoading) this.#start();
    this.#clock ??= setInterval(() => this.#tick(), 250);
  }

  disconnectedCallback() {
    clearInterval(this.#clock);
    this.#clock = undefined;
  }

  /** Shows the mail's link, which somebody has opened while the page showed something else. */
  openLink() {
    this.#steps?.goTo("link");
  }

  /** The page opens again in this tab: it is to show the same step. */
  handOn() {
    this.#progress?.handOn();
  }

  #start() {
    const template = this.querySelector(":scope > template[shadowrootmode]");
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    if (template) root.append(template.content);
    this.#progress ??= new Progress();
    this.#lang = languageOf(this);
    if (root.getElementById("signup")) return this.#run(root);
    root.replaceChildren(document.createElement("slot"));
    this.#load(root);
  }

  #run(root) {
    this.#steps = new Steps(root, this, this.#progress);
    for (const offer of [offerForm, offerCode, offerLink]) offer(this.#steps);
    this.#steps.open(this.#steps.due());
  }

  #tick() {
    this.#steps?.tick();
    if (this.#steps && !this.#isLoading && this.#lang !== languageOf(this)) this.#load(this.shadowRoot);
  }

  /** Loads the form and puts it in the place of what is shown. A form that is there already stays if that fails. */
  async #load(root) {
    this.#isLoading = true;
    this.#lang = languageOf(this);
    let style;
    try {
      const loaded = await fetchForm(this.#lang);
      style = loaded.style;
      root.append(style);
      // The form is shown with its style, or not at all.
      await holds(style);
      await settled(root);
      this.#show(root, style, loaded.form);
    } catch (error) {
      console.warn("two-step-signup: the form could not be loaded from", BASE.href, error);
      style?.remove();
      if (!this.#steps) this.#offerAgain(root);
    } finally {
      this.#isLoading = false;
    }
  }

  /** Shows the form with what is typed already, and keeps the focus in it. */
  #show(root, style, form) {
    const [focused, typed] = [root.activeElement, [...root.querySelectorAll("input")]];
    // A style sheet that is moved loads again.
    while (style.previousSibling) style.previousSibling.remove();
    root.append(form);
    this.#run(root);
    for (const { id, value } of typed) root.getElementById(id).value = value;
    if (focused) (root.getElementById(focused.id) ?? this.#steps.first()).focus();
  }

  #offerAgain(root) {
    const hadFocus = root.activeElement !== null;
    const [problem, again] = [document.createElement("p"), document.createElement("button")];
    for (const part of [problem, again]) part.lang = "en";
    problem.setAttribute("role", "alert");
    problem.textContent = FAILED.text;
    again.type = "button";
    again.textContent = FAILED.again;
    again.addEventListener("click", () => {
      if (this.#isLoading) return;
      again.textContent = FAILED.busy;
      again.ariaBusy = "true";
      this.#load(root);
    });
    root.replaceChildren(problem, again);
    if (hadFocus) again.focus();
  }
}

/** The language of an element as HTML has it: the nearest `lang` around it, also outside of the shadow root that it is in. */
function languageOf(element) {
  for (let at = element; at; at = at.getRootNode().host) {
    const nearest = at.closest("[lang]");
    if (nearest) return nearest.lang;
  }
  return "";
}
