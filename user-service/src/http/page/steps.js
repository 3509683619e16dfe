// The steps of a signup in one element: register → code-entry → done, or link → done. One section is shown at a time.
//
// What they say is the same whatever is known of the address, and what went wrong is said by the API, in their language.

import { clearProblems, exclusively, onSubmit, showFieldProblems, showProblem } from "./form.js";
import { cameFrom, forgetLink, keep, link, registration, returnTo } from "./registration.js";
import { post } from "./requests.js";
import { isAllowed, warnOf } from "./return_to.js";

const STEPS = ["register", "code-entry", "link", "done"];

export class Steps {
  #root;
  #element;

  /** What each step does to be shown; the modules of the steps put it here. */
  opens = {};

  constructor(root, element) {
    this.#root = root;
    this.#element = element;
  }

  at(id) {
    return this.#root.getElementById(id);
  }

  all(selector) {
    return this.#root.querySelectorAll(selector);
  }

  /** Shows the step that is due. */
  begin() {
    if (link()) return this.open("link");
    this.open(registration() ? "code-entry" : "register");
  }

  /** Shows a step with what belongs into it. */
  open(step) {
    this.opens[step]?.();
    for (const id of STEPS) this.at(id).hidden = id !== step;
    this.#tell("step", { step, title: this.at(step).dataset.title });
  }

  /** The same, for somebody who has done something: leads the focus there. */
  goTo(step) {
    this.open(step);
    this.at(step).querySelector("[data-first]").focus();
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
    const address = this.#next(id);
    this.at("done-here").hidden = Boolean(address);
    this.at("done-elsewhere").hidden = !address;
    if (address) this.at("go-on").href = address;
    forgetLink();
    // One of another address stays.
    if (registration()?.id === id) keep(undefined);
    this.goTo("done");
    this.#tell("verified", data);
  }

  /** Where people go on: where they came from, if they may, else the brand's own page, if there is one. */
  #next(id) {
    const { home, returnUrls } = this.at("signup").dataset;
    const wanted = this.#element.getAttribute("return-to") ?? returnTo(id);
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
    keep(received(data, cameFrom()));
    steps.goTo("code-entry");
  });
  for (const button of steps.all("[data-start-again]")) {
    button.addEventListener("click", () => {
      exclusively(button, () => {
        forgetLink();
        keep(undefined);
        clearProblems(form);
        steps.goTo("register");
      });
    });
  }
}

/** What to keep of an answer for the next steps. */
export function received({ id, email = registration()?.email, resend_after }, returnTo) {
  return { id, email, resendAt: Date.now() + resend_after * 1000, returnTo };
}
