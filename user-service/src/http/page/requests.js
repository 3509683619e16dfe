// The API as the form needs it: one POST, one outcome.

/** Where the service is: this file comes from below it, also on pages of other origins. */
export const BASE = new URL("..", import.meta.url);
/** Longer than any answer takes, in milliseconds. */
const TIMEOUT = 30_000;

/** Posts JSON, to be answered in a language. Never throws: without an answer the outcome has the status 0. */
export async function post(path, body, language) {
  try {
    const response = await fetch(new URL(path, BASE), {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Accept: "application/json, application/problem+json",
        "Accept-Language": language,
      },
      body: JSON.stringify(body),
      cache: "no-store",
      signal: AbortSignal.timeout(TIMEOUT),
    });
    const answer = Object(await response.json().catch(() => ({})));
    const retryAfter = Number(response.headers.get("Retry-After")) || 0;
    return { ok: response.ok, status: response.status, retryAfter, data: answer.data ?? {}, problem: answer };
  } catch {
    return { ok: false, status: 0, retryAfter: 0, data: {}, problem: {} };
  }
}

/** Whether an outcome is this problem: the end of its `type`. */
export const isProblem = ({ problem }, kind) => problem.type === `urn:problem-type:two-step-signup:${kind}`;
