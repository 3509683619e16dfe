// The step that asks for the code, and for another mail.

import { clearProblems, exclusively, markInvalid, onSubmit, showFieldProblems, showProblem } from "./form.js";
import { isProblem } from "./requests.js";

// Codes are pasted as they are shown elsewhere: 123-456, or Code: 123 456. Six digits are shown alone; whatever else is
// typed stays as it is, and the API says what it makes of it.
const PASTED = /^(?:\P{Nd}*[^\p{Nd}\p{Lu}\p{Ll}])?(\d(?:[\s\p{Dash}\p{Default_Ignorable_Code_Point}]*\d){5})(?:[^\p{Nd}\p{Lu}\p{Ll}]\P{Nd}*)?$/u;
/** Problems of the code itself, which are shown beside its field. */
const OF_CODE = ["wrong-code", "no-longer-valid", "too-many-wrong-codes"];

export function offerCode(steps) {
  const { progress } = steps;
  const [form, code, resend, answer, countdown] =
    ["code-form", "code", "resend", "resend-answer", "countdown"].map((id) => steps.at(id));

  steps.opens["code-entry"] = () => {
    clearProblems(form);
    answerResend("");
    code.value = "";
    steps.at("address").textContent = progress.registration.email ?? "";
    steps.tick();
  };

  code.addEventListener("input", () => {
    const digits = PASTED.exec(code.value)?.[1].replace(/\D/g, "");
    if (digits && digits !== code.value) code.value = digits;
  });

  onSubmit(form, async ({ code: typed = "" }) => {
    const { id } = progress.registration;
    const outcome = await steps.post("api/verify", { id, code: typed });
    if (outcome.ok) return steps.finish(id, outcome.data);
    if (showFieldProblems(form, outcome.problem.errors)) return;
    if (!OF_CODE.some((kind) => isProblem(outcome, kind))) return showProblem(form, outcome.problem.detail);
    markInvalid(code, outcome.problem.detail);
    code.focus();
    code.select();
  });

  // Another mail: a registration of its own with the same data, which replaces the one before in this tab.
  resend.addEventListener("click", () => {
    exclusively(resend, async () => {
      answerResend("");
      const outcome = await steps.post("api/resend", { id: progress.registration.id });
      if (outcome.ok) {
        progress.begin(outcome.data, progress.registration.returnTo);
        clearProblems(form);
        answerResend(answer.dataset.sent);
        code.focus();
      } else {
        if (outcome.status === 429) progress.wait(outcome.retryAfter || 1);
        answerResend(outcome.problem.detail, true);
      }
      steps.tick();
    });
  });

  function answerResend(text, isRefused = false) {
    answer.textContent = text;
    answer.classList.toggle("problem", isRefused);
  }

  /** Shows how long to wait for the next mail. It describes the button; as a live region it would never be quiet. */
  steps.tick = () => {
    const seconds = Math.ceil(((progress.registration?.resendAt ?? 0) - Date.now()) / 1000);
    const waiting = seconds > 0;
    const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    countdown.textContent = waiting ? countdown.dataset.in.replace("{clock}", clock) : "";
    resend.ariaDisabled = waiting ? "true" : null;
  };
}
