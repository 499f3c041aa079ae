// Everything that a session of server-everything can do, through Lockgate.
import assert from "node:assert/strict";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { call, connect, text } from "./connect.mjs";

// A server that runs elsewhere gets no environment.
const [server, place = "here"] = process.argv.slice(4);
const variables = place === "here" ? { ENV_FIRST_GUEST: "hello", "X-Env-Other-Guest": "there" } : {};
const logged = {};
logged.promise = new Promise((resolve) => (logged.resolve = resolve));

const client = await connect(
  server,
  variables,
  { sampling: {}, elicitation: {}, roots: { listChanged: true } },
  (client) => {
    client.setRequestHandler(CreateMessageRequestSchema, async (request) => ({
      model: "test-model",
      role: "assistant",
      content: { type: "text", text: `sampled ${request.params.messages.length}` },
    }));
    client.setRequestHandler(ElicitRequestSchema, async () => ({ action: "decline" }));
    client.setRequestHandler(ListRootsRequestSchema, async () => ({ roots: [{ uri: "file:///lock/gate", name: "gate" }] }));
    client.setNotificationHandler(LoggingMessageNotificationSchema, (note) => logged.resolve(note.params));
  },
);

assert.ok((await client.listTools()).tools.length > 5, "tools");
assert.match(text(await call(client, "echo", { message: "a\u2028b😀" })), /a\u2028b😀/);
const environment = JSON.parse(text(await call(client, "get-env")));
if (place === "here") assert.deepEqual([environment.FIRST_GUEST, environment.OTHER_GUEST], ["hello", "there"]);

const steps = [];
await call(client, "trigger-long-running-operation", { duration: 0.5, steps: 5 }, { onprogress: (p) => steps.push(p.progress) });
// The SDK forgets a request's progress handler before it runs it for a note that came together with the reply,
// over stdio too; so the last step may be missing.
assert.deepEqual(steps.slice(0, 4), [1, 2, 3, 4], "progress");

assert.match(text(await call(client, "trigger-sampling-request", { prompt: "p", maxTokens: 5 })), /sampled 1/);
assert.match(text(await call(client, "trigger-elicitation-request")), /declin/i);
assert.match(text(await call(client, "get-roots-list")), /lock\/gate/);

await client.setLoggingLevel("debug");
await call(client, "toggle-simulated-logging");
assert.ok((await logged.promise).level, "a log notification");

const large = "x".repeat(3_000_000);
assert.ok(text(await call(client, "echo", { message: large })).endsWith(large), "3 MB each way");
const sums = await Promise.all(Array.from({ length: 200 }, (_, n) => call(client, "get-sum", { a: n, b: 1 })));
sums.forEach((sum, n) => assert.match(text(sum), new RegExp(`\\b${n + 1}\\.?$`), "each call its own answer"));

assert.ok((await client.listResources()).resources.length > 0, "resources");
assert.ok((await client.listPrompts()).prompts.length > 0, "prompts");
await assert.rejects(call(client, "no-such-tool").then((r) => assert.ok(!r.isError)), "an unknown tool is an error");
await client.close();
console.log("passed");
process.exit(0);
