// The signup page: register → code-entry → done, or link → done. One section is shown at a time.
//
// What it says is the same whatever is known of the address. A link is only posted on a click: mail scanners open
// links and run scripts, but they don't press buttons.

import { clearProblems, exclusively, markInvalid, onSubmit, showFieldProblems, showProblem } from "./form.js";
import { keep, registration, takeLink } from "./registration.js";
import { post, sentence } from "./requests.js";

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
  if (outcome.ok) return enterCode({ ...received(outcome.data), email: outcome.data.email });
  if (!showFieldProblems(form, outcome.problem.errors)) showProblem(form, sentence(outcome));
});

/** What an answer says of the next steps. */
function received({ id, expires_at, resend_after }) {
  return { id, expiresAt: Date.parse(expires_at), resendAt: Date.now() + resend_after * 1000 };
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
  const { email, expiresAt } = registration();
  at("address").textContent = email ?? "your address";
  const time = new Date(expiresAt).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  at("validity").textContent = expiresAt ? `The code is valid until ${time}.` : "";
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
  const outcome = await post("api/verify", { id: registration().id, code });
  if (outcome.ok) return finish();
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
  if (outcome.status === 410) return sentence(outcome);
  if (left === undefined) return undefined;
  if (left === 0) return "That code is not right, and it was the last attempt. Send a new code below.";
  return `That code is not right. You have ${left} ${left === 1 ? "attempt" : "attempts"} left.`;
}

// Resend

at("resend").addEventListener("click", () => {
  exclusively(at("resend"), async () => {
    answerResend("");
    const outcome = await post("api/resend", { id: registration().id });
    if (outcome.ok) {
      keep({ ...registration(), ...received(outcome.data) });
      clearProblems(at("code-form"));
      describeCode();
      answerResend("We have sent another email. Please use the code in the newest one.");
      at("code").focus();
    } else if (outcome.status === 429) {
      keep({ ...registration(), resendAt: Date.now() + (outcome.retryAfter || 1) * 1000 });
      answerResend("Another email can't be sent yet. Please use the newest one, or wait.", true);
    } else {
      answerResend(sentence(outcome), true);
    }
    tick();
  });
});

function answerResend(text, isProblem = false) {
  at("resend-answer").textContent = text;
  at("resend-answer").classList.toggle("problem", isProblem);
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

/** Says whose address the link confirms, before anybody confirms it. Whoever opened it may not be who asked for it. */
async function describeLink({ id, token }) {
  at("confirms").hidden = true;
  const outcome = await post("api/registration", { id, token });
  if (!outcome.ok || registration()?.token !== token) return;
  const { first_name, last_name, email } = outcome.data;
  at("link-address").textContent = email;
  at("link-name").textContent = `${first_name} ${last_name}`;
  at("confirms").hidden = false;
}

onSubmit(at("link-form"), async () => {
  const { id, token } = registration();
  const outcome = await post("api/verify", { id, token });
  if (outcome.ok) return finish();
  const isCutOff = outcome.problem.errors !== undefined;
  const text = isCutOff ? "This link is not complete. Please open it from the email again." : sentence(outcome);
  showProblem(at("link-form"), text);
});

at("type-code").addEventListener("click", ({ target }) => {
  exclusively(target, () => enterCode({ ...registration(), token: undefined }));
});

// Begin, begin again, end

function finish() {
  keep(undefined);
  goTo("done");
}

for (const button of document.querySelectorAll("[data-start-again]")) {
  button.addEventListener("click", () => {
    exclusively(button, () => {
      keep(undefined);
      clearProblems(at("register-form"));
      goTo("register");
    });
  });
}

function begin() {
  const link = takeLink();
  if (link) {
    keep(link);
    clearProblems(at("link-form"));
  }
  if (!registration()) return show("register");
  if (registration().token) {
    describeLink(registration());
    return show("link");
  }
  describeCode();
  show("code-entry");
}

// A link opened in a tab that shows this page already changes the fragment and nothing else.
window.addEventListener("hashchange", begin);
begin();
