// What each TypeScript client does by Streamable HTTP, whatever its SDK and its era. A failure names its step.
import assert from "node:assert/strict";

export const [base, secret, server, ...rest] = process.argv.slice(2);
export const url = new URL(`${base}/${encodeURIComponent(server)}/mcp`);
const headers = { Authorization: `Bearer ${secret}` };

// Every answer's status, since the SDK takes a refused DELETE (405) for a success.
const answers = [];
// What the SDK tells only on the side, such as a stream that it could not open.
export const told = [];
export const settings = {
  requestInit: { headers },
  fetch: async (input, init) => {
    const response = await fetch(input, init);
    answers.push({ method: init.method, status: response.status, session: response.headers.get("mcp-session-id") });
    return response;
  },
};

let doing = "nothing yet";
function fail(error) {
  console.error(`failed: ${doing}\n`, error);
  if (told.length > 0) console.error("told on the side:\n", ...told);
  process.exit(1);
}
setTimeout(() => fail(new Error("60 seconds are over")), 60_000);
process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);

export async function step(name, action) {
  doing = name;
  try {
    return await action();
  } catch (error) {
    return fail(error);
  }
}

/** A promise and what settles it. */
export function awaited() {
  const result = {};
  result.promise = new Promise((resolve) => (result.resolve = resolve));
  return result;
}

const tools = ["echo", "fill", "count", "hang", "ask", "sample", "touch"];
const text = (result) => {
  assert.ok(!result.isError, `the tool says: ${JSON.stringify(result).slice(0, 500)}`);
  return result.content.map((part) => part.text).join("");
};

// What the client's handlers answer.
export const elicited = { action: "accept", content: { name: "Ada" } };
export const sampled = { model: "test-model", role: "assistant", content: { type: "text", text: "a sampled sentence" } };

/** `tool(name, arguments, options)` calls; `changes()` begins to watch and answers `{ updated, changed, end() }`. */
export async function everything({ client, tool, changes, mayLoseLastProgress }) {
  const call = async (name, args = {}, options = {}) => text(await tool(name, args, options));
  const ofLostProgress = (error) => mayLoseLastProgress && /progress notification for an unknown token/.test(error.message);

  await step("list the tools", async () => {
    const names = (await client.listTools()).tools.map((tool) => tool.name);
    for (const name of tools) assert.ok(names.includes(name), name);
  });
  await step("echo", async () => assert.equal(await call("echo", { text: "a\u2028b\u0085😀\r\n" }), "a\u2028b\u0085😀\r\n"));
  await step("progress before the result", async () => {
    const steps = [];
    await call("count", { steps: 5, pause_ms: 5 }, { onprogress: (note) => steps.push(note.progress) });
    if (steps.length === 4 && told.some(ofLostProgress)) steps.push(5);
    assert.deepEqual(steps, [1, 2, 3, 4, 5]);
  });
  await step("elicitation", async () => assert.equal(await call("ask"), "hello Ada"));
  await step("sampling", async () => assert.equal(await call("sample"), sampled.content.text));
  await step("subscribe, and be told of changes", async () => {
    const { updated, changed, end } = await changes();
    await call("touch");
    assert.equal((await updated).uri, "test://watched");
    await changed;
    await end();
  });
  await step("cancel a call", async () => {
    const [abort, begun, { updated, end }] = [new AbortController(), awaited(), await changes()];
    const options = { signal: abort.signal, onprogress: begun.resolve };
    const refused = assert.rejects(tool("hang", { uri: "test://watched" }, options), "a cancelled call is answered");
    await begun.promise;
    abort.abort("enough");
    await refused;
    // The server says so once it has noticed.
    assert.equal((await updated).uri, "test://watched");
    await end();
  });
  await step("a large argument", async () => {
    const large = "x".repeat(3_000_000);
    assert.ok((await call("echo", { text: large })) === large);
  });
  await step("a large result", async () => assert.equal((await call("fill", { bytes: 3_000_000 })).length, 3_000_000));
  await step("no error on the side", () => assert.deepEqual(told.filter((error) => !ofLostProgress(error)), []));
}

/** Ends the session that a handshake has opened. */
export async function endSession(client, transport) {
  await step("end the session", async () => {
    const { sessionId, protocolVersion } = transport;
    assert.ok(sessionId, "a session id");
    await transport.terminateSession();
    const { status } = answers.findLast((answer) => answer.method === "DELETE");
    assert.ok(status === 200 || status === 204, `DELETE is answered ${status}`);
    const late = await fetch(url, {
      method: "POST",
      headers: {
        ...headers,
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
        "MCP-Session-Id": sessionId,
        "MCP-Protocol-Version": protocolVersion,
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 0, method: "ping" }),
    });
    assert.equal(late.status, 404, "a session that has ended is not found");
    await client.close();
  });
}

/** Closes a client of the stateless era, where nobody has a session. */
export async function endStateless(client, transport) {
  await step("close", async () => {
    await client.close();
    assert.equal(transport.sessionId, undefined);
    assert.deepEqual(answers.filter((answer) => answer.session !== null || answer.method !== "POST"), []);
  });
}
