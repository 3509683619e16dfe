// What forms have in common: problems beside their fields, and one request at a time.

let busy = false;

/** Runs `work` unless a request is under way. The button is never really disabled: it would lose the focus. */
export async function exclusively(button, work) {
  if (busy || button.ariaDisabled === "true") return;
  busy = true;
  const label = button.textContent;
  button.textContent = button.dataset.busy ?? label;
  button.ariaBusy = "true";
  try {
    await work();
  } finally {
    busy = false;
    button.textContent = label;
    button.ariaBusy = null;
  }
}

/** Calls `submit` with the form's trimmed values; an empty one is undefined. */
export function onSubmit(form, submit) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    exclusively(form.querySelector("[type=submit]"), async () => {
      clearProblems(form);
      const values = [...new FormData(form)].map(([name, value]) => [name, value.trim() || undefined]);
      await submit(Object.fromEntries(values));
    });
  });
}

/** Shows what the API said of single fields beside them, and leads to the first. False when it said nothing. */
export function showFieldProblems(form, errors = []) {
  const known = errors.filter(({ field }) => form.elements.namedItem(field)?.labels);
  for (const { field, detail } of known) markInvalid(form.elements.namedItem(field), detail);
  form.querySelector("[aria-invalid=true]")?.focus();
  return known.length > 0;
}

/** Shows a sentence beside one field. */
export function markInvalid(input, text) {
  input.ariaInvalid = "true";
  input.getRootNode().getElementById(`${input.id}-problem`).textContent = text;
}

/** Shows a sentence above the form's button. */
export function showProblem(form, text) {
  form.querySelector(".whole").textContent = text;
}

/** Takes all sentences away. */
export function clearProblems(form) {
  for (const input of form.querySelectorAll("[aria-invalid]")) input.ariaInvalid = null;
  for (const problem of form.querySelectorAll(".problem")) problem.textContent = "";
}
