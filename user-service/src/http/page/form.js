// What forms have in common: problems beside their fields, and one request at a time.

/** The request that is under way in a document or shadow root. */
const requests = new WeakMap();

/** Runs `work` unless a request is under way beside it. The button is never really disabled: it would lose the focus. */
export function exclusively(button, work) {
  const root = button.getRootNode();
  if (requests.has(root) || button.ariaDisabled === "true") return;
  requests.set(root, showBusy(button, work).finally(() => requests.delete(root)));
}

/** Waits for the request that is under way in a root, if there is one. */
export const settled = (root) => Promise.allSettled([requests.get(root)]);

async function showBusy(button, work) {
  const label = button.textContent;
  button.textContent = button.dataset.busy ?? label;
  button.ariaBusy = "true";
  try {
    await work();
  } finally {
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
