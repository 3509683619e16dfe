// Answers that the service does not give on request.

/** A problem of one kind, which says this. */
export const problem = (status, kind, detail, headers = {}) => ({
  status,
  headers,
  contentType: "application/problem+json",
  body: JSON.stringify({ type: `urn:problem-type:two-step-signup:${kind}`, status, detail }),
});

/** Answers every request with this. */
export const answers = (answer) => (route) => route.fulfill(answer);
