// The SDK re-opens a stream that was cut and never repeats `initialize`. The session must work all the same.
import assert from "node:assert/strict";
import { call, connect, text } from "./connect.mjs";

const client = await connect("demo");
assert.equal(text(await call(client, "echo", { text: "before" })), "before");
const cut = new Promise((resolve) => (client.onerror = resolve));
console.log("ready");
await cut;
for (;;) {
  try {
    assert.equal(text(await call(client, "echo", { text: "after" }, { timeout: 2000 })), "after");
    break;
  } catch (error) {
    // The SDK waits three seconds before it tries again; until then posts go to a session that is gone.
    if (error instanceof assert.AssertionError) throw error;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
console.log("passed");
process.exit(0);
