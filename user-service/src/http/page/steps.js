// The steps of a signup in one element: register → code-entry → done, or link → done. One section is shown at a time.
//
// What they say is the same whatever is known of the address, and what went wrong is said by the API, in their language.

import { cameFrom, forgetLink, link } from "./arrival.js";
import { clearProblems, exclusively, onSubmit, showFieldProblems, showProblem } from "./form.js";
import { post } from "./requests.js";
import { isAllowed, warnOf } from "./return_to.js";

const STEPS = ["register", "code-entry", "link", "done"];

export class Steps {
  #root;
  #element;

  /** What each step does to be shown; the modules of the steps put it here. */
  opens = { done: () => this.#leadOn() };

  constructor(root, element, progress) {
    this.#root = root;
    this.#element = element;
    this.progress = progress;
  }

  at(id) {
    return this.#root.getElementById(id);
  }

  all(selector) {
    return this.#root.querySelectorAll(selector);
  }

  /** The step that is due: the mail's link, the end, the code's form, or the registration's. */
  due() {
    if (link()) return "link";
    if (this.progress.ended) return "done";
    return this.progress.registration ? "code-entry" : "register";
  }

  /** Shows a step with what belongs into it. */
  open(step) {
    if (step !== "done") this.progress.ended = undefined;
    this.opens[step]?.();
    for (const id of STEPS) this.at(id).hidden = id !== step;
    this.#tell("step", { step, title: this.at(step).dataset.title });
  }

  /** The same, for somebody who has done something: leads the focus there. */
  goTo(step) {
    this.open(step);
    this.first().focus();
  }

  /** Where the step that is shown begins. */
  first() {
    return this.#root.querySelector("section:not([hidden]) [data-first]");
  }

  /** Called several times a second. */
  tick() {}

  /** Posts to the API in the form's language. Without an answer of the API the problem says so. */
  async post(path, body) {
    const { lang, dataset } = this.at("signup");
    const outcome = await post(path, body, lang);
    outcome.problem.detail ??= dataset.noConnection;
    return outcome;
  }

  /** Registers a person; what is wrong is shown in the form. */
  async register(form, person) {
    const outcome = await this.post("api/register", { ...person, locale: this.at("signup").lang });
    if (outcome.ok) return outcome.data;
    if (!showFieldProblems(form, outcome.problem.errors)) showProblem(form, outcome.problem.detail);
    return undefined;
  }

  /** The end: the registration with this id is verified, as `data` says. */
  finish(id, data) {
    this.progress.end(id);
    forgetLink();
    this.goTo("done");
    this.#tell("verified", data);
  }

  /** Shows where to go on, if there is such a place. */
  #leadOn() {
    const address = this.#next();
    this.at("done-here").hidden = Boolean(address);
    this.at("done-elsewhere").hidden = !address;
    if (address) this.at("go-on").href = address;
  }

  /** Where people go on: where they came from, if they may, else the brand's own page, if there is one. */
  #next() {
    const { home, returnUrls } = this.at("signup").dataset;
    const wanted = this.#element.getAttribute("return-to") ?? this.progress.ended.returnTo;
    if (wanted && isAllowed(wanted, returnUrls)) return new URL(wanted).href;
    if (wanted) warnOf(wanted);
    return home;
  }

  #tell(name, detail) {
    this.#element.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail }));
  }
}

/** The first step. */
export function offerForm(steps) {
  const form = steps.at("register-form");
  onSubmit(form, async (person) => {
    const data = await steps.register(form, person);
    if (!data) return;
    steps.progress.begin(data, cameFrom());
    steps.goTo("code-entry");
  });
  for (const button of steps.all("[data-start-again]")) {
    button.addEventListener("click", () => {
      exclusively(button, () => {
        forgetLink();
        steps.progress.forget();
        clearProblems(form);
        steps.goTo("register");
      });
    });
  }
}
