// Answers that the service does not give on request.

/** A problem of one kind. */
export const problem = (status, kind, headers = {}) => ({
  status,
  headers,
  contentType: "application/problem+json",
  body: JSON.stringify({ type: `urn:problem-type:two-step-signup:${kind}`, status }),
});

/** Answers every request with this. */
export const answers = (answer) => (route) => route.fulfill(answer);
