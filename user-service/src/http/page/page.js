// What our own page has beside the element: the mail's links, ?return_to=, the list of languages, the title.

import { arrive, takeLink } from "./arrival.js";
import { TwoStepSignup } from "./element.js";
import { isAllowed, warnOf } from "./return_to.js";

const signup = document.querySelector("two-step-signup");
const query = new URLSearchParams(location.search);
const brand = document.querySelector("meta[name=application-name]")?.content;

/** Where people come from and want to go back to, if they may. */
function returnTo() {
  const wanted = query.get("return_to");
  if (wanted === null) return undefined;
  // A browser that knows no declarative shadow roots has left the template in the element.
  const form = (signup.shadowRoot ?? signup.querySelector("template").content).getElementById("signup");
  if (isAllowed(wanted, form.dataset.returnUrls)) return wanted;
  warnOf(wanted);
  return undefined;
}

signup.addEventListener("step", ({ detail: { title } }) => {
  document.title = brand ? `${title} – ${brand}` : title;
});

// Another language is the same page and step, with all else that the page's address says.
for (const choice of document.querySelectorAll(".languages a")) {
  const others = new URLSearchParams(query);
  others.set("lang", choice.lang);
  choice.href = `?${others}`;
  choice.addEventListener("click", () => signup.handOn());
}

takeLink();
arrive(returnTo());
customElements.define("two-step-signup", TwoStepSignup);

// A link opened in a tab that shows this page already changes the fragment and nothing else.
window.addEventListener("hashchange", () => {
  if (takeLink()) signup.openLink();
});
