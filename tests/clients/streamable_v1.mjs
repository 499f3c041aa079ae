// The TypeScript SDK v1 by Streamable HTTP: all that a session can do, and its end.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { awaited, elicited, endSession, everything, sampled, settings, step, told, url } from "./streamable.mjs";

const transport = new StreamableHTTPClientTransport(url, settings);
const client = new Client({ name: "lockgate-tests", version: "1" }, { capabilities: { sampling: {}, elicitation: {} } });
client.onerror = (error) => told.push(error);
client.setRequestHandler(ElicitRequestSchema, async () => elicited);
client.setRequestHandler(CreateMessageRequestSchema, async () => sampled);
await step("connect", () => client.connect(transport));

await everything({
  client,
  tool: (name, args, options) => client.callTool({ name, arguments: args }, undefined, options),
  // The SDK may forget a request's progress handler before it runs it for a note that came together with the reply.
  mayLoseLastProgress: true,
  changes: async () => {
    const [updated, changed] = [awaited(), awaited()];
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, (note) => updated.resolve(note.params));
    client.setNotificationHandler(ToolListChangedNotificationSchema, changed.resolve);
    await client.subscribeResource({ uri: "test://watched" });
    const end = () => client.unsubscribeResource({ uri: "test://watched" });
    return { updated: updated.promise, changed: changed.promise, end };
  },
});
await endSession(client, transport);
console.log("passed");
process.exit(0);
