// The API as the page needs it: one POST, one outcome; and the sentence for what a person can do about a problem.

/** Longer than any answer takes, in milliseconds. */
const TIMEOUT = 30_000;

/** Posts JSON. Never throws: without an answer the outcome has the status 0. */
export async function post(path, body) {
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json, application/problem+json" },
      body: JSON.stringify(body),
      cache: "no-store",
      signal: AbortSignal.timeout(TIMEOUT),
    });
    const answer = await response.json().catch(() => ({}));
    const retryAfter = Number(response.headers.get("Retry-After")) || 0;
    return { ok: response.ok, status: response.status, retryAfter, data: answer.data ?? {}, problem: answer };
  } catch {
    return { ok: false, status: 0, retryAfter: 0, data: {}, problem: {} };
  }
}

/** Whether an outcome is this problem: the end of its `type`. */
export const isProblem = ({ problem }, kind) => problem.type === `urn:problem-type:two-step-signup:${kind}`;

/** What to tell when a request was refused as a whole. */
export function sentence({ status, retryAfter, problem }) {
  if (status === 0) return "We could not reach the service. Check your connection and try again.";
  if (status === 429) return `That was a lot at once. Please try again in ${spokenTime(retryAfter || 1)}.`;
  if (status === 503) return "The service is not available for the moment. Nothing was lost: please try again.";
  if (status >= 500) return "Something went wrong on our side. Please try again.";
  // Fields that nobody typed are wrong: the id, of a link that was cut off.
  if (status === 404 || problem.errors) return "We don't know this registration any more. Please start again.";
  return problem.detail ? `${problem.title}: ${problem.detail}.` : "That did not work. Please try again.";
}

/** A wait in words: `20 seconds`, `12 minutes`. */
export function spokenTime(seconds) {
  const [count, unit] = seconds < 90 ? [seconds, "second"] : [Math.ceil(seconds / 60), "minute"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
