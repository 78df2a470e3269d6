import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const [address, key] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: address, headers: { Authorization: `Bearer ${key}` } });

/** Return what the API answered, or fail with its problem. */
function expect<T>(answer: { data?: T; error?: components["schemas"]["ProblemDetails"]; response: Response }): T {
  if (answer.error !== undefined || answer.data === undefined) {
    throw new Error(`${answer.response.status}: ${answer.error?.detail}`);
  }
  return answer.data;
}

const body = {
  title: "Shop front answers",
  type: "health_check_url",
  schedule: "*/5 * * * *",
  params: { url: `${address}/healthz` },
  retry: { maxAttempts: 2 },
};
const made = expect(await client.POST("/api/tasks", { body }));
const listed = expect(await client.GET("/api/tasks", { params: { query: { type: "health_check_url" } } }));
const path = { id: made.id };
const ran = expect(await client.POST("/api/tasks/{id}/run", { params: { path }, body: { wait: 30 } }));
const changed = expect(await client.PATCH("/api/tasks/{id}", { params: { path }, body: { priority: "high" } }));
const runs = expect(await client.GET("/api/runs", { params: { query: { task: made.id } } }));
const paused = expect(await client.POST("/api/tasks/{id}/pause", { params: { path }, body: { note: "Moving house" } }));
const removed = await client.DELETE("/api/tasks/{id}", { params: { path } });
const refused = await client.POST("/api/tasks", { body: { ...body, schedule: "61 * * * *" } });

console.log(
  JSON.stringify({
    made: made.id,
    listed: listed.tasks.map((task) => task.id),
    run: ran.run?.outcome,
    timezone: [made.timezone, changed.timezone],
    priority: changed.priority,
    runs: runs.runs.map((run) => run.outcome),
    status: paused.status,
    note: paused.pause?.note,
    removed: removed.response.status,
    refused: refused.error?.errors?.map((one) => one.field),
  }),
);
