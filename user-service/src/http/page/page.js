// The signup page: register → code-entry → done, or link → done. One section is shown at a time.
//
// What it says is the same whatever is known of the address. A link confirms on a click alone: mail scanners open links
// and run scripts, but they don't press buttons.

import { clearProblems, exclusively, markInvalid, onSubmit, showFieldProblems, showProblem } from "./form.js";
import { forgetLink, keep, link, ownIds, registration, takeLink } from "./registration.js";
import { isProblem, post, sentence, spokenTime } from "./requests.js";

const TITLES = { register: "Sign up", "code-entry": "Enter your code", link: "Confirm your address", done: "Confirmed" };
const at = (id) => document.getElementById(id);

function show(step) {
  for (const id of Object.keys(TITLES)) at(id).hidden = id !== step;
  document.title = TITLES[step];
}

function goTo(step) {
  show(step);
  at(step).querySelector("[data-first]").focus();
}

// Register

onSubmit(at("register-form"), async (person) => {
  const form = at("register-form");
  const outcome = await post("api/register", person);
  if (outcome.ok) return enterCode(received(outcome.data));
  if (!showFieldProblems(form, outcome.problem.errors)) showProblem(form, sentence(outcome));
});

/** What an answer says of the next steps. */
function received({ id, email = registration()?.email, resend_after }) {
  return { id, email, resendAt: Date.now() + resend_after * 1000 };
}

// Enter the code

function enterCode(pending) {
  keep(pending);
  describeCode();
  clearProblems(at("code-form"));
  answerResend("");
  at("code").value = "";
  goTo("code-entry");
}

function describeCode() {
  at("address").textContent = registration().email ?? "";
  tick();
}

// Codes are pasted as they are shown elsewhere: 123-456, or Code: 123 456. Six digits are shown alone; whatever else is
// typed stays as it is, and the API says what it makes of it.
const PASTED = /^(?:\P{Nd}*[^\p{Nd}\p{Lu}\p{Ll}])?(\d(?:[\s\p{Dash}\p{Default_Ignorable_Code_Point}]*\d){5})(?:[^\p{Nd}\p{Lu}\p{Ll}]\P{Nd}*)?$/u;

at("code").addEventListener("input", ({ target }) => {
  const digits = PASTED.exec(target.value)?.[1].replace(/\D/g, "");
  if (digits && digits !== target.value) target.value = digits;
});

onSubmit(at("code-form"), async ({ code }) => {
  const form = at("code-form");
  const { id } = registration();
  const outcome = await post("api/verify", { id, code });
  if (outcome.ok) return finish(id);
  if (showFieldProblems(form, outcome.problem.errors)) return;
  const text = codeProblem(outcome);
  if (!text) return showProblem(form, sentence(outcome));
  markInvalid(at("code"), text);
  at("code").focus();
  at("code").select();
});

/** The sentence beside the field, when the code itself is the problem. */
function codeProblem(outcome) {
  const left = outcome.problem.attempts_left;
  if (isProblem(outcome, "too-many-wrong-codes")) {
    const wait = spokenTime(outcome.retryAfter || 1);
    return `Too many wrong codes came from your network. Open the link in the email, which still works, or try again in ${wait}.`;
  }
  if (outcome.status === 410) {
    return "Too many codes were tried here. Open the link in the email, which still works, or start again.";
  }
  if (left === undefined) return undefined;
  if (left === 0) {
    return "That code is not right, and it was the last one to be tried here. Open the link in the email, which still works, or start again.";
  }
  return `That code is not right. You have ${left} ${left === 1 ? "attempt" : "attempts"} left. The link in the email works, too.`;
}

// Another mail: a registration of its own with the same data, which replaces the one before in this tab

at("resend").addEventListener("click", () => {
  exclusively(at("resend"), async () => {
    answerResend("");
    const outcome = await post("api/resend", { id: registration().id });
    if (outcome.ok) {
      keep(received(outcome.data));
      clearProblems(at("code-form"));
      answerResend("If your address can get another email now, it is on its way. The code in the newest one works.");
      at("code").focus();
    } else {
      if (outcome.status === 429) keep({ ...registration(), resendAt: Date.now() + (outcome.retryAfter || 1) * 1000 });
      const isTooSoon = isProblem(outcome, "too-soon");
      answerResend(isTooSoon ? "It is too soon for another email. Please use the newest one, or wait." : sentence(outcome), true);
    }
    tick();
  });
});

