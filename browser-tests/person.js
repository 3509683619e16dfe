// Somebody who signs up: what they do and what they see.

/** Somebody whom nobody has seen before. */
export const newcomer = () => ({
  firstName: "Ada",
  lastName: "Lovelace",
  email: `ada.${Date.now().toString(36)}.${Math.floor(Math.random() * 1e9).toString(36)}@example.com`,
});

/** Fills the form and sends it. */
export async function submitRegistration(page, { firstName, lastName, email }) {
  const form = page.locator("#register-form");
  await form.getByLabel("First name").fill(firstName);
  await form.getByLabel("Last name").fill(lastName);
  await form.getByLabel("Email address").fill(email);
  await page.getByRole("button", { name: "Send me a code" }).click();
}

/** Opens the page, registers somebody new and waits for the code's field. */
export async function register(page, person = newcomer()) {
  await page.goto("/");
  await submitRegistration(page, person);
  await page.getByLabel("Code", { exact: true }).waitFor();
  return person;
}

/** Types a code and confirms. */
export async function submitCode(page, code) {
  await page.getByLabel("Code", { exact: true }).fill(code);
  await page.getByRole("button", { name: "Confirm", exact: true }).click();
}

/** Waits until a text stands on the page where it can be seen. */
export const sees = (page, text) => page.getByText(text).filter({ visible: true }).first().waitFor();

/** Which element has the focus, by its id or else its text. */
export const focused = (page) =>
  page.evaluate(() => {
    let focused = document.activeElement;
    while (focused.shadowRoot?.activeElement) focused = focused.shadowRoot.activeElement;
    return focused.id || focused.textContent.trim();
  });

/** What the form shows; a page's own text does not have what is in a shadow root. */
export const shownIn = (page) => page.locator("#signup").innerText();
