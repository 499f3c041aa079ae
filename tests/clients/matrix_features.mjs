// The features of the era matrix, in the order of its columns. Each is an attempt that fails unless the feature was seen to
// work from end to end, in the form that it has in the client's era.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { posted, stateless } from "./matrix_connection.mjs";

/** What has come, in its order. */
function inbox() {
  const come = [];
  const waiting = [];
  return {
    push: (item) => void (waiting.length > 0 ? waiting.shift()(item) : come.push(item)),
    next: () => (come.length > 0 ? come.shift() : new Promise((resolve) => waiting.push(resolve))),
  };
}

/** The server's changes: a subscription of its own in the stateless era, and unsolicited notes in the other. */
async function listening(client, filter, attempt) {
  if (!stateless) return attempt();
  const subscription = await client.listen(filter);
  assert.deepEqual(subscription.honoredFilter, filter);
  await attempt();
  await subscription.close();
}

export const features = {
  async list({ client }) {
    const { tools } = await client.listTools();
    assert.deepEqual(tools.find(({ name }) => name === "echo")?.inputSchema.required, ["text"]);
    const { resources } = await client.listResources();
    assert.ok(resources.some(({ uri }) => uri === "test://static-text"));
    const { resourceTemplates } = await client.listResourceTemplates();
    assert.ok(resourceTemplates.some(({ uriTemplate }) => uriTemplate === "test://template/{id}/data"));
    const { prompts } = await client.listPrompts();
    assert.ok(prompts.some(({ name }) => name === "test_simple_prompt"));
  },

  async call({ call }) {
    const text = "a\u2028b\u0085😀\r\n";
    assert.equal(await call("echo", { text }), text);
    await assert.rejects(call("test_error_handling"), /intentionally returns an error/);
  },

  async progress({ call }) {
    const steps = [];
    const onprogress = ({ progress, total }) => steps.push(`${progress} of ${total}`);
    assert.equal(await call("count", { steps: 3, pause_ms: 200 }, { onprogress }), "counted 3");
    // An SDK may lose the last one; see `aside`.
    assert.ok(steps.length >= 2, `${steps.length} notes`);
    assert.deepEqual(steps, ["1 of 3", "2 of 3", "3 of 3"].slice(0, steps.length));
  },

  async "log level"({ client, call, notice }) {
    const lines = inbox();
    notice("notifications/message", ({ params }) => lines.push(`${params.level}: ${params.data}`));
    const speak = async (word, level) => {
      if (!stateless) await client.setLoggingLevel(level);
      await call("speak", { word }, stateless ? { _meta: { "io.modelcontextprotocol/logLevel": level } } : {});
    };
    // What must not come would come before what must.
    await speak("some", "warning");
    assert.equal(await lines.next(), "warning: some warning");
    assert.equal(await lines.next(), "error: some error");
    await speak("one", "error");
    assert.equal(await lines.next(), "error: one error");
    // In the stateless era a request that names no level gets no lines.
    if (stateless) await call("speak", { word: "none" });
    await speak("all", "debug");
    assert.equal(await lines.next(), "info: all info");
  },

  async elicitation({ client, call, request }) {
    const asked = [];
    const answer = (result) =>
      request("elicitation/create", async ({ params }) => {
        asked.push(params.message);
        return result;
      });
    answer({ action: "accept", content: { name: "Ada" } });
    assert.equal(await call("ask"), "hello Ada");
    answer({ action: "decline" });
    assert.equal(await call("ask"), "declined");
    answer({ action: "accept", content: { context: "locks" } });
    const prompt = await client.getPrompt({ name: "test_input_required_result_prompt" });
    assert.equal(prompt.messages[0].content.text, "Use the following context: locks");
    assert.deepEqual(asked, ["What is your name?", "What is your name?", "What context should the prompt use?"]);
  },

  async sampling({ call, request }) {
    const asked = [];
    request("sampling/createMessage", async ({ params }) => {
      asked.push(params.messages[0].content.text);
      return { model: "test-model", role: "assistant", content: { type: "text", text: "a sampled sentence" } };
    });
    assert.equal(await call("sample"), "a sampled sentence");
    assert.deepEqual(asked, ["say hi"]);
  },

  async roots({ call, request }) {
    let asked = 0;
    request("roots/list", async () => {
      asked += 1;
      return { roots: [{ uri: "file:///lock", name: "lock" }, { uri: "file:///gate" }] };
    });
    assert.equal(await call("roots"), "file:///lock,file:///gate");
    assert.equal(asked, 1);
  },

  async "subscribe + update"({ client, call, notice }) {
    // Servers may be shared with other clients of this matrix; these names are not.
    const [one, other] = [`test://${randomUUID()}`, `test://${randomUUID()}`];
    const updates = inbox();
    notice("notifications/resources/updated", ({ params }) => updates.push(params.uri));
    const update = (uri) => call("update", { uri });
    if (!stateless) for (const uri of [one, other]) await client.subscribeResource({ uri });
    await listening(client, { resourceSubscriptions: [one, other] }, async () => {
      await update(one);
      assert.equal(await updates.next(), one);
    });
    if (!stateless) await client.unsubscribeResource({ uri: one });
    await listening(client, { resourceSubscriptions: [other] }, async () => {
      await update(one);
      await update(other);
      assert.equal(await updates.next(), other);
    });
    if (!stateless) await client.unsubscribeResource({ uri: other });
  },

  async "list-changed"({ client, call, notice }) {
    const [tools, prompts] = [inbox(), inbox()];
    notice("notifications/tools/list_changed", tools.push);
    notice("notifications/prompts/list_changed", prompts.push);
    await listening(client, { toolsListChanged: true, promptsListChanged: true }, async () => {
      await call("test_trigger_tool_change");
      await tools.next();
      await call("test_trigger_prompt_change");
      await prompts.next();
    });
  },

  async ping({ client }) {
    if (!stateless) return client.ping();
    // The SDK refuses by itself, for there is no such method; what Lockgate says is the documented error.
    await assert.rejects(client.ping(), { code: "METHOD_NOT_SUPPORTED_BY_PROTOCOL_VERSION" });
    const { status, answer } = await posted("ping");
    assert.equal(status, 404);
    throw answer.error;
  },

  async cancel({ client, call, notice }) {
    const uri = `test://${randomUUID()}`;
    const [begun, updates] = [inbox(), inbox()];
    notice("notifications/resources/updated", ({ params }) => updates.push(params.uri));
    const abort = new AbortController();
    if (!stateless) await client.subscribeResource({ uri });
    await listening(client, { resourceSubscriptions: [uri] }, async () => {
      const refused = assert.rejects(call("hang", { uri }, { signal: abort.signal, onprogress: begun.push }));
      await begun.next();
      abort.abort("enough");
      await refused;
      // The server says so once it has noticed.
      assert.equal(await updates.next(), uri);
    });
    if (!stateless) await client.unsubscribeResource({ uri });
    assert.equal(await call("echo", { text: "it goes on" }), "it goes on");
  },

  async resource({ client }) {
    const read = async (uri) => (await client.readResource({ uri })).contents[0];
    assert.equal((await read("test://static-text")).text, "This is the content of the static text resource.");
    assert.match((await read("test://static-binary")).blob, /^iVBOR/);
    assert.equal(JSON.parse((await read("test://template/7/data")).text).data, "Data for ID: 7");
  },

  async prompt({ client }) {
    const given = { arg1: "lock", arg2: "gate" };
    const { messages } = await client.getPrompt({ name: "test_prompt_with_arguments", arguments: given });
    assert.deepEqual(
      messages.map(({ role, content }) => [role, content.text]),
      [["user", "Prompt with arguments: arg1='lock', arg2='gate'"]],
    );
  },

  async completion({ client }) {
    const ref = { type: "ref/prompt", name: "test_prompt_with_arguments" };
    const { completion } = await client.complete({ ref, argument: { name: "arg1", value: "par" } });
    assert.deepEqual(completion.values, ["paris", "park", "party"]);
  },
};