function answerResend(text, isRefused = false) {
  at("resend-answer").textContent = text;
  at("resend-answer").classList.toggle("problem", isRefused);
}

/** Shows how long to wait for the next mail. It describes the button; as a live region it would never be quiet. */
function tick() {
  const seconds = Math.ceil(((registration()?.resendAt ?? 0) - Date.now()) / 1000);
  const waiting = seconds > 0;
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  at("countdown").textContent = waiting ? `in ${clock}` : "";
  at("resend").ariaDisabled = waiting ? "true" : null;
}

setInterval(tick, 250);

// The mail's link

/** What a click confirms: `{id, token, email}`. Only what is shown can be confirmed. */
let shown;

/** Shows for whom and which address the link confirms. Whoever opened it may not be who asked for it. */
async function describeLink() {
  const opened = link();
  showLinkPart("looking");
  const outcome = await lookUp(opened);
  if (link() !== opened) return;
  if (outcome.ok) return offer({ ...outcome.data, id: outcome.id, token: opened.token });
  showProblem(at("link-trouble"), linkProblem(outcome));
  at("look-again").hidden = outcome.status < 500 && outcome.status !== 0 && outcome.status !== 429;
  at("type-code").hidden = !registration();
  showLinkPart("link-trouble");
}

/** Which registration the link confirms: the first of its address, this browser's own before the link's. */
async function lookUp({ id, token }) {
  let outcome;
  for (const candidate of new Set([...ownIds(), id])) {
    outcome = { ...(await post("api/registration", { id: candidate, token })), id: candidate };
    const isOfAnother = outcome.status === 404 || outcome.status === 422;
    if (!isOfAnother) break;
  }
  return outcome;
}

function offer({ id, token, first_name, last_name, email }) {
  shown = { id, token, email };
  at("link-address").textContent = email;
  at("link-name").textContent = `${first_name} ${last_name}`;
  at("other-names").open = false;
  clearProblems(at("confirms"));
  showLinkPart("confirms");
}

function showLinkPart(part) {
  for (const id of ["looking", "confirms", "link-trouble"]) at(id).hidden = id !== part;
}

onSubmit(at("link-form"), confirm);

async function confirm() {
  const { id, token } = shown;
  const outcome = await post("api/verify", { id, token });
  if (outcome.ok) return finish(id);
  showProblem(at("link-form"), linkProblem(outcome));
}

// The token proves the mailbox, whatever registration it is used with: a new one, with the names of whoever opened the link.
onSubmit(at("other-form"), async (names) => {
  const form = at("other-form");
  const { token, email } = shown;
  const outcome = await post("api/register", { ...names, email });
  if (outcome.ok) {
    keep(received(outcome.data));
    offer({ ...outcome.data, token });
    return confirm();
  }
  if (!showFieldProblems(form, outcome.problem.errors)) showProblem(form, sentence(outcome));
});

function linkProblem(outcome) {
  if (outcome.problem.errors) return "This link is not complete. Please open it from the email again.";
  if (outcome.status === 404) return "This link is too old. Please start again.";
  if (outcome.status === 422) {
    return "This link does not work, or not any more. Please open the one in the newest email, or start again.";
  }
  return sentence(outcome);
}

at("look-again").addEventListener("click", ({ target }) => exclusively(target, describeLink));

at("type-code").addEventListener("click", ({ target }) => {
  exclusively(target, () => {
    forgetLink();
    enterCode(registration());
  });
});

// Begin, begin again, end

function finish(id) {
  forgetLink();
  // One of another address stays.
  if (registration()?.id === id) keep(undefined);
  goTo("done");
}

for (const button of document.querySelectorAll("[data-start-again]")) {
  button.addEventListener("click", () => {
    exclusively(button, () => {
      forgetLink();
      keep(undefined);
      clearProblems(at("register-form"));
      goTo("register");
    });
  });
}

function begin() {
  takeLink();
  if (link()) {
    describeLink();
    return show("link");
  }
  if (!registration()) return show("register");
  describeCode();
  show("code-entry");
}

// A link opened in a tab that shows this page already changes the fragment and nothing else.
window.addEventListener("hashchange", begin);
begin();
