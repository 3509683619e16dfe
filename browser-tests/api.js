// Somebody else, who has another browser or none: the API without the page.

import assert from "node:assert/strict";
import { PAGE } from "./browser.js";

/** Registers a person and returns what the API answered. */
export async function registerElsewhere({ firstName, lastName, email }) {
  const person = { first_name: firstName, last_name: lastName, email };
  const answer = await fetch(`${PAGE}/api/register`, { method: "POST", body: new URLSearchParams(person) });
  assert.equal(answer.status, 202);
  return (await answer.json()).data;
}
