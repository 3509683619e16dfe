// The step that the mail's link opens. It confirms on a click alone: mail scanners open links and run scripts, but they
// don't press buttons.

import { cameFrom, forgetLink, link } from "./arrival.js";
import { clearProblems, exclusively, onSubmit, showProblem } from "./form.js";

const PARTS = ["looking", "confirms", "link-trouble"];

export function offerLink(steps) {
  const { progress } = steps;
  const [trouble, form, otherForm, again] = ["link-trouble", "link-form", "other-form", "look-again"].map((id) => steps.at(id));

  /** What a click confirms: `{id, token, email}`. Only what is shown can be confirmed. */
  let shown;

  steps.opens.link = () => {
    showPart("looking");
    void describeLink();
  };

  /** Shows for whom and which address the link confirms. Whoever opened it may not be who asked for it. */
  async function describeLink() {
    const opened = link();
    const outcome = await lookUp(opened);
    if (link() !== opened) return;
    if (outcome.ok) return offer({ ...outcome.data, id: outcome.id, token: opened.token });
    showProblem(trouble, said(outcome));
    again.hidden = outcome.status < 500 && outcome.status !== 0 && outcome.status !== 429;
    steps.at("type-code").hidden = !progress.registration;
    showPart("link-trouble");
  }

  /** Which registration the link confirms: the first of its address, this browser's own before the link's. */
  async function lookUp({ id, token }) {
    let outcome;
    for (const candidate of new Set([...progress.ownIds(), id])) {
      outcome = { ...(await steps.post("api/registration", { id: candidate, token })), id: candidate };
      const isOfAnother = outcome.status === 404 || outcome.status === 422;
      if (!isOfAnother) break;
    }
    return outcome;
  }

  function offer({ id, token, email, ...names }) {
    shown = { id, token, email };
    steps.at("link-address").textContent = email;
    const name = steps.at("link-name");
    name.textContent = name.dataset.name.replace(/\{(first_name|last_name)\}/g, (_, part) => names[part]);
    steps.at("other-names").open = false;
    clearProblems(steps.at("confirms"));
    showPart("confirms");
  }

  function showPart(part) {
    for (const id of PARTS) steps.at(id).hidden = id !== part;
  }

  onSubmit(form, confirm);

  async function confirm() {
    const { id, token } = shown;
    const outcome = await steps.post("api/verify", { id, token });
    if (outcome.ok) return steps.finish(id, outcome.data);
    showProblem(form, said(outcome));
  }

  // The token proves the mailbox, whatever registration it is used with: a new one, with the names of whoever opened the link.
  onSubmit(otherForm, async (names) => {
    const { id, token, email } = shown;
    const data = await steps.register(otherForm, { ...names, email });
    if (!data) return;
    progress.begin(data, progress.returnTo(id) ?? cameFrom());
    offer({ ...data, token });
    // The button that was pressed is hidden now.
    form.querySelector("[type=submit]").focus();
    return confirm();
  });

  /** What to say of a refusal. Fields that nobody typed are wrong in a link that was cut off. */
  function said({ problem }) {
    return problem.errors ? trouble.dataset.incomplete : problem.detail;
  }

  again.addEventListener("click", () => {
    exclusively(again, async () => {
      // The same sentence is said again.
      showProblem(trouble, "");
      await describeLink();
      if (again.hidden || trouble.hidden) steps.at("link-heading").focus();
    });
  });

  steps.at("type-code").addEventListener("click", ({ target }) => {
    exclusively(target, () => {
      forgetLink();
      steps.goTo("code-entry");
    });
  });
}
