// The TypeScript SDK v2 by Streamable HTTP, in the mode `legacy`, `auto` or `pinned`. Which era `auto` must come to
// (`legacy` or `modern`) may follow: it would fall back without a word.
import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { awaited, elicited, endSession, endStateless, everything, rest } from "./streamable.mjs";
import { sampled, settings, step, told, url } from "./streamable.mjs";

const [mode, wanted = { legacy: "legacy", pinned: "modern" }[mode]] = rest;
const transport = new StreamableHTTPClientTransport(url, settings);
const client = new Client(
  { name: "lockgate-tests", version: "1" },
  {
    capabilities: { sampling: {}, elicitation: {} },
    versionNegotiation: { mode: { legacy: "legacy", auto: "auto", pinned: { pin: "2026-07-28" } }[mode] },
  },
);
client.onerror = (error) => told.push(error);
client.setRequestHandler("elicitation/create", async () => elicited);
client.setRequestHandler("sampling/createMessage", async () => sampled);
const era = await step("connect", async () => {
  assert.ok(["legacy", "auto", "pinned"].includes(mode), "the mode is legacy, auto or pinned");
  await client.connect(transport);
  if (wanted !== undefined) assert.equal(client.getProtocolEra(), wanted);
  return client.getProtocolEra();
});

await everything({
  client,
  tool: (name, args, options) => client.callTool({ name, arguments: args }, options),
  mayLoseLastProgress: false,
  changes: async () => {
    const [updated, changed] = [awaited(), awaited()];
    client.setNotificationHandler("notifications/resources/updated", (note) => updated.resolve(note.params));
    client.setNotificationHandler("notifications/tools/list_changed", changed.resolve);
    const watch = { updated: updated.promise, changed: changed.promise };
    if (era === "legacy") {
      await client.subscribeResource({ uri: "test://watched" });
      return { ...watch, end: () => client.unsubscribeResource({ uri: "test://watched" }) };
    }
    const filter = { toolsListChanged: true, resourceSubscriptions: ["test://watched"] };
    const subscription = await client.listen(filter);
    assert.deepEqual(subscription.honoredFilter, filter);
    return {
      ...watch,
      end: async () => {
        await subscription.close();
        assert.equal(await subscription.closed, "local");
      },
    };
  },
});
await (era === "legacy" ? endSession : endStateless)(client, transport);
console.log("passed");
process.exit(0);
