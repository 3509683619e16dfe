// `<script type="module" src="https://…/assets/signup.js">` defines the element <two-step-signup>.

import { TwoStepSignup } from "./element.js";

if (!customElements.get("two-step-signup")) customElements.define("two-step-signup", TwoStepSignup);
