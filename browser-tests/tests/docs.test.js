// Swagger UI at /docs: shut in by its policy, it still has to work. What the browser complains of fails the test.

import assert from "node:assert/strict";
import { pageTest } from "../page_test.js";
import { sees } from "../person.js";

pageTest("the API's documentation shows every operation", async (page) => {
  await page.goto("/docs");
  await page.locator(".opblock").first().waitFor();
  const { paths } = await (await page.request.get("/openapi.json")).json();
  const described = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
  const shown = await page.locator(".opblock-summary").evaluateAll((rows) =>
    rows.map((row) => {
      const part = (name) => row.querySelector(`.opblock-summary-${name}`).textContent.replaceAll("\u200b", "").trim();
      return `${part("method")} ${part("path")}`;
    }),
  );
  assert.deepEqual(shown.toSorted(), described.toSorted());
});

pageTest("an operation can be tried out from its documentation", async (page) => {
  await page.goto("/docs/");
  const ready = page.locator(".opblock", { hasText: "/health/ready" });
  await ready.locator(".opblock-summary").click();
  await ready.getByRole("button", { name: "Execute" }).click();
  await ready.locator(".live-responses-table").getByText('"caught_up": true').waitFor();
  await sees(page, "Response headers");
});
